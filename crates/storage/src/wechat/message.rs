//! Messages to the platform, and the pauses of lanes.

use ::wechat::errcode::Class;
use ::wechat::message::{Message, MessageFilter, MessageKind, MessageState};
use ::wechat::ports::MessageRepository;
use async_trait::async_trait;
use domain::page::{Cursor, Page, PageRequest};
use domain::{ObjectId, StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use super::{column_of, count, get};
use crate::convert::{from_json, instant, known, millis, parse, text, to_json};
use crate::store::SeaUnit;

fn message(row: &QueryResult) -> Result<Message, StoreError> {
    let at = |column| Ok::<_, StoreError>(Timestamp::from_millis(get(row, column)?));
    let class: Option<String> = get(row, "class")?;
    Ok(Message {
        id: parse("wechat_message.id", &get::<String>(row, "id")?)?,
        app: get(row, "app")?,
        kind: known("wechat_message.kind", MessageKind::parse(&get::<String>(row, "kind")?))?,
        openid: get(row, "openid")?,
        template_id: get(row, "template_id")?,
        page: get(row, "page")?,
        data: from_json("wechat_message.data", get(row, "data")?)?,
        sealed: get(row, "sealed")?,
        key: get(row, "message_key")?,
        is_harmless_twice: get(row, "is_harmless_twice")?,
        state: known("wechat_message.state", MessageState::parse(&get::<String>(row, "state")?))?,
        holds_grant: get(row, "holds_grant")?,
        attempts: count(row, "attempts")?,
        msg_id: get(row, "msg_id")?,
        class: class.map(|class| known("wechat_message.class", Class::parse(&class))).transpose()?,
        code: get(row, "code")?,
        reason: get(row, "reason")?,
        rid: get(row, "rid")?,
        not_before: at("not_before")?,
        expires_at: at("expires_at")?,
        leased_until: instant(get(row, "leased_until")?),
        created_at: at("created_at")?,
        updated_at: at("updated_at")?,
    })
}

fn id_of(row: Option<&QueryResult>) -> Result<Option<ObjectId>, StoreError> {
    row.map(|row| parse("wechat_message.id", &get::<String>(row, "id")?)).transpose()
}

#[async_trait]
impl MessageRepository for SeaUnit {
    async fn insert(&mut self, message: &Message) -> Result<bool, StoreError> {
        let sql = "INSERT INTO wechat_message (id, app, kind, openid, template_id, page, data, sealed, message_key, \
                   is_harmless_twice, state, holds_grant, attempts, not_before, expires_at, created_at, updated_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
                   ON CONFLICT (message_key) DO NOTHING";
        let values: [Value; 17] = [
            text(&message.id).into(),
            message.app.as_str().into(),
            message.kind.as_str().into(),
            message.openid.as_str().into(),
            message.template_id.clone().into(),
            message.page.clone().into(),
            to_json(&message.data).into(),
            message.sealed.clone().into(),
            message.key.as_str().into(),
            message.is_harmless_twice.into(),
            message.state.as_str().into(),
            message.holds_grant.into(),
            column_of(message.attempts).into(),
            message.not_before.as_millis().into(),
            message.expires_at.as_millis().into(),
            message.created_at.as_millis().into(),
            message.updated_at.as_millis().into(),
        ];
        Ok(self.execute(sql, values).await? == 1)
    }

    async fn find(&mut self, id: ObjectId) -> Result<Option<Message>, StoreError> {
        let rows = self.query("SELECT * FROM wechat_message WHERE id = $1", [text(&id).into()]).await?;
        rows.first().map(message).transpose()
    }

    async fn find_by_key(&mut self, key: &str) -> Result<Option<Message>, StoreError> {
        let rows = self.query("SELECT * FROM wechat_message WHERE message_key = $1", [key.into()]).await?;
        rows.first().map(message).transpose()
    }

    async fn lock(&mut self, id: ObjectId) -> Result<Option<Message>, StoreError> {
        let sql = format!("SELECT * FROM wechat_message WHERE id = $1{}", self.backend.for_update());
        self.query(&sql, [text(&id).into()]).await?.first().map(message).transpose()
    }

    async fn update(&mut self, message: &Message) -> Result<(), StoreError> {
        let sql = "UPDATE wechat_message SET state = $2, holds_grant = $3, attempts = $4, msg_id = $5, class = $6, \
                   code = $7, reason = $8, rid = $9, not_before = $10, leased_until = $11, updated_at = $12, \
                   sealed = $13 WHERE id = $1";
        let values: [Value; 13] = [
            text(&message.id).into(),
            message.state.as_str().into(),
            message.holds_grant.into(),
            column_of(message.attempts).into(),
            message.msg_id.clone().into(),
            message.class.map(Class::as_str).map(str::to_owned).into(),
            message.code.into(),
            message.reason.clone().into(),
            message.rid.clone().into(),
            message.not_before.as_millis().into(),
            millis(message.leased_until).into(),
            message.updated_at.as_millis().into(),
            message.sealed.clone().into(),
        ];
        if self.execute(sql, values).await? == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn find_sending(&mut self, app: &str, openid: &str) -> Result<Option<Message>, StoreError> {
        let lock = self.backend.for_update();
        let sql = format!("SELECT * FROM wechat_message WHERE app = $1 AND openid = $2 AND state = 'sending'{lock}");
        self.query(&sql, [app.into(), openid.into()]).await?.first().map(message).transpose()
    }

    async fn find_by_msg_id(&mut self, app: &str, msg_id: &str) -> Result<Option<ObjectId>, StoreError> {
        let sql = "SELECT id FROM wechat_message WHERE app = $1 AND msg_id = $2 LIMIT 1";
        id_of(self.query(sql, [app.into(), msg_id.into()]).await?.first())
    }

    async fn find_unknown(
        &mut self,
        app: &str,
        openid: &str,
        template_id: &str,
    ) -> Result<Option<ObjectId>, StoreError> {
        let sql = "SELECT id FROM wechat_message WHERE app = $1 AND openid = $2 AND template_id = $3 \
                   AND state = 'unknown' ORDER BY updated_at DESC LIMIT 1";
        id_of(self.query(sql, [app.into(), openid.into(), template_id.into()]).await?.first())
    }

    async fn list_stranded(&mut self, now: Timestamp, limit: u32) -> Result<Vec<ObjectId>, StoreError> {
        let sql = "SELECT id FROM wechat_message WHERE (state = 'sending' AND leased_until <= $1) \
                   OR (state = 'queued' AND expires_at <= $1) ORDER BY created_at LIMIT $2";
        let rows = self.query(sql, [now.as_millis().into(), i64::from(limit).into()]).await?;
        rows.iter().map(|row| parse("wechat_message.id", &get::<String>(row, "id")?)).collect()
    }

    async fn list(&mut self, filter: &MessageFilter, page: PageRequest) -> Result<Page<Message>, StoreError> {
        let mut values: Vec<Value> = Vec::new();
        let mut conditions = vec!["1 = 1".to_owned()];
        let wanted = [("app", filter.app.clone()), ("state", filter.state.map(|state| state.as_str().to_owned()))];
        for (column, value) in wanted {
            if let Some(value) = value {
                values.push(value.into());
                conditions.push(format!("{column} = ${}", values.len()));
            }
        }
        let rows = super::push::page(self, "wechat_message", "created_at", conditions, values, page).await?;
        let found = rows.iter().map(message).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(found, page.limit, |m| Cursor { at: m.created_at, id: m.id }))
    }

    async fn pause(&mut self, app: &str, lane: &str, until: Timestamp, code: i64) -> Result<(), StoreError> {
        let sql = "INSERT INTO wechat_pause (app, lane, paused_until, code) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (app, lane) DO UPDATE SET paused_until = excluded.paused_until, code = excluded.code";
        self.execute(sql, [app.into(), lane.into(), until.as_millis().into(), code.into()]).await?;
        Ok(())
    }

    async fn paused(&mut self, app: &str, lane: &str, now: Timestamp) -> Result<Option<(Timestamp, i64)>, StoreError> {
        let sql = "SELECT paused_until, code FROM wechat_pause WHERE app = $1 AND lane = $2 AND paused_until > $3";
        let rows = self.query(sql, [app.into(), lane.into(), now.as_millis().into()]).await?;
        rows.first().map(|row| Ok((Timestamp::from_millis(get(row, "paused_until")?), get(row, "code")?))).transpose()
    }
}
