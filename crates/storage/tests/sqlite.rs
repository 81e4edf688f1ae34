//! The contract of stores, kept by `SQLite` in a file of its own per test.

#![expect(clippy::unwrap_used, reason = "a test panics when its store does not open")]

mod sea;

use async_trait::async_trait;
use sea::{Place, SeaHarness, migrations, rules, schedules};
use storage::{DatabaseOptions, Seal};
use tempfile::TempDir;
use testkit::contract::Harness;

/// A folder that goes with the test.
struct TempFile(TempDir);

impl TempFile {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }
}

#[async_trait]
impl Place for TempFile {
    fn options(&self) -> DatabaseOptions {
        DatabaseOptions::new(format!("sqlite://{}/data/test.db", self.0.path().display()), Seal::derive(&[7; 32]))
    }

    async fn remove(&self) {}
}

async fn open() -> Option<Box<dyn Harness>> {
    Some(Box::new(SeaHarness::open(TempFile::new()).await))
}

testkit::contract_suite!(open);

#[tokio::test]
async fn migrating_again_changes_nothing() {
    migrations::migrating_again_changes_nothing(&TempFile::new()).await;
}

#[tokio::test]
async fn another_key_is_told() {
    migrations::another_key_is_told(&TempFile::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_may_open_and_migrate_at_once() {
    migrations::two_processes_may_open_and_migrate_at_once(&TempFile::new()).await;
}

#[tokio::test]
async fn a_fresh_store_breaks_no_rule() {
    migrations::a_fresh_store_breaks_no_rule(&TempFile::new()).await;
}

#[tokio::test]
async fn an_unmigrated_store_answers_an_error() {
    migrations::an_unmigrated_store_answers_an_error(&TempFile::new()).await;
}

#[tokio::test]
async fn each_rule_of_messaging_finds_what_breaks_it() {
    rules::each_rule_of_messaging_finds_what_breaks_it(&TempFile::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_schedules_of_the_desk_break_no_rule() {
    schedules::many_schedules_of_the_desk_break_no_rule(&TempFile::new()).await;
}
