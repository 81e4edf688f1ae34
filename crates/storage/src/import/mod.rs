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
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ConnectionTrait as _, EntityTrait, IdenStatic as _, Iterable as _, PrimaryKeyToColumn as _, QueryTrait as _,
};

use crate::backend::{Backend, store_error};
use crate::store::{SeaStore, SeaUnit};

/// Column that grows with every write.
const VERSION: &str = "version";

/// Bound parameters that one insert may have; `SQLite` takes 32,766.
const MAX_PARAMETERS: usize = 32_000;
/// Bound parameters that a statement written with `$1` may have. `SQLite` takes them for names and looks each up among
/// all others, so that the time grows with the square of their number.
const MAX_NAMED_PARAMETERS: usize = 2_000;
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
    /// Inserts rows, as many in one statement as may have parameters.
    async fn put<E>(&self, rows: Vec<E::ActiveModel>, taken: Taken) -> Result<(), StoreError>
    where
        E: EntityTrait,
        E::ActiveModel: Send,
    {
        let rows_at_once = MAX_PARAMETERS / E::Column::iter().count().max(1);
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut insert = E::insert_many(rows.by_ref().take(rows_at_once)).into_query();
            insert.on_conflict(on_conflict::<E>(taken));
            self.db().execute(&insert).await.map_err(store_error)?;
        }
        Ok(())
    }
}

fn on_conflict<E: EntityTrait>(taken: Taken) -> OnConflict {
    let mut on_conflict = OnConflict::columns(E::PrimaryKey::iter());
    match taken {
        Taken::Keep => on_conflict.do_nothing(),
        Taken::Replace { except } => {
            let is_replaced = |column: &E::Column| {
                let name = column.as_str();
                let is_key = E::PrimaryKey::iter().any(|key| key.into_column().as_str() == name);
                !is_key && name != VERSION && !except.contains(&name)
            };
            on_conflict.update_columns(E::Column::iter().filter(is_replaced));
            if let Some(version) = E::Column::iter().find(|column| column.as_str() == VERSION) {
                on_conflict.value(version, Expr::col((E::default(), version)).add(1));
            }
            &mut on_conflict
        }
    };
    on_conflict
}
