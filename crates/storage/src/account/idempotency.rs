//! Idempotency keys.

use ::account::idempotency::{IdempotencyRecord, IdempotencyRepository, IdempotencyScope, StoredResponse};
use async_trait::async_trait;
use domain::{StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use crate::backend::store_error;
use crate::convert::known;
use crate::seal::Seal;
use crate::store::SeaUnit;

fn names(scope: &IdempotencyScope) -> [Value; 3] {
    [scope.actor.as_str().into(), scope.operation.as_str().into(), scope.key.as_str().into()]
}

fn record(seal: &Seal, row: &QueryResult, scope: &IdempotencyScope) -> Result<IdempotencyRecord, StoreError> {
    let instant = |name| row.try_get("", name).map(Timestamp::from_millis).map_err(store_error);
    let status: Option<i32> = row.try_get("", "status").map_err(store_error)?;
    let fingerprint: String = row.try_get("", "fingerprint").map_err(store_error)?;
    let response = match status {
        None => None,
        Some(status) => Some(StoredResponse {
            status: known("idempotency_record.status", u16::try_from(status).ok())?,
            content_type: row.try_get("", "content_type").map_err(store_error)?,
            body: seal.open_bytes("idempotency_record.body", &sealed_body(row)?)?,
        }),
    };
    Ok(IdempotencyRecord {
        scope: scope.clone(),
        fingerprint: seal.open_digest("idempotency_record.fingerprint", &fingerprint)?,
        leased_until: instant("leased_until")?,
        response,
        created_at: instant("created_at")?,
        expires_at: instant("expires_at")?,
    })
}

fn sealed_body(row: &QueryResult) -> Result<Vec<u8>, StoreError> {
    row.try_get("", "body").map_err(store_error)
}

#[async_trait]
impl IdempotencyRepository for SeaUnit {
    async fn insert_or_find(
        &mut self,
        new: &IdempotencyRecord,
        now: Timestamp,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        let [actor, operation, key] = names(&new.scope);
        let expired = "DELETE FROM idempotency_record \
                       WHERE actor = $1 AND operation = $2 AND key = $3 AND expires_at <= $4";
        self.execute(expired, [actor.clone(), operation.clone(), key.clone(), now.as_millis().into()]).await?;
        let insert = "INSERT INTO idempotency_record \
                      (actor, operation, key, fingerprint, leased_until, created_at, expires_at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (actor, operation, key) DO NOTHING";
        let values = [
            actor,
            operation,
            key,
            self.seal.digest(&new.fingerprint).into(),
            new.leased_until.as_millis().into(),
            new.created_at.as_millis().into(),
            new.expires_at.as_millis().into(),
        ];
        if self.execute(insert, values).await? == 1 {
            return Ok(None);
        }
        let select = "SELECT fingerprint, leased_until, status, content_type, body, created_at, expires_at \
                      FROM idempotency_record WHERE actor = $1 AND operation = $2 AND key = $3";
        let rows = self.query(select, names(&new.scope)).await?;
        // The one in the way may have been released this very moment: to the caller that is a clash.
        rows.first().map_or(Err(StoreError::Conflict), |row| record(&self.seal, row, &new.scope).map(Some))
    }

    async fn take_over(
        &mut self,
        scope: &IdempotencyScope,
        held_until: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let [actor, operation, key] = names(scope);
        let sql = "UPDATE idempotency_record SET leased_until = $1 \
                   WHERE actor = $2 AND operation = $3 AND key = $4 AND leased_until = $5 AND status IS NULL";
        let values = [until.as_millis().into(), actor, operation, key, held_until.as_millis().into()];
        Ok(self.execute(sql, values).await? == 1)
    }

    async fn complete(
        &mut self,
        scope: &IdempotencyScope,
        held_until: Timestamp,
        response: &StoredResponse,
    ) -> Result<bool, StoreError> {
        let [actor, operation, key] = names(scope);
        let sql = "UPDATE idempotency_record SET status = $1, content_type = $2, body = $3 \
                   WHERE actor = $4 AND operation = $5 AND key = $6 AND leased_until = $7 AND status IS NULL";
        let values = [
            i32::from(response.status).into(),
            response.content_type.clone().into(),
            self.seal.bytes(&response.body).into(),
            actor,
            operation,
            key,
            held_until.as_millis().into(),
        ];
        Ok(self.execute(sql, values).await? == 1)
    }

    async fn release(&mut self, scope: &IdempotencyScope, held_until: Timestamp) -> Result<(), StoreError> {
        let [actor, operation, key] = names(scope);
        let sql = "DELETE FROM idempotency_record \
                   WHERE actor = $1 AND operation = $2 AND key = $3 AND leased_until = $4 AND status IS NULL";
        self.execute(sql, [actor, operation, key, held_until.as_millis().into()]).await?;
        Ok(())
    }

    async fn purge(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        self.execute("DELETE FROM idempotency_record WHERE expires_at <= $1", [now.as_millis().into()]).await
    }
}
