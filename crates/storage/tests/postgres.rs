//! The contract of stores, kept by `PostgreSQL` in a database of its own per test.
//!
//! `DATABASE_URL_PG` names a server whose user may create databases. Without it these tests do nothing and say so.

#![expect(clippy::unwrap_used, reason = "a test panics when its store does not open")]

mod sea;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::{AssertUnwindSafe, resume_unwind};

use async_trait::async_trait;
use futures_util::FutureExt;
use sea::{Place, SeaHarness, migrations, rules, schedules};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use storage::{DatabaseOptions, Seal};
use testkit::contract::Harness;

/// A database made for one test on the server of `DATABASE_URL_PG`.
struct OwnDatabase {
    server: String,
    name: String,
}

impl OwnDatabase {
    /// `None`, said aloud, when no server is set.
    async fn create() -> Option<Self> {
        let Ok(server) = std::env::var("DATABASE_URL_PG") else {
            eprintln!("SKIPPED, nothing was tested: DATABASE_URL_PG is not set");
            return None;
        };
        let name = format!("contract_{:016x}", RandomState::new().build_hasher().finish());
        let database = Self { server, name };
        // template1 may be in use by others; template0 never is.
        database.on_server(&format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", database.name)).await;
        Some(database)
    }

    async fn on_server(&self, sql: &str) {
        let mut options = ConnectOptions::new(self.server.clone());
        options.max_connections(1).sqlx_logging(false);
        let server: DatabaseConnection = Database::connect(options).await.unwrap();
        server.execute_unprepared(sql).await.unwrap();
        server.close().await.unwrap();
    }

    /// The server's address with this database instead of its own.
    fn url(&self) -> String {
        let (address, query) = self.server.split_once('?').map_or((self.server.as_str(), None), |(a, q)| (a, Some(q)));
        let (server, _) = address.rsplit_once('/').unwrap();
        let query = query.map(|q| format!("?{q}")).unwrap_or_default();
        format!("{server}/{}{query}", self.name)
    }
}

#[async_trait]
impl Place for OwnDatabase {
    fn options(&self) -> DatabaseOptions {
        DatabaseOptions::new(self.url(), Seal::derive(&[7; 32]))
    }

    async fn remove(&self) {
        self.on_server(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

async fn open() -> Option<Box<dyn Harness>> {
    Some(Box::new(SeaHarness::open(OwnDatabase::create().await?).await))
}

testkit::contract_suite!(open);

/// Runs a check in a database of its own, which goes whatever comes of it.
async fn alone(check: impl AsyncFnOnce(&OwnDatabase)) {
    let Some(database) = OwnDatabase::create().await else { return };
    let outcome = AssertUnwindSafe(check(&database)).catch_unwind().await;
    database.remove().await;
    outcome.unwrap_or_else(|panic| resume_unwind(panic));
}

#[tokio::test]
async fn migrating_again_changes_nothing() {
    alone(async |place| migrations::migrating_again_changes_nothing(place).await).await;
}

#[tokio::test]
async fn another_key_is_told() {
    alone(async |place| migrations::another_key_is_told(place).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_may_open_and_migrate_at_once() {
    alone(async |place| migrations::two_processes_may_open_and_migrate_at_once(place).await).await;
}

#[tokio::test]
async fn a_fresh_store_breaks_no_rule() {
    alone(async |place| migrations::a_fresh_store_breaks_no_rule(place).await).await;
}

#[tokio::test]
async fn an_unmigrated_store_answers_an_error() {
    alone(async |place| migrations::an_unmigrated_store_answers_an_error(place).await).await;
}

#[tokio::test]
async fn each_rule_of_messaging_finds_what_breaks_it() {
    alone(async |place| rules::each_rule_of_messaging_finds_what_breaks_it(place).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_schedules_of_the_desk_break_no_rule() {
    alone(async |place| schedules::many_schedules_of_the_desk_break_no_rule(place).await).await;
}
