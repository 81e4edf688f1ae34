//! Bringing exports in: many rows at a time, inserted or replaced.

mod consulting;
mod documents;
mod files;
mod history;
mod ledger;
mod people;
mod verify;

use ::leancloud::import::store::{
    ImportConsulting, ImportDocuments, ImportFiles, ImportHistory, ImportLedger, ImportPeople, ImportStore, ImportUnit,
    Verification,
};
use async_trait::async_trait;
use domain::StoreError;
use sea_orm::{EntityTrait, IdenStatic as _, Iterable as _, PrimaryKeyToColumn as _};

use crate::backend::Backend;
use crate::bulk;
use crate::store::{SeaStore, SeaUnit};

/// Column that grows with every write.
const VERSION: &str = "version";

/// Key of the advisory lock that keeps two imports into one `PostgreSQL` database from writing the same rows.
const LOCK_KEY: i64 = 0x7a68_616f_696d_706f;

#[async_trait]
impl ImportUnit for SeaUnit {
    fn ledger(&mut self) -> &mut dyn ImportLedger {
        self
    }

    fn people(&mut self) -> &mut dyn ImportPeople {
        self
    }

    fn consulting(&mut self) -> &mut dyn ImportConsulting {
        self
    }

    fn files(&mut self) -> &mut dyn ImportFiles {
        self
    }

    fn documents(&mut self) -> &mut dyn ImportDocuments {
        self
    }

    fn history(&mut self) -> &mut dyn ImportHistory {
        self
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.finish().await
    }
}

#[async_trait]
impl ImportStore for SeaStore {
    async fn begin(&self) -> Result<Box<dyn ImportUnit>, StoreError> {
        let unit = self.unit().await?;
        if unit.backend == Backend::Postgres {
            unit.query("SELECT pg_advisory_xact_lock($1)", [LOCK_KEY.into()]).await?;
        }
        Ok(Box::new(unit))
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        verify::verify(self).await
    }
}

/// What becomes of a row whose key is taken.
#[derive(Clone, Copy)]
enum Taken {
    /// It stays as it is.
    Keep,
    /// It is replaced, but for the columns named; its version moves on.
    Replace { except: &'static [&'static str] },
}

impl SeaUnit {
    /// Inserts rows.
    async fn put<E: EntityTrait>(&self, rows: Vec<E::ActiveModel>, taken: Taken) -> Result<(), StoreError> {
        bulk::insert::<E>(self, rows, &on_conflict::<E>(taken)).await?;
        Ok(())
    }
}

/// What an insert does about taken keys.
fn on_conflict<E: EntityTrait>(taken: Taken) -> String {
    let keys: Vec<String> = E::PrimaryKey::iter().map(|key| key.into_column().as_str().to_owned()).collect();
    let target = keys.join(", ");
    match taken {
        Taken::Keep => format!("ON CONFLICT ({target}) DO NOTHING"),
        Taken::Replace { except } => {
            let table = E::default().as_str().to_owned();
            let set =
                E::Column::iter().map(|column| column.as_str().to_owned()).filter_map(|name| match name.as_str() {
                    VERSION => Some(format!("{VERSION} = {table}.{VERSION} + 1")),
                    name if keys.iter().any(|key| key == name) || except.contains(&name) => None,
                    name => Some(format!("{name} = excluded.{name}")),
                });
            format!("ON CONFLICT ({target}) DO UPDATE SET {}", set.collect::<Vec<_>>().join(", "))
        }
    }
}
