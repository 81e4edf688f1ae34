//! Customer-service sessions: windows and what people wrote.

use ::wechat::ports::ServiceRepository;
use ::wechat::service_message::{InboundKind, InboundMessage, Relay, ServiceWindow};
use async_trait::async_trait;
use domain::page::{Cursor, Page, PageRequest};
use domain::{ObjectId, StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use super::{column_of, count, get, push};
use crate::convert::{instant, known, millis, parse, parse_opt, text, text_opt};
use crate::store::SeaUnit;

fn inbound(row: &QueryResult) -> Result<InboundMessage, StoreError> {
    let user: Option<String> = get(row, "user_id")?;
    Ok(InboundMessage {
        id: parse("wechat_inbound.id", &get::<String>(row, "id")?)?,
        app: get(row, "app")?,
        openid: get(row, "openid")?,
        user: parse_opt("wechat_inbound.user_id", user.as_deref())?,
        kind: known("wechat_inbound.kind", InboundKind::parse(&get::<String>(row, "kind")?))?,
        sealed: get(row, "sealed")?,
        received_at: Timestamp::from_millis(get(row, "received_at")?),
        handed_over_at: instant(get(row, "handed_over_at")?),
    })
}

fn relay_values(relay: &Relay) -> [Value; 5] {
    let Relay { conversation, app, openid, seq, is_active } = relay;
    [text(conversation).into(), app.as_str().into(), openid.as_str().into(), (*seq).into(), (*is_active).into()]
}

#[async_trait]
impl ServiceRepository for SeaUnit {
    async fn lock_window(&mut self, app: &str, openid: &str) -> Result<ServiceWindow, StoreError> {
        let sql = "INSERT INTO wechat_service_window (app, openid, sent_since_written, sent_since_entered) \
                   VALUES ($1, $2, 0, 0) ON CONFLICT (app, openid) DO NOTHING";
        self.execute(sql, [app.into(), openid.into()]).await?;
        let lock = self.backend.for_update();
        let sql = format!("SELECT * FROM wechat_service_window WHERE app = $1 AND openid = $2{lock}");
        let rows = self.query(&sql, [app.into(), openid.into()]).await?;
        let Some(row) = rows.first() else { return Ok(ServiceWindow::closed(app, openid)) };
        Ok(ServiceWindow {
            app: app.to_owned(),
            openid: openid.to_owned(),
            written_at: instant(get(row, "written_at")?),
            sent_since_written: count(row, "sent_since_written")?,
            entered_at: instant(get(row, "entered_at")?),
            sent_since_entered: count(row, "sent_since_entered")?,
        })
    }

    async fn save_window(&mut self, window: &ServiceWindow) -> Result<(), StoreError> {
        let sql = "UPDATE wechat_service_window SET written_at = $3, sent_since_written = $4, entered_at = $5, \
                   sent_since_entered = $6 WHERE app = $1 AND openid = $2";
        let values: [Value; 6] = [
            window.app.as_str().into(),
            window.openid.as_str().into(),
            millis(window.written_at).into(),
            column_of(window.sent_since_written).into(),
            millis(window.entered_at).into(),
            column_of(window.sent_since_entered).into(),
        ];
        if self.execute(sql, values).await? == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn insert_inbound(&mut self, message: &InboundMessage) -> Result<(), StoreError> {
        let sql = "INSERT INTO wechat_inbound (id, app, openid, user_id, kind, sealed, received_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let values: [Value; 7] = [
            text(&message.id).into(),
            message.app.as_str().into(),
            message.openid.as_str().into(),
            text_opt(message.user.as_ref()).into(),
            message.kind.as_str().into(),
            message.sealed.clone().into(),
            message.received_at.as_millis().into(),
        ];
        self.execute(sql, values).await?;
        Ok(())
    }

    async fn find_inbound(&mut self, id: ObjectId) -> Result<Option<InboundMessage>, StoreError> {
        let rows = self.query("SELECT * FROM wechat_inbound WHERE id = $1", [text(&id).into()]).await?;
        rows.first().map(inbound).transpose()
    }

    async fn mark_handed_over(&mut self, id: ObjectId, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE wechat_inbound SET handed_over_at = $1 WHERE id = $2 AND handed_over_at IS NULL";
        self.execute(sql, [now.as_millis().into(), text(&id).into()]).await?;
        Ok(())
    }

    async fn save_relay(&mut self, relay: &Relay) -> Result<(), StoreError> {
        let sql = "INSERT INTO wechat_relay (conversation_id, app, openid, seq, is_active) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (conversation_id) DO UPDATE SET app = excluded.app, openid = excluded.openid, \
                   seq = excluded.seq, is_active = excluded.is_active";
        self.execute(sql, relay_values(relay)).await?;
        Ok(())
    }

    async fn open_relay(&mut self, relay: &Relay) -> Result<(), StoreError> {
        let sql = "INSERT INTO wechat_relay (conversation_id, app, openid, seq, is_active) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (conversation_id) DO UPDATE SET app = excluded.app, openid = excluded.openid";
        self.execute(sql, relay_values(relay)).await?;
        Ok(())
    }

    async fn find_relay(&mut self, conversation: ObjectId) -> Result<Option<Relay>, StoreError> {
        let sql = "SELECT app, openid, seq, is_active FROM wechat_relay WHERE conversation_id = $1";
        let read = |row: &QueryResult| {
            let (app, openid) = (get(row, "app")?, get(row, "openid")?);
            Ok(Relay { conversation, app, openid, seq: get(row, "seq")?, is_active: get(row, "is_active")? })
        };
        self.query(sql, [text(&conversation).into()]).await?.first().map(read).transpose()
    }

    async fn list_inbound(&mut self, app: &str, page: PageRequest) -> Result<Page<InboundMessage>, StoreError> {
        let (conditions, values) = (vec!["app = $1".to_owned()], vec![app.into()]);
        let rows = push::page(self, "wechat_inbound", "received_at", conditions, values, page).await?;
        let found = rows.iter().map(inbound).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(found, page.limit, |message| Cursor { at: message.received_at, id: message.id }))
    }
}
