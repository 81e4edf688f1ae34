//! The workers' side of the outbox in memory.

use std::time::Duration;

use async_trait::async_trait;
use domain::id::JobId;
use domain::outbox::{ClaimedJob, JobOutcome, JobQueue, JobRecord, JobState, QueueDepth};
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};

use super::MemoryStore;
use super::tables::{JobRow, ScheduleRow, newest_first};

/// Most characters of an error kept with a job.
const MAX_ERROR_CHARS: usize = 500;

fn is_claimable(job: &JobRow, now: Timestamp) -> bool {
    let record = &job.record;
    record.state == JobState::Queued && record.run_at <= now && record.leased_until.is_none_or(|until| until <= now)
}

fn settle_one(job: &mut JobRow, outcome: &JobOutcome, now: Timestamp) {
    let record = &mut job.record;
    let keep = |error: &str| Some(error.chars().take(MAX_ERROR_CHARS).collect());
    match outcome {
        JobOutcome::Done => record.state = JobState::Done,
        JobOutcome::Dead { error } => {
            record.state = JobState::Dead;
            record.last_error = keep(error);
        }
        JobOutcome::Retry { at, error } => {
            record.run_at = *at;
            record.last_error = keep(error);
        }
        JobOutcome::Postpone { at } => {
            record.run_at = *at;
            record.attempts -= 1;
        }
    }
    record.leased_until = None;
    job.leased_by = None;
    job.settled_at = (record.state != JobState::Queued).then_some(now);
}

#[async_trait]
impl JobQueue for MemoryStore {
    async fn claim(
        &self,
        worker: &str,
        limit: u32,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        self.alone(|tables| {
            let mut due: Vec<_> = tables.jobs.values_mut().filter(|job| is_claimable(job, now)).collect();
            due.sort_by_key(|job| (job.record.run_at, job.record.id));
            due.truncate(limit as usize);
            let claim = |job: &mut JobRow| {
                job.leased_by = Some(worker.to_owned());
                job.record.leased_until = Some(now + lease);
                job.record.attempts += 1;
                ClaimedJob {
                    id: job.record.id,
                    kind: job.record.kind.clone(),
                    payload: job.record.payload.clone(),
                    idempotency_key: job.idempotency_key.clone(),
                    attempt: job.record.attempts,
                }
            };
            Ok(due.into_iter().map(claim).collect())
        })
        .await
    }

    async fn settle(&self, worker: &str, outcomes: &[(JobId, JobOutcome)], now: Timestamp) -> Result<(), StoreError> {
        self.alone(|tables| {
            for (id, outcome) in outcomes {
                let is_held = |job: &&mut JobRow| {
                    job.record.state == JobState::Queued && job.leased_by.as_deref() == Some(worker)
                };
                if let Some(job) = tables.jobs.get_mut(id).filter(is_held) {
                    settle_one(job, outcome, now);
                }
            }
            Ok(())
        })
        .await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let tables = self.committed();
        let queued = tables.jobs.values().map(|job| &job.record).filter(|r| r.state == JobState::Queued);
        Ok(queued.map(|r| r.leased_until.map_or(r.run_at, |until| until.max(r.run_at))).min())
    }

    async fn depth(&self, now: Timestamp) -> Result<QueueDepth, StoreError> {
        let tables = self.committed();
        let mut depth = QueueDepth::default();
        for job in tables.jobs.values() {
            match job.record.state {
                JobState::Queued if job.record.run_at <= now => depth.due += 1,
                JobState::Dead => depth.dead += 1,
                _ => {}
            }
        }
        Ok(depth)
    }

    async fn find(&self, id: JobId) -> Result<Option<JobRecord>, StoreError> {
        Ok(self.committed().jobs.get(&id).map(|job| job.record.clone()))
    }

    async fn list(&self, state: JobState, page: PageRequest) -> Result<Page<JobRecord>, StoreError> {
        let tables = self.committed();
        let records = tables.jobs.values().map(|job| &job.record).filter(|r| r.state == state);
        Ok(newest_first(records, page, |r| Cursor { at: r.created_at, id: r.id.0 }))
    }

    async fn purge(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.alone(|tables| {
            let size = tables.jobs.len();
            tables.jobs.retain(|_, job| {
                let is_over = matches!(job.record.state, JobState::Done | JobState::Discarded);
                !(is_over && job.settled_at.is_some_and(|at| at < before))
            });
            Ok((size - tables.jobs.len()) as u64)
        })
        .await
    }

    async fn take_schedule(
        &self,
        name: &str,
        _worker: &str,
        now: Timestamp,
        every: Duration,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        self.alone(|tables| {
            let is_due = |row: &ScheduleRow| row.next_run_at <= now && row.leased_until <= now;
            let is_taken = tables.schedules.get(name).is_none_or(is_due);
            if is_taken {
                let row = ScheduleRow { next_run_at: now + every, leased_until: now + lease };
                tables.schedules.insert(name.to_owned(), row);
            }
            Ok(is_taken)
        })
        .await
    }
}
