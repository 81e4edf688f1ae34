//! The writing side of the outbox in memory.

use async_trait::async_trait;
use domain::id::JobId;
use domain::outbox::{DeadLetterRepository, JobRecord, JobState, NewJob, OutboxRepository};
use domain::{StoreError, Timestamp};

use super::MemoryUnit;
use super::tables::{JobRow, Tables, insert_new};

fn row(job: &NewJob) -> JobRow {
    JobRow {
        record: JobRecord {
            id: job.id,
            kind: job.kind.to_owned(),
            payload: job.payload.clone(),
            state: JobState::Queued,
            attempts: 0,
            run_at: job.run_at,
            leased_until: None,
            last_error: None,
            created_at: job.created_at,
        },
        idempotency_key: job.idempotency_key.clone(),
        leased_by: None,
        settled_at: None,
    }
}

fn dead(tables: &mut Tables, id: JobId) -> Option<&mut JobRow> {
    tables.jobs.get_mut(&id).filter(|job| job.record.state == JobState::Dead)
}

#[async_trait]
impl OutboxRepository for MemoryUnit {
    async fn append_all(&mut self, jobs: &[NewJob]) -> Result<(), StoreError> {
        self.write(|tables| {
            for job in jobs {
                if !tables.jobs.values().any(|j| j.idempotency_key == job.idempotency_key) {
                    insert_new(&mut tables.jobs, job.id, row(job), "job_pkey")?;
                }
            }
            Ok(())
        })
    }
}

#[async_trait]
impl DeadLetterRepository for MemoryUnit {
    async fn retry(&mut self, id: JobId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(|tables| {
            let Some(job) = dead(tables, id) else { return Ok(false) };
            job.record.state = JobState::Queued;
            job.record.attempts = 0;
            job.record.run_at = now;
            job.settled_at = None;
            Ok(true)
        })
    }

    async fn discard(&mut self, id: JobId, now: Timestamp) -> Result<bool, StoreError> {
        self.write(|tables| {
            let Some(job) = dead(tables, id) else { return Ok(false) };
            job.record.state = JobState::Discarded;
            job.settled_at = Some(now);
            Ok(true)
        })
    }
}
