//! What only the realtime protocol of LeanCloud clients needs: session tokens, unique conversations, changed messages.

use ::im::log::{EventKind, LogEvent, LogRepository};
use ::im::presence::PresenceRepository;
use ::im::{Conversation, ConversationRepository, Message, MessageRepository};
use ::leancloud::realtime::{Party, RealtimeRepository, RealtimeStore, RealtimeUnit, Ticket, WrittenSpan};
use ::leancloud::rest::DocumentRepository;
use async_trait::async_trait;
use domain::file::FileRepository;
use domain::id::{ConversationId, DoctorId, PatientId, UserId};
use domain::{ObjectId, StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use super::document::{json_parameter, json_text};
use crate::backend::{Backend, store_error};
use crate::convert::{instant, millis, parse_opt, text};
use crate::im::{log_events, messages};
use crate::store::{SeaStore, SeaUnit};

fn column<T: sea_orm::TryGetable>(row: &QueryResult, name: &str) -> Result<T, StoreError> {
    row.try_get("", name).map_err(store_error)
}

fn ticket(row: &QueryResult) -> Result<Ticket, StoreError> {
    Ok(Ticket {
        token_hash: column(row, "token_hash")?,
        client_id: column(row, "client_id")?,
        tag: column(row, "tag")?,
        device_id: column(row, "device_id")?,
        created_at: Timestamp::from_millis(column(row, "created_at")?),
        expires_at: Timestamp::from_millis(column(row, "expires_at")?),
        superseded_at: instant(column(row, "superseded_at")?),
    })
}

impl SeaUnit {
    async fn conversation_id(&self, sql: &str, values: Vec<Value>) -> Result<Option<ConversationId>, StoreError> {
        let rows = self.query(sql, values).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        parse_opt("conversation.id", Some(&column::<String>(row, "id")?))
    }
}

#[async_trait]
impl RealtimeRepository for SeaUnit {
    async fn party(&mut self, client_id: &str) -> Result<Party, StoreError> {
        // Only ids of this form are anybody's.
        if client_id.parse::<ObjectId>().is_err() {
            return Ok(Party::default());
        }
        let sql = "SELECT 'patient' AS kind, id, user_id, closed_at FROM patient WHERE id = $1 OR user_id = $1 \
                   UNION ALL SELECT 'doctor', id, user_id, closed_at FROM doctor WHERE id = $1 OR user_id = $1 \
                   UNION ALL SELECT 'user', id, id, closed_at FROM account_user WHERE id = $1";
        let mut party = Party::default();
        for row in self.query(sql, [client_id.into()]).await? {
            let id: String = column(&row, "id")?;
            if column::<Option<i64>>(&row, "closed_at")?.is_some() {
                party.is_closed |= id == client_id;
                continue;
            }
            let user: Option<String> = column(&row, "user_id")?;
            if let Some(user) = parse_opt::<UserId>("user_id", user.as_deref())? {
                party.user = Some(user);
            }
            match column::<String>(&row, "kind")?.as_str() {
                "patient" => party.patient = parse_opt::<PatientId>("patient.id", Some(&id))?,
                "doctor" => party.doctor = parse_opt::<DoctorId>("doctor.id", Some(&id))?,
                _ => {}
            }
        }
        Ok(party)
    }

    async fn insert_ticket(&mut self, ticket: &Ticket) -> Result<(), StoreError> {
        let sql = "INSERT INTO realtime_ticket (token_hash, client_id, tag, device_id, created_at, expires_at, \
                   superseded_at) VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let values: [Value; 7] = [
            ticket.token_hash.as_str().into(),
            ticket.client_id.as_str().into(),
            ticket.tag.clone().into(),
            ticket.device_id.clone().into(),
            ticket.created_at.as_millis().into(),
            ticket.expires_at.as_millis().into(),
            millis(ticket.superseded_at).into(),
        ];
        self.execute(sql, values).await?;
        Ok(())
    }

    async fn find_ticket(&mut self, token_hash: &str) -> Result<Option<Ticket>, StoreError> {
        let rows = self.query("SELECT * FROM realtime_ticket WHERE token_hash = $1", [token_hash.into()]).await?;
        rows.first().map(ticket).transpose()
    }

    async fn extend_ticket(&mut self, token_hash: &str, expires_at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE realtime_ticket SET expires_at = $2 WHERE token_hash = $1";
        self.execute(sql, [token_hash.into(), expires_at.as_millis().into()]).await?;
        Ok(())
    }

    async fn delete_ticket(&mut self, token_hash: &str) -> Result<(), StoreError> {
        self.execute("DELETE FROM realtime_ticket WHERE token_hash = $1", [token_hash.into()]).await?;
        Ok(())
    }

    async fn delete_tickets_of(&mut self, client_id: &str) -> Result<(), StoreError> {
        self.execute("DELETE FROM realtime_ticket WHERE client_id = $1", [client_id.into()]).await?;
        Ok(())
    }

    async fn is_tag_taken(
        &mut self,
        client_id: &str,
        tag: &str,
        device_id: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS one FROM realtime_ticket WHERE client_id = $1 AND tag = $2 AND superseded_at IS NULL \
                   AND expires_at > $3 AND COALESCE(device_id, '') <> $4 LIMIT 1";
        let device = device_id.unwrap_or_default();
        let values: [Value; 4] = [client_id.into(), tag.into(), now.as_millis().into(), device.into()];
        Ok(!self.query(sql, values).await?.is_empty())
    }

    async fn supersede(&mut self, taken: &Ticket) -> Result<(), StoreError> {
        let client = taken.client_id.as_str();
        let sql = "DELETE FROM realtime_ticket WHERE client_id = $1 AND expires_at <= $2";
        self.execute(sql, [client.into(), taken.created_at.as_millis().into()]).await?;
        let Some(tag) = &taken.tag else { return Ok(()) };
        let sql = "UPDATE realtime_ticket SET superseded_at = $4 WHERE client_id = $1 AND tag = $2 \
                   AND token_hash <> $3 AND superseded_at IS NULL";
        let values: [Value; 4] =
            [client.into(), tag.as_str().into(), taken.token_hash.as_str().into(), taken.created_at.as_millis().into()];
        self.execute(sql, values).await?;
        Ok(())
    }

    async fn find_unique(&mut self, key: &str) -> Result<Option<ConversationId>, StoreError> {
        let sql = "SELECT conversation_id AS id FROM conversation_unique WHERE key = $1";
        self.conversation_id(sql, vec![key.into()]).await
    }

    async fn claim_unique(&mut self, key: &str, id: ConversationId) -> Result<bool, StoreError> {
        let sql = "INSERT INTO conversation_unique (key, conversation_id) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";
        Ok(self.execute(sql, [key.into(), text(&id).into()]).await? == 1)
    }

    async fn release_unique(&mut self, key: &str) -> Result<(), StoreError> {
        self.execute("DELETE FROM conversation_unique WHERE key = $1", [key.into()]).await?;
        Ok(())
    }

    async fn release_unique_of(&mut self, id: ConversationId) -> Result<(), StoreError> {
        self.execute("DELETE FROM conversation_unique WHERE conversation_id = $1", [text(&id).into()]).await?;
        Ok(())
    }

    async fn find_dialog(&mut self, one: &str, other: &str) -> Result<Option<ConversationId>, StoreError> {
        let sql = "SELECT c.id AS id FROM conversation c \
                   JOIN conversation_member a ON a.conversation_id = c.id AND a.client_id = $1 \
                   JOIN conversation_member b ON b.conversation_id = c.id AND b.client_id = $2 \
                   WHERE c.kind = 'consultation' ORDER BY c.created_at DESC, c.id DESC LIMIT 1";
        self.conversation_id(sql, vec![one.into(), other.into()]).await
    }

    async fn find_unique_of(&mut self, members: &[String]) -> Result<Option<ConversationId>, StoreError> {
        let Some(first) = members.first() else { return Ok(None) };
        let is_unique = match self.backend {
            Backend::Sqlite => "c.extra ->> '$.unique' = 1",
            Backend::Postgres => "c.extra ->> 'unique' = 'true'",
        };
        let sql = format!(
            "SELECT c.id AS id FROM conversation_member m JOIN conversation c ON c.id = m.conversation_id \
             WHERE m.client_id = $1 AND c.kind = 'direct' AND {is_unique} \
             AND (SELECT count(*) FROM conversation_member o WHERE o.conversation_id = c.id) = $2 \
             AND (SELECT count(*) FROM conversation_member o WHERE o.conversation_id = c.id \
             AND {}) = $2 ORDER BY c.created_at, c.id LIMIT 1",
            self.backend.is_among("o.client_id", "$3")
        );
        let count = i64::try_from(members.len()).map_err(StoreError::backend)?;
        self.conversation_id(&sql, vec![first.as_str().into(), count.into(), json_text(&members).into()]).await
    }

    async fn save_conversation(&mut self, conversation: &Conversation) -> Result<(), StoreError> {
        let sql = format!(
            "UPDATE conversation SET name = $2, attributes = {}, extra = {}, updated_at = $5 WHERE id = $1",
            json_parameter(self.backend, 3),
            json_parameter(self.backend, 4)
        );
        let values: [Value; 5] = [
            text(&conversation.id).into(),
            conversation.name.clone().into(),
            json_text(&conversation.attributes).into(),
            json_text(&conversation.extra).into(),
            conversation.updated_at.as_millis().into(),
        ];
        self.execute(&sql, values).await?;
        Ok(())
    }

    async fn amend(&mut self, message: &Message) -> Result<(), StoreError> {
        let sql = "UPDATE message SET kind = $2, content = $3 WHERE position = $1";
        let values: [Value; 3] =
            [message.position.into(), message.kind.as_str().into(), message.content.as_str().into()];
        self.execute(sql, values).await?;
        Ok(())
    }

    async fn events_since(
        &mut self,
        client_ids: &[String],
        kinds: &[EventKind],
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<LogEvent>, StoreError> {
        let words: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        let is_among = |column, parameter| self.backend.is_among(column, parameter);
        let is_wanted = is_among("e.kind", "$2");
        let sql = format!(
            "SELECT * FROM (SELECT e.* FROM log_event e WHERE e.conversation_id IN (SELECT m.conversation_id \
             FROM conversation_member m WHERE {}) AND e.client_id IS NULL AND {is_wanted} AND e.at > $3 UNION ALL \
             SELECT e.* FROM log_event e WHERE {} AND {is_wanted} AND e.at > $3) news ORDER BY position LIMIT $4",
            is_among("m.client_id", "$1"),
            is_among("e.client_id", "$1")
        );
        let values: [Value; 4] = [
            json_text(&client_ids).into(),
            json_text(&words).into(),
            since.as_millis().into(),
            i64::from(limit).into(),
        ];
        log_events(&self.query(&sql, values).await?)
    }

    async fn has_left(&mut self, client_ids: &[String], id: ConversationId) -> Result<bool, StoreError> {
        let sql = format!(
            "SELECT 1 FROM log_event WHERE {} AND conversation_id = $2 AND kind = $3 LIMIT 1",
            self.backend.is_among("client_id", "$1")
        );
        let values: [Value; 3] = [json_text(&client_ids).into(), text(&id).into(), EventKind::Left.as_str().into()];
        Ok(!self.query(&sql, values).await?.is_empty())
    }

    async fn written(&mut self, sender: Option<&str>, span: WrittenSpan) -> Result<Vec<Message>, StoreError> {
        let WrittenSpan { since, until, is_forward, limit } = span;
        let order = if is_forward { "ASC" } else { "DESC" };
        let sql = format!(
            "SELECT * FROM message WHERE ($1 = '' OR sender = $1) AND created_at <= $2 AND created_at >= $4 \
             ORDER BY position {order} LIMIT $3"
        );
        let sender = sender.unwrap_or_default();
        let values: [Value; 4] =
            [sender.into(), until.as_millis().into(), i64::from(limit).into(), since.as_millis().into()];
        messages(&self.query(&sql, values).await?)
    }
}

#[async_trait]
impl RealtimeUnit for SeaUnit {
    fn conversations(&mut self) -> &mut dyn ConversationRepository {
        self
    }
    fn messages(&mut self) -> &mut dyn MessageRepository {
        self
    }
    fn log(&mut self) -> &mut dyn LogRepository {
        self
    }
    fn presence(&mut self) -> &mut dyn PresenceRepository {
        self
    }
    fn files(&mut self) -> &mut dyn FileRepository {
        self
    }
    fn documents(&mut self) -> &mut dyn DocumentRepository {
        self
    }
    fn realtime(&mut self) -> &mut dyn RealtimeRepository {
        self
    }
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.finish().await
    }
}

#[async_trait]
impl RealtimeStore for SeaStore {
    async fn begin(&self) -> Result<Box<dyn RealtimeUnit>, StoreError> {
        Ok(Box::new(self.unit().await?))
    }

    fn read(&self) -> Box<dyn RealtimeUnit> {
        Box::new(self.reading())
    }
}
