//! The tables, from one source for both databases. Released migrations are frozen; a change is a new one.

use domain::StoreError;
use sea_orm::sea_query::Value;
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager};

use crate::backend::{Backend, store_error};
use crate::store::SeaUnit;

/// Key of the advisory lock that keeps two processes from migrating one PostgreSQL database at once.
const LOCK_KEY: i64 = 0x7a68_616f_6775_616e;

/// Applies what is missing, all or nothing. On `SQLite` the one writer is lock enough.
pub(crate) async fn run(unit: SeaUnit) -> Result<(), StoreError> {
    if unit.backend == Backend::Postgres {
        unit.query("SELECT pg_advisory_xact_lock($1)", [Value::from(LOCK_KEY)]).await?;
    }
    Migrator::up(unit.db(), None).await.map_err(store_error)?;
    unit.keep_proof().await?;
    unit.finish().await
}

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Schema {
            name: "m0001_ground",
            parts: &[
                include_str!("schema/people.sql"),
                include_str!("schema/account.sql"),
                include_str!("schema/outbox.sql"),
                include_str!("schema/im.sql"),
                include_str!("schema/consultation.sql"),
                include_str!("schema/import.sql"),
                include_str!("schema/wechat.sql"),
                include_str!("schema/leancloud.sql"),
                include_str!("schema/sms.sql"),
                include_str!("schema/desk.sql"),
            ],
        })]
    }
}

/// A migration written as SQL that both databases read; `{json}`, `{bytes}` and `{position}` stand for the column
/// types of JSON documents, of bytes and of places in the log, `{hot}` marks tables whose rows change all the time, `{keyed}`
/// those whose rows stand in their primary key, and `{service}` says of a conversation that it is a service.
struct Schema {
    name: &'static str,
    parts: &'static [&'static str],
}

impl MigrationName for Schema {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Schema {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let backend = match db.get_database_backend() {
            sea_orm::DbBackend::Postgres => Backend::Postgres,
            _ => Backend::Sqlite,
        };
        for part in self.parts {
            let sql = part
                .replace("{json}", backend.json_type())
                .replace("{bytes}", backend.bytes_type())
                .replace("{position}", backend.position_type())
                .replace("{hot}", backend.hot_table())
                .replace("{keyed}", backend.keyed_table())
                .replace("{service}", &backend.is_service("extra"));
            db.execute_unprepared(&sql).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}
