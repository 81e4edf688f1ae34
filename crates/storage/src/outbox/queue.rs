//! The workers' side: claims with leases, settling, schedules. Each call is its own transaction.

use std::time::Duration;

use async_trait::async_trait;
use domain::id::JobId;
use domain::outbox::{ClaimedJob, JobOutcome, JobQueue, JobRecord, JobState, QueueDepth};
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};
use sea_orm::QueryTrait;
use sea_orm::entity::prelude::*;
use serde_json::{Value, json};

use super::row::{Column, Entity, record};
use crate::backend::store_error;
use crate::convert::{newest_first, parse, text};
use crate::store::SeaStore;

/// Most characters of an error kept with a job.
const MAX_ERROR_CHARS: usize = 500;

#[async_trait]
impl JobQueue for SeaStore {
    async fn claim(
        &self,
        worker: &str,
        limit: u32,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedJob>, StoreError> {
        // Look before locking: an idle worker must not keep taking the one writer of SQLite.
        let look = format!("SELECT 1 AS due FROM job WHERE {} LIMIT 1", is_due(1));
        if self.reading().query(&look, [now.as_millis().into()]).await?.is_empty() {
            return Ok(Vec::new());
        }
        let unit = self.unit().await?;
        let sql = format!(
            "UPDATE job SET leased_by = $1, leased_until = $2, attempts = attempts + 1 WHERE id IN (\
             SELECT id FROM job WHERE {} ORDER BY run_at, id LIMIT {limit}{}) \
             RETURNING id, kind, payload, idempotency_key, attempts, run_at",
            is_due(3),
            self.backend().skip_locked()
        );
        let until = (now + lease).as_millis();
        let rows = unit.query(&sql, [worker.into(), until.into(), now.as_millis().into()]).await?;
        unit.finish().await?;
        let mut jobs = rows.iter().map(claimed).collect::<Result<Vec<_>, _>>()?;
        jobs.sort_by_key(|(run_at, job)| (*run_at, job.id));
        Ok(jobs.into_iter().map(|(_, job)| job).collect())
    }

    async fn settle(&self, worker: &str, outcomes: &[(JobId, JobOutcome)], now: Timestamp) -> Result<(), StoreError> {
        if outcomes.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "UPDATE job SET state = outcome.state, run_at = COALESCE(outcome.run_at, job.run_at), \
             last_error = COALESCE(outcome.error, job.last_error), settled_at = outcome.settled_at, \
             attempts = job.attempts - outcome.uncounted, leased_by = NULL, leased_until = NULL \
             FROM (SELECT value ->> 0 AS id, value ->> 1 AS state, CAST(value ->> 2 AS bigint) AS run_at, \
             value ->> 3 AS error, CAST(value ->> 4 AS bigint) AS settled_at, CAST(value ->> 5 AS integer) AS uncounted \
             FROM {}) AS outcome WHERE job.id = outcome.id AND job.leased_by = $2 AND job.state = 'queued'",
            self.backend().each(1)
        );
        let rows: Vec<Value> = outcomes.iter().map(|(id, outcome)| settled(*id, outcome, now)).collect();
        let unit = self.unit().await?;
        unit.execute(&sql, [Value::from(rows).to_string().into(), worker.into()]).await?;
        unit.finish().await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT MIN(CASE WHEN leased_until > run_at THEN leased_until ELSE run_at END) AS due \
                   FROM job WHERE state = 'queued'";
        let rows = self.reading().query(sql, []).await?;
        let due = rows.first().map(|row| row.try_get::<Option<i64>>("", "due").map_err(store_error)).transpose()?;
        Ok(due.flatten().map(Timestamp::from_millis))
    }

