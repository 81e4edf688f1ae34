//! Messages that were written before the application came here.

use ::im::{Member, Message};
use ::leancloud::import::store::{ConversationState, ImportHistory};
use async_trait::async_trait;
use domain::id::ConversationId;
use domain::{StoreError, Timestamp};
use sea_orm::{QueryResult, Value};
use serde_json::json;

use crate::backend::store_error;
use crate::bulk;
use crate::convert::{instant, list, millis, parse, text};
use crate::im::{conversation, message};
use crate::store::SeaUnit;

/// The position before the first of the history. JavaScript tells all integers from here on apart.
const BEFORE_HISTORY: i64 = -(1 << 52);

#[async_trait]
impl ImportHistory for SeaUnit {
    async fn conversations(&mut self, ids: &[ConversationId]) -> Result<Vec<ConversationState>, StoreError> {
        let (is_wanted, lock) = (self.backend.is_among("id", "$1"), self.backend.for_update());
        let sql = format!(
            "SELECT id, last_seq, last_position, last_message_at FROM conversation WHERE {is_wanted} ORDER BY id{lock}"
        );
        let state = |row: &QueryResult| {
            let id: String = row.try_get("", "id").map_err(store_error)?;
            Ok(ConversationState {
                id: parse("conversation.id", &id)?,
                last_seq: row.try_get("", "last_seq").map_err(store_error)?,
                last_position: row.try_get("", "last_position").map_err(store_error)?,
                last_message_at: instant(row.try_get("", "last_message_at").map_err(store_error)?),
            })
        };
        self.query(&sql, [list(ids)]).await?.iter().map(state).collect()
    }

    async fn messages_of(&mut self, ids: &[ConversationId]) -> Result<Vec<Message>, StoreError> {
        let is_wanted = self.backend.is_among("conversation_id", "$1");
        let sql = format!("SELECT * FROM message WHERE {is_wanted} ORDER BY conversation_id, seq");
        message::messages(&self.query(&sql, [list(ids)]).await?)
    }

    async fn members_of(&mut self, ids: &[ConversationId]) -> Result<Vec<Member>, StoreError> {
        let is_wanted = self.backend.is_among("conversation_id", "$1");
        let sql = format!("SELECT * FROM conversation_member WHERE {is_wanted} ORDER BY conversation_id, client_id");
        conversation::read_members(&self.query(&sql, [list(ids)]).await?)
    }

    async fn remove_imported(&mut self, ids: &[ConversationId]) -> Result<(), StoreError> {
        let is_wanted = self.backend.is_among("conversation_id", "$1");
        self.execute(&format!("DELETE FROM message WHERE position < 0 AND {is_wanted}"), [list(ids)]).await?;
        Ok(())
    }

    async fn shift(&mut self, by: &[(ConversationId, i64)]) -> Result<(), StoreError> {
        for (id, by) in by {
            // By way of negative numbers, so that no two are ever the same.
            let away = "UPDATE message SET seq = -(seq + $1) WHERE conversation_id = $2 AND seq > 0 AND position > 0";
            self.execute(away, [(*by).into(), text(id).into()]).await?;
            let back = "UPDATE message SET seq = -seq WHERE conversation_id = $1 AND seq < 0";
            self.execute(back, [text(id).into()]).await?;
        }
        Ok(())
    }

    async fn insert(&mut self, messages: &mut [Message]) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        let newest = self.query("SELECT MAX(position) AS newest FROM message WHERE position < 0", []).await?;
        let newest =
            newest.first().map(|row| row.try_get::<Option<i64>>("", "newest").map_err(store_error)).transpose()?;
        let next = newest.flatten().unwrap_or(BEFORE_HISTORY) + 1;
        for (message, position) in messages.iter_mut().zip(next..) {
            message.position = position;
        }
        if messages.last().is_some_and(|message| message.position >= 0) {
            return crate::convert::corrupt("message.position");
        }
        bulk::insert::<message::Entity>(self, messages.iter().cloned().map(message::row), "").await?;
        Ok(())
    }

    async fn rewrite(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        for message in messages {
            let sql = "UPDATE message SET kind = $1, content = $2, recalled_at = $3 WHERE position = $4";
            let values: [Value; 4] = [
                message.kind.as_str().into(),
                message.content.as_str().into(),
                millis(message.recalled_at).into(),
                message.position.into(),
            ];
            self.execute(sql, values).await?;
        }
        Ok(())
    }

    async fn save_ends(&mut self, ends: &[ConversationState]) -> Result<(), StoreError> {
        if ends.is_empty() {
            return Ok(());
        }
        let rows: Vec<_> = ends
            .iter()
            .map(|end| {
                let at = end.last_message_at.map(Timestamp::as_millis);
                json!([text(&end.id), end.last_seq, end.last_position, at])
            })
            .collect();
        // Not the time of its last change: that one tells imported states apart.
        let sql = format!(
            "UPDATE conversation SET last_seq = given.seq, last_position = given.position, last_message_at = given.at \
             FROM (SELECT value ->> 0 AS id, CAST(value ->> 1 AS bigint) AS seq, CAST(value ->> 2 AS bigint) AS position, \
             CAST(value ->> 3 AS bigint) AS at FROM {}) AS given WHERE conversation.id = given.id",
            self.backend.each(1)
        );
        self.execute(&sql, [json!(rows).to_string().into()]).await?;
        Ok(())
    }

    async fn save_reads(&mut self, members: &[Member]) -> Result<(), StoreError> {
        if members.is_empty() {
            return Ok(());
        }
        let row = |m: &Member| {
            let numbers = [m.read_seq, m.delivered_seq, m.own_after_read, m.recalled_after_read];
            json!([text(&m.conversation_id), m.client_id, numbers[0], numbers[1], numbers[2], numbers[3]])
        };
        let rows: Vec<_> = members.iter().map(row).collect();
        let sql = format!(
            "UPDATE conversation_member SET read_seq = given.read_seq, delivered_seq = given.delivered_seq, \
             own_after_read = given.own, recalled_after_read = given.recalled FROM (SELECT value ->> 0 AS id, \
             value ->> 1 AS client, CAST(value ->> 2 AS bigint) AS read_seq, CAST(value ->> 3 AS bigint) AS delivered_seq, \
             CAST(value ->> 4 AS bigint) AS own, CAST(value ->> 5 AS bigint) AS recalled FROM {}) AS given \
             WHERE conversation_member.conversation_id = given.id AND conversation_member.client_id = given.client",
            self.backend.each(1)
        );
        self.execute(&sql, [json!(rows).to_string().into()]).await?;
        Ok(())
    }

    async fn mark_all_read(&mut self, ids: &[ConversationId]) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let is_wanted = self.backend.is_among("c.id", "$1");
        let sql = format!(
            "UPDATE conversation_member SET read_seq = c.last_seq, delivered_seq = c.last_seq, own_after_read = 0, \
             recalled_after_read = 0 FROM conversation c WHERE c.id = conversation_member.conversation_id AND {is_wanted}"
        );
        self.execute(&sql, [list(ids)]).await?;
        Ok(())
    }

    async fn renew_epoch(&mut self, epoch: &str) -> Result<(), StoreError> {
        ::im::log::LogRepository::renew_epoch(self, epoch).await
    }
}
