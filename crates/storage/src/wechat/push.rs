//! Pushes, each once.

use ::wechat::ports::{PushRepository, StoredPush};
use async_trait::async_trait;
use domain::page::PageRequest;
use domain::{ObjectId, StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use super::get;
use crate::convert::{instant, parse, text};
use crate::store::SeaUnit;

/// One page of a table, newest first, with one row more when there is more. The conditions hold no input.
pub(super) async fn page(
    unit: &SeaUnit,
    table: &str,
    time: &str,
    mut conditions: Vec<String>,
    mut values: Vec<Value>,
    page: PageRequest,
) -> Result<Vec<QueryResult>, StoreError> {
    if let Some(after) = page.after {
        let (at, id) = (values.len() + 1, values.len() + 2);
        conditions.push(format!("({time} < ${at} OR ({time} = ${at} AND id < ${id}))"));
        values.extend([after.at.as_millis().into(), after.id.to_string().into()]);
    }
    let limit = page.limit + 1;
    let conditions = conditions.join(" AND ");
    let sql = format!("SELECT * FROM {table} WHERE {conditions} ORDER BY {time} DESC, id DESC LIMIT {limit}");
    unit.query(&sql, values).await
}

#[async_trait]
impl PushRepository for SeaUnit {
    async fn insert(&mut self, push: &StoredPush) -> Result<bool, StoreError> {
        let sql = "INSERT INTO wechat_push (id, app, dedupe_key, kind, sealed, received_at) \
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (dedupe_key) DO NOTHING";
        let values: [Value; 6] = [
            text(&push.id).into(),
            push.app.as_str().into(),
            push.dedupe_key.as_str().into(),
            push.kind.as_str().into(),
            push.sealed.clone().into(),
            push.received_at.as_millis().into(),
        ];
        Ok(self.execute(sql, values).await? == 1)
    }

    async fn lock(&mut self, id: ObjectId) -> Result<Option<StoredPush>, StoreError> {
        let sql = format!("SELECT * FROM wechat_push WHERE id = $1{}", self.backend.for_update());
        let rows = self.query(&sql, [text(&id).into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(StoredPush {
            id: parse("wechat_push.id", &get::<String>(row, "id")?)?,
            app: get(row, "app")?,
            dedupe_key: get(row, "dedupe_key")?,
            kind: get(row, "kind")?,
            sealed: get::<Option<Vec<u8>>>(row, "sealed")?.unwrap_or_default(),
            received_at: Timestamp::from_millis(get(row, "received_at")?),
            handled_at: instant(get(row, "handled_at")?),
        }))
    }

    async fn mark_handled(&mut self, id: ObjectId, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE wechat_push SET handled_at = $1 WHERE id = $2";
        self.execute(sql, [now.as_millis().into(), text(&id).into()]).await?;
        Ok(())
    }

    async fn purge(&mut self, bodies: Timestamp, keys: Timestamp) -> Result<u64, StoreError> {
        let sql = "UPDATE wechat_push SET sealed = NULL WHERE sealed IS NOT NULL AND received_at < $1";
        let emptied = self.execute(sql, [bodies.as_millis().into()]).await?;
        let forgotten =
            self.execute("DELETE FROM wechat_push WHERE received_at < $1", [keys.as_millis().into()]).await?;
        Ok(emptied + forgotten)
    }
}
