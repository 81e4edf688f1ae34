//! What every store promises, as one suite: each function is one behaviour, run against the store in memory,
//! `SQLite` and `PostgreSQL` alike. [`contract_suite!`](crate::contract_suite) makes a test of each.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "behaviours are tests: they panic when the promise is broken"
)]

pub mod audit;
pub mod claims;
pub mod consultations;
pub mod conversations;
pub mod deadlines;
pub mod desk;
pub mod desk_schedules;
pub mod desk_tasks;
pub mod doctors;
pub mod files;
pub mod invitations;
pub mod jobs;
pub mod log;
pub mod messages;
pub mod notifications;
pub mod paging;
pub mod patients;
pub mod presence;
pub mod races;
pub mod reads;
pub mod relation_lists;
pub mod relations;
mod samples;
pub mod searches;
pub mod sending;
mod suite;
pub mod traces;
pub mod units;

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use consultation::{ConsultationStore, ConsultationUnit};
use domain::id::{ConversationId, JobId};
use domain::outbox::JobQueue;
use domain::{StoreError, Timestamp};
use futures_util::FutureExt;
use im::desk::DeskStore;
use im::{Appended, Conversation, ImStore, ImUnit, Member, NewMessage};

/// A fresh, empty store of one test.
#[async_trait]
pub trait Harness: Send + Sync {
    fn store(&self) -> Arc<dyn ConsultationStore>;
    /// The same rows for the messaging use cases.
    fn im(&self) -> Arc<dyn ImStore>;
    /// The same rows for the use cases of the desk.
    fn desk(&self) -> Arc<dyn DeskStore>;
    fn queue(&self) -> Arc<dyn JobQueue>;
    /// `DeadLetterRepository::retry` in a unit of its own, committed.
    async fn retry_dead(&self, id: JobId, now: Timestamp) -> Result<bool, StoreError>;
    /// `DeadLetterRepository::discard` in a unit of its own, committed.
    async fn discard_dead(&self, id: JobId, now: Timestamp) -> Result<bool, StoreError>;
    /// Takes the store down, whatever the behaviour came to.
    async fn close(&self);
}

/// Longest a behaviour may take: a store whose units wait for each other in a circle fails instead of hanging.
const PATIENCE: Duration = Duration::from_mins(1);

/// Runs one behaviour on a store of its own and takes the store down afterwards.
pub async fn run(harness: Box<dyn Harness>, behaviour: impl AsyncFnOnce(&dyn Harness)) {
    let bounded = tokio::time::timeout(PATIENCE, behaviour(&*harness));
    let outcome = AssertUnwindSafe(bounded).catch_unwind().await;
    harness.close().await;
    match outcome {
        Ok(in_time) => assert!(in_time.is_ok(), "the store did not answer within {PATIENCE:?}"),
        Err(panic) => resume_unwind(panic),
    }
}

/// Does something in a unit and commits it.
async fn within<T>(harness: &dyn Harness, act: impl AsyncFnOnce(&mut dyn ConsultationUnit) -> T) -> T {
    let mut unit = harness.store().begin().await.unwrap();
    let done = act(&mut *unit).await;
    unit.commit().await.unwrap();
    done
}

/// Does something in a unit of the messaging use cases and commits it.
async fn messaging<T>(harness: &dyn Harness, act: impl AsyncFnOnce(&mut dyn ImUnit) -> T) -> T {
    let mut unit = harness.im().begin().await.unwrap();
    let done = act(&mut *unit).await;
    unit.commit().await.unwrap();
    done
}

/// Conversations with their members, committed.
async fn given_conversations(harness: &dyn Harness, conversations: &[Conversation], members: &[Member]) {
    messaging(harness, async |unit| unit.conversations().insert_all(conversations, members).await.unwrap()).await;
}

/// Appends in a unit of its own; answers what became of each message.
async fn append(harness: &dyn Harness, messages: &[NewMessage]) -> Vec<Appended> {
    harness.im().append(messages).await.unwrap()
}

/// The member as it is stored.
async fn member(harness: &dyn Harness, id: ConversationId, client_id: &str) -> Member {
    let members = harness.im().read().conversations().members(id).await.unwrap();
    members.into_iter().find(|m| m.client_id == client_id).unwrap()
}

/// The sequence numbers that were given.
fn seqs(appended: &[Appended]) -> Vec<i64> {
    let seq = |appended: &Appended| match appended {
        Appended::Stored { seq, .. } => *seq,
        other => panic!("not stored: {other:?}"),
    };
    appended.iter().map(seq).collect()
}

/// Tries something in a unit that is then dropped, as use cases do after an error.
async fn attempt<T>(harness: &dyn Harness, act: impl AsyncFnOnce(&mut dyn ConsultationUnit) -> T) -> T {
    let mut unit = harness.store().begin().await.unwrap();
    act(&mut *unit).await
}

/// The write named a version or row that is not there any more.
#[track_caller]
fn assert_conflict<T: std::fmt::Debug>(outcome: &Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Conflict)), "a conflict was due, but: {outcome:?}");
}

/// The write broke a unique rule of the table.
#[track_caller]
fn assert_unique<T: std::fmt::Debug>(outcome: &Result<T, StoreError>, table: &str) {
    match outcome {
        Err(StoreError::Unique(rule)) => assert!(rule.starts_with(table), "{rule} is not a rule of {table}"),
        other => panic!("a unique rule of {table} was due, but: {other:?}"),
    }
}

/// Sorted, to compare answers that come in no particular order.
fn sorted<T: Ord>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_unstable();
    values
}