    async fn depth(&self, now: Timestamp) -> Result<QueueDepth, StoreError> {
        let sql = "SELECT (SELECT COUNT(*) FROM job WHERE state = 'queued' AND run_at <= $1) AS due, \
                   (SELECT COUNT(*) FROM job WHERE state = 'dead') AS dead";
        let rows = self.reading().query(sql, [now.as_millis().into()]).await?;
        let count = |name| -> Result<u64, StoreError> {
            let value = rows.first().map(|row| row.try_get::<i64>("", name).map_err(store_error)).transpose()?;
            Ok(value.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
        };
        Ok(QueueDepth { due: count("due")?, dead: count("dead")? })
    }

    async fn find(&self, id: JobId) -> Result<Option<JobRecord>, StoreError> {
        let unit = self.reading();
        Entity::find_by_id(text(&id)).one(&unit.db()).await.map_err(store_error)?.map(record).transpose()
    }

    async fn list(&self, state: JobState, page: PageRequest) -> Result<Page<JobRecord>, StoreError> {
        let unit = self.reading();
        let mut select = Entity::find().filter(Column::State.eq(state.as_str()));
        newest_first(QueryTrait::query(&mut select), "job", "created_at", page);
        let rows = select.all(&unit.db()).await.map_err(store_error)?;
        let jobs = rows.into_iter().map(record).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(jobs, page.limit, |j| Cursor { at: j.created_at, id: j.id.0 }))
    }

    async fn purge(&self, before: Timestamp) -> Result<u64, StoreError> {
        let unit = self.unit().await?;
        let sql = "DELETE FROM job WHERE state IN ('done', 'discarded') AND settled_at < $1";
        let purged = unit.execute(sql, [before.as_millis().into()]).await?;
        unit.finish().await?;
        Ok(purged)
    }

    async fn take_schedule(
        &self,
        name: &str,
        worker: &str,
        now: Timestamp,
        every: Duration,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        let is_due = "SELECT 1 AS due FROM schedule WHERE name = $1 AND (next_run_at > $2 OR leased_until > $2)";
        if !self.reading().query(is_due, [name.into(), now.as_millis().into()]).await?.is_empty() {
            return Ok(false);
        }
        let unit = self.unit().await?;
        let sql = "INSERT INTO schedule (name, next_run_at, leased_by, leased_until) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (name) DO UPDATE SET next_run_at = excluded.next_run_at, \
                   leased_by = excluded.leased_by, leased_until = excluded.leased_until \
                   WHERE schedule.next_run_at <= $5 AND schedule.leased_until <= $5";
        let values = [
            name.into(),
            (now + every).as_millis().into(),
            worker.into(),
            (now + lease).as_millis().into(),
            now.as_millis().into(),
        ];
        let taken = unit.execute(sql, values).await? == 1;
        unit.finish().await?;
        Ok(taken)
    }
}

/// The condition that a job may be claimed at the instant in the given parameter.
fn is_due(now: usize) -> String {
    format!("state = 'queued' AND run_at <= ${now} AND (leased_until IS NULL OR leased_until <= ${now})")
}

/// What an outcome makes of a job: id, state, new due time, error, when it was settled, attempts not to be counted.
fn settled(id: JobId, outcome: &JobOutcome, now: Timestamp) -> Value {
    let (state, run_at, error, is_attempt) = match outcome {
        JobOutcome::Done => (JobState::Done, None, None, true),
        JobOutcome::Dead { error } => (JobState::Dead, None, Some(error), true),
        JobOutcome::Retry { at, error } => (JobState::Queued, Some(*at), Some(error), true),
        JobOutcome::Postpone { at } => (JobState::Queued, Some(*at), None, false),
    };
    let settled_at = (state != JobState::Queued).then_some(now.as_millis());
    let error = error.map(|e| e.chars().take(MAX_ERROR_CHARS).collect::<String>());
    json!([text(&id), state.as_str(), run_at.map(Timestamp::as_millis), error, settled_at, i32::from(!is_attempt)])
}

fn claimed(row: &QueryResult) -> Result<(i64, ClaimedJob), StoreError> {
    let attempts: i32 = row.try_get("", "attempts").map_err(store_error)?;
    let id: String = row.try_get("", "id").map_err(store_error)?;
    let job = ClaimedJob {
        id: parse("job.id", &id)?,
        kind: row.try_get("", "kind").map_err(store_error)?,
        payload: row.try_get("", "payload").map_err(store_error)?,
        idempotency_key: row.try_get("", "idempotency_key").map_err(store_error)?,
        attempt: u32::try_from(attempts).unwrap_or(0),
    };
    Ok((row.try_get("", "run_at").map_err(store_error)?, job))
}
