//! Breakers.

use ::sms::breaker::{Breaker, BreakerRepository, BreakerState};
use ::sms::message::TemplateKind;
use ::sms::provider::ProviderName;
use async_trait::async_trait;
use domain::{StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use super::attempt::small;
use crate::backend::{Backend, store_error};
use crate::convert::{instant, known, millis};
use crate::store::SeaUnit;

/// Key of the advisory lock over all breakers: whether one may open depends on the others.
const LOCK_KEY: i64 = 0x736d_735f_6272_6b72;

fn breaker(row: &QueryResult) -> Result<Breaker, StoreError> {
    let word = |column: &str| row.try_get::<String>("", column).map_err(store_error);
    let failures: i32 = row.try_get("", "failures").map_err(store_error)?;
    let changed_at: i64 = row.try_get("", "changed_at").map_err(store_error)?;
    Ok(Breaker {
        provider: known("sms_breaker.provider", ProviderName::parse(&word("provider")?))?,
        kind: known("sms_breaker.kind", TemplateKind::parse(&word("kind")?))?,
        state: known("sms_breaker.state", BreakerState::parse(&word("state")?))?,
        failures: known("sms_breaker.failures", u32::try_from(failures).ok())?,
        retry_at: instant(row.try_get("", "retry_at").map_err(store_error)?),
        reason: row.try_get("", "reason").map_err(store_error)?,
        changed_at: Timestamp::from_millis(changed_at),
    })
}

#[async_trait]
impl BreakerRepository for SeaUnit {
    async fn list(&mut self) -> Result<Vec<Breaker>, StoreError> {
        let sql = "SELECT provider, kind, state, failures, retry_at, reason, changed_at FROM sms_breaker \
                   ORDER BY provider, kind";
        self.query(sql, []).await?.iter().map(breaker).collect()
    }

    async fn list_locked(&mut self) -> Result<Vec<Breaker>, StoreError> {
        if self.backend == Backend::Postgres {
            self.query("SELECT pg_advisory_xact_lock($1)", [Value::from(LOCK_KEY)]).await?;
        }
        self.list().await
    }

    async fn save(&mut self, b: &Breaker) -> Result<(), StoreError> {
        let sql = "INSERT INTO sms_breaker (provider, kind, state, failures, retry_at, reason, changed_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (provider, kind) DO UPDATE SET \
                   state = excluded.state, failures = excluded.failures, retry_at = excluded.retry_at, \
                   reason = excluded.reason, changed_at = excluded.changed_at";
        let values = [
            b.provider.as_str().into(),
            b.kind.as_str().into(),
            b.state.as_str().into(),
            small(b.failures).into(),
            millis(b.retry_at).into(),
            b.reason.clone().into(),
            b.changed_at.as_millis().into(),
        ];
        self.execute(sql, values).await?;
        Ok(())
    }
}
