//! Telling at the start whether the database was sealed under the key that is configured.

use domain::StoreError;

use crate::backend::store_error;
use crate::store::{SeaStore, SeaUnit};

/// The database cannot be used under this key.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Numbers would not be found, and none could be read.
    #[error("the phone numbers of this database are sealed under another key")]
    OtherKey,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SeaUnit {
    /// Leaves a proof of the key in a database that has none yet.
    pub(crate) async fn keep_proof(&self) -> Result<(), StoreError> {
        let sql = "INSERT INTO seal_proof (id, sealed) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
        self.execute(sql, [self.seal.proof().into()]).await?;
        Ok(())
    }
}

impl SeaStore {
    /// Compares the key with the one that the database was made under.
    ///
    /// # Errors
    /// [`SealError`].
    pub async fn prove_seal(&self) -> Result<(), SealError> {
        let unit = self.reading();
        let rows = unit.query("SELECT sealed FROM seal_proof WHERE id = 1", []).await?;
        let kept: Option<String> =
            rows.first().map(|row| row.try_get("", "sealed")).transpose().map_err(store_error)?;
        if kept.is_some_and(|kept| kept == unit.seal.proof()) { Ok(()) } else { Err(SealError::OtherKey) }
    }
}
