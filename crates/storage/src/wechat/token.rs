//! Access tokens and the leases of whoever fetches them. Each call is its own transaction of one statement.

use ::wechat::token::{NewToken, TokenFault, TokenRepository, TokenRow};
use async_trait::async_trait;
use domain::{StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use super::{column_of, count, get};
use crate::convert::{instant, millis};
use crate::store::SeaStore;

impl SeaStore {
    async fn run(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> Result<u64, StoreError> {
        let unit = self.unit().await?;
        let changed = unit.execute(sql, values).await?;
        unit.finish().await?;
        Ok(changed)
    }
}

fn token_row(row: &QueryResult) -> Result<TokenRow, StoreError> {
    let fault_code: Option<i64> = get(row, "fault_code")?;
    let fault = match (fault_code, get::<Option<i64>>(row, "fault_at")?) {
        (Some(code), Some(at)) => Some(TokenFault {
            code,
            message: get::<Option<String>>(row, "fault_message")?.unwrap_or_default(),
            rid: get(row, "fault_rid")?,
            at: Timestamp::from_millis(at),
        }),
        _ => None,
    };
    Ok(TokenRow {
        version: get(row, "version")?,
        sealed: get(row, "sealed")?,
        good_until: instant(get(row, "good_until")?),
        fetched_at: instant(get(row, "fetched_at")?),
        invalid_version: get(row, "invalid_version")?,
        invalidations: count(row, "invalidations")?,
        invalidated_at: instant(get(row, "invalidated_at")?),
        lease_until: Some(Timestamp::from_millis(get(row, "lease_until")?)),
        blocked_until: instant(get(row, "blocked_until")?),
        failures: count(row, "failures")?,
        fault,
        fetches: get(row, "fetches")?,
        forced_day: get(row, "forced_day")?,
        forced_count: count(row, "forced_count")?,
        forced_at: instant(get(row, "forced_at")?),
    })
}

#[async_trait]
impl TokenRepository for SeaStore {
    async fn find(&self, app: &str) -> Result<TokenRow, StoreError> {
        let rows = self.reading().query("SELECT * FROM wechat_token WHERE app = $1", [app.into()]).await?;
        rows.first().map_or_else(|| Ok(TokenRow::default()), token_row)
    }

    async fn try_lease(
        &self,
        app: &str,
        holder: &str,
        seen_version: i64,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "INSERT INTO wechat_token (app, version, invalid_version, invalidations, failures, fetches, \
                   forced_count, lease_holder, lease_until) VALUES ($1, 0, 0, 0, 0, 0, 0, $2, $3) \
                   ON CONFLICT (app) DO UPDATE SET lease_holder = excluded.lease_holder, \
                   lease_until = excluded.lease_until \
                   WHERE wechat_token.lease_until <= $4 AND wechat_token.version = $5";
        let values = [app.into(), holder.into(), until.as_millis().into(), now.as_millis().into(), seen_version.into()];
        Ok(self.run(sql, values).await? == 1)
    }

    async fn save(&self, app: &str, holder: &str, token: &NewToken, now: Timestamp) -> Result<Option<i64>, StoreError> {
        let sql = "UPDATE wechat_token SET version = version + $1, sealed = $2, good_until = $3, fetched_at = $4, \
                   fetches = fetches + 1, failures = 0, blocked_until = NULL, fault_code = NULL, \
                   fault_message = NULL, fault_rid = NULL, fault_at = NULL, lease_holder = NULL, lease_until = 0 \
                   WHERE app = $5 AND lease_holder = $6 RETURNING version";
        let values = [
            i64::from(token.is_new_value).into(),
            token.sealed.clone().into(),
            token.good_until.as_millis().into(),
            now.as_millis().into(),
            app.into(),
            holder.into(),
        ];
        let unit = self.unit().await?;
        let rows = unit.query(sql, values).await?;
        unit.finish().await?;
        rows.first().map(|row| get(row, "version")).transpose()
    }

    async fn fail(
        &self,
        app: &str,
        holder: &str,
        fault: &TokenFault,
        blocked_until: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE wechat_token SET failures = failures + 1, blocked_until = $1, fault_code = $2, \
                   fault_message = $3, fault_rid = $4, fault_at = $5, lease_holder = NULL, lease_until = 0 \
                   WHERE app = $6 AND lease_holder = $7";
        let values = [
            blocked_until.as_millis().into(),
            fault.code.into(),
            fault.message.as_str().into(),
            fault.rid.clone().into(),
            fault.at.as_millis().into(),
            app.into(),
            holder.into(),
        ];
        self.run(sql, values).await?;
        Ok(())
    }

    async fn invalidate(
        &self,
        app: &str,
        version: i64,
        series: u32,
        now: Timestamp,
        blocked_until: Option<Timestamp>,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE wechat_token SET invalid_version = version, invalidations = $1, invalidated_at = $2, \
                   blocked_until = COALESCE($3, blocked_until), \
                   fault_code = CASE WHEN $3 IS NULL THEN fault_code ELSE 40001 END, \
                   fault_message = CASE WHEN $3 IS NULL THEN fault_message \
                   ELSE 'the platform refuses one token after the other' END, \
                   fault_at = CASE WHEN $3 IS NULL THEN fault_at ELSE $2 END \
                   WHERE app = $4 AND version = $5 AND invalid_version < $5";
        let values = [
            column_of(series).into(),
            now.as_millis().into(),
            millis(blocked_until).into(),
            app.into(),
            version.into(),
        ];
        Ok(self.run(sql, values).await? == 1)
    }

    async fn count_force(
        &self,
        app: &str,
        day: &str,
        limit: u32,
        not_after: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE wechat_token SET forced_count = CASE WHEN forced_day = $1 THEN forced_count + 1 ELSE 1 END, \
                   forced_day = $1, forced_at = $2 \
                   WHERE app = $3 AND (forced_at IS NULL OR forced_at <= $4) \
                   AND (forced_day IS NULL OR forced_day <> $1 OR forced_count < $5)";
        let values =
            [day.into(), now.as_millis().into(), app.into(), not_after.as_millis().into(), column_of(limit).into()];
        Ok(self.run(sql, values).await? == 1)
    }
}
