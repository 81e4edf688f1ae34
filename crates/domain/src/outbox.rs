//! The outbox: jobs written in the business transaction and done afterwards, at least once.
//!
//! [`OutboxRepository`] is the writing side, part of every unit of work; [`JobQueue`] is the worker's side.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use crate::id::JobId;
use crate::page::{Page, PageRequest};
use crate::{StoreError, Timestamp};

/// A job to be done after commit.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    pub id: JobId,
    /// Names the handler, e.g. `deliver_notification`.
    pub kind: &'static str,
    /// What the handler needs: ids, never phones, codes or text.
    pub payload: Value,
    /// Not before this.
    pub run_at: Timestamp,
    /// A second job under the same key is dropped without a word.
    pub idempotency_key: String,
    pub created_at: Timestamp,
}

/// A job handed to one worker until its lease runs out.
#[derive(Debug, Clone, PartialEq)]
pub struct ClaimedJob {
    pub id: JobId,
    pub kind: String,
    pub payload: Value,
    pub idempotency_key: String,
    /// How often it was claimed, this time included.
    pub attempt: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    Queued,
    Dead,
    Done,
    Discarded,
}

impl JobState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Dead => "dead",
            Self::Done => "done",
            Self::Discarded => "discarded",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Queued, Self::Dead, Self::Done, Self::Discarded].into_iter().find(|s| s.as_str() == text)
    }
}

/// A job as operators see it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    pub id: JobId,
    pub kind: String,
    pub payload: Value,
    pub state: JobState,
    pub attempts: u32,
    pub run_at: Timestamp,
    pub leased_until: Option<Timestamp>,
    pub last_error: Option<String>,
    pub created_at: Timestamp,
}

/// What became of a claimed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutcome {
    Done,
    /// Try again at the given time; holds a short reason without personal data.
    Retry {
        at: Timestamp,
        error: String,
    },
    /// Not yet due after all: look again at the given time, without counting an attempt.
    Postpone {
        at: Timestamp,
    },
    /// Give up; an operator has to look.
    Dead {
        error: String,
    },
}

/// Writes jobs inside a unit of work.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait OutboxRepository: Send {
    async fn append_all(&mut self, jobs: &[NewJob]) -> Result<(), StoreError>;
}

/// The worker's and the operators' side of the outbox. Each call is its own transaction.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait JobQueue: Send + Sync {
    /// Claims up to `limit` due jobs for `worker`, oldest due first. No two workers get the same job
    /// while its lease lasts.
    async fn claim(
        &self,
        worker: &str,
        limit: u32,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedJob>, StoreError>;
    /// Settles claimed jobs. A job whose lease was lost to another worker is left alone.
    async fn settle(&self, worker: &str, outcomes: &[(JobId, JobOutcome)], now: Timestamp) -> Result<(), StoreError>;
    /// When the next queued job is due, if there is one.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;
    /// Number of queued jobs that are due, and of dead ones.
    async fn depth(&self, now: Timestamp) -> Result<QueueDepth, StoreError>;
    async fn find(&self, id: JobId) -> Result<Option<JobRecord>, StoreError>;
    /// Newest first.
    async fn list(&self, state: JobState, page: PageRequest) -> Result<Page<JobRecord>, StoreError>;
    /// Deletes done and discarded jobs settled before `before`; returns how many.
    async fn purge(&self, before: Timestamp) -> Result<u64, StoreError>;
    /// Takes the named schedule if it is due and not held by another worker, and holds it for `lease`.
    async fn take_schedule(
        &self,
        name: &str,
        worker: &str,
        now: Timestamp,
        every: Duration,
        lease: Duration,
    ) -> Result<bool, StoreError>;
}

/// Puts dead jobs back or away, inside a unit of work so that the act is audited with it.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait DeadLetterRepository: Send {
    /// Queues a dead job again with fresh attempts; false if there is no such dead job.
    async fn retry(&mut self, id: JobId, now: Timestamp) -> Result<bool, StoreError>;
    /// Sets a dead job aside for good; false if there is no such dead job.
    async fn discard(&mut self, id: JobId, now: Timestamp) -> Result<bool, StoreError>;
}

/// How full the queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueueDepth {
    pub due: u64,
    pub dead: u64,
}

/// Tells workers in this process that there may be something to do. Only a hint: workers also look by themselves.
pub trait JobSignal: Send + Sync {
    fn wake(&self);
}
