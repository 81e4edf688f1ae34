//! Writing jobs inside a unit, and the acts on dead ones.

use async_trait::async_trait;
use domain::id::JobId;
use domain::outbox::{DeadLetterRepository, JobRecord, JobState, NewJob, OutboxRepository};
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::bulk;
use crate::convert::{instant, known, parse, text};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "job")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub kind: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub payload: Json,
    pub idempotency_key: String,
    pub state: String,
    pub run_at: i64,
    pub attempts: i32,
    pub leased_by: Option<String>,
    pub leased_until: Option<i64>,
    pub last_error: Option<String>,
    pub created_at: i64,
    pub settled_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What becomes of a job under a key that is taken.
pub(crate) const UNLESS_KNOWN: &str = "ON CONFLICT (idempotency_key) DO NOTHING";

pub(crate) fn row(job: &NewJob) -> ActiveModel {
    ActiveModel {
        id: Set(text(&job.id)),
        kind: Set(job.kind.to_owned()),
        payload: Set(job.payload.clone()),
        idempotency_key: Set(job.idempotency_key.clone()),
        state: Set(JobState::Queued.as_str().to_owned()),
        run_at: Set(job.run_at.as_millis()),
        attempts: Set(0),
        leased_by: Set(None),
        leased_until: Set(None),
        last_error: Set(None),
        created_at: Set(job.created_at.as_millis()),
        settled_at: Set(None),
    }
}

pub(super) fn record(row: Model) -> Result<JobRecord, StoreError> {
    Ok(JobRecord {
        id: parse("job.id", &row.id)?,
        kind: row.kind,
        payload: row.payload,
        state: known("job.state", JobState::parse(&row.state))?,
        attempts: u32::try_from(row.attempts).unwrap_or(0),
        run_at: Timestamp::from_millis(row.run_at),
        leased_until: instant(row.leased_until),
        last_error: row.last_error,
        created_at: Timestamp::from_millis(row.created_at),
    })
}

#[async_trait]
impl OutboxRepository for SeaUnit {
    async fn append_all(&mut self, jobs: &[NewJob]) -> Result<(), StoreError> {
        bulk::insert::<Entity>(self, jobs.iter().map(row), UNLESS_KNOWN).await?;
        Ok(())
    }
}

#[async_trait]
impl DeadLetterRepository for SeaUnit {
    async fn retry(&mut self, id: JobId, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE job SET state = 'queued', attempts = 0, run_at = $1, leased_by = NULL, leased_until = NULL, \
                   settled_at = NULL WHERE id = $2 AND state = 'dead'";
        Ok(self.execute(sql, [now.as_millis().into(), text(&id).into()]).await? == 1)
    }

    async fn discard(&mut self, id: JobId, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE job SET state = 'discarded', settled_at = $1 WHERE id = $2 AND state = 'dead'";
        Ok(self.execute(sql, [now.as_millis().into(), text(&id).into()]).await? == 1)
    }
}
