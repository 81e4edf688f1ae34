//! Messages as rows: reading, recalling, searching. Appending is in [`super::append`].

use ::im::message::{HistoryPage, MessageSearch};
use ::im::{Appended, Content, Message, MessageKind, MessageRepository, NewMessage};
use async_trait::async_trait;
use domain::id::{ConversationId, MessageId};
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{FromQueryResult, QueryOrder, QueryResult, QuerySelect};

use super::append;
use crate::backend::{Backend, store_error};
use crate::convert::{corrupt, instant, like_pattern, list, millis, parse, parse_opt, text, text_opt};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "message")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    pub id: String,
    pub conversation_id: String,
    pub seq: i64,
    pub sender: Option<String>,
    pub acted_by: Option<String>,
    pub client_message_id: Option<String>,
    pub kind: String,
    pub content: String,
    pub corrects: Option<String>,
    pub recalled_at: Option<i64>,
    pub created_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(crate) fn row(message: Message) -> ActiveModel {
    ActiveModel {
        position: Set(message.position),
        id: Set(text(&message.id)),
        conversation_id: Set(text(&message.conversation_id)),
        seq: Set(message.seq),
        sender: Set(message.sender),
        acted_by: Set(text_opt(message.acted_by.as_ref())),
        client_message_id: Set(message.client_message_id),
        kind: Set(message.kind.as_str().to_owned()),
        content: Set(message.content.as_str().to_owned()),
        corrects: Set(text_opt(message.corrects.as_ref())),
        recalled_at: Set(millis(message.recalled_at)),
        created_at: Set(message.created_at.as_millis()),
    }
}

pub(super) fn message(row: Model) -> Result<Message, StoreError> {
    Ok(Message {
        position: row.position,
        id: parse("message.id", &row.id)?,
        conversation_id: parse("message.conversation_id", &row.conversation_id)?,
        seq: row.seq,
        sender: row.sender,
        acted_by: parse_opt("message.acted_by", row.acted_by.as_deref())?,
        client_message_id: row.client_message_id,
        kind: MessageKind::parse(&row.kind),
        content: content(&row.content)?,
        corrects: parse_opt("message.corrects", row.corrects.as_deref())?,
        recalled_at: instant(row.recalled_at),
        created_at: Timestamp::from_millis(row.created_at),
    })
}

pub(super) fn content(json: &str) -> Result<Content, StoreError> {
    Content::parse(json).or_else(|_| corrupt("message.content"))
}

/// Reads the rows of a statement that selects whole messages.
pub(crate) fn messages(rows: &[QueryResult]) -> Result<Vec<Message>, StoreError> {
    rows.iter().map(|row| message(Model::from_query_result(row, "").map_err(store_error)?)).collect()
}

#[async_trait]
impl MessageRepository for SeaUnit {
    async fn append(&mut self, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError> {
        self.has_news = true;
        append::append(self, messages).await
    }

    async fn history(&mut self, id: ConversationId, page: HistoryPage, limit: u32) -> Result<Vec<Message>, StoreError> {
        let select = Entity::find().filter(Column::ConversationId.eq(text(&id))).limit(u64::from(limit));
        let select = match page {
            HistoryPage::After(seq) => select.filter(Column::Seq.gt(seq)).order_by_asc(Column::Seq),
            HistoryPage::Before(seq) => select.filter(Column::Seq.lt(seq)).order_by_desc(Column::Seq),
        };
        let mut rows = select.all(&self.db()).await.map_err(store_error)?;
        if matches!(page, HistoryPage::Before(_)) {
            rows.reverse();
        }
        rows.into_iter().map(message).collect()
    }

    async fn find(&mut self, conversation: ConversationId, id: MessageId) -> Result<Option<Message>, StoreError> {
        // Ids have no index of their own; what is looked for is mostly among the newest.
        let select = Entity::find()
            .filter(Column::ConversationId.eq(text(&conversation)))
            .filter(Column::Id.eq(text(&id)))
            .order_by_desc(Column::Seq);
        select.one(&self.db()).await.map_err(store_error)?.map(message).transpose()
    }

    async fn find_named(
        &mut self,
        conversation: ConversationId,
        sender: &str,
        client_message_id: &str,
    ) -> Result<Option<Message>, StoreError> {
        let select = Entity::find()
            .filter(Column::ConversationId.eq(text(&conversation)))
            .filter(Column::Sender.eq(sender))
            .filter(Column::ClientMessageId.eq(client_message_id));
        select.one(&self.db()).await.map_err(store_error)?.map(message).transpose()
    }

    async fn find_seq(&mut self, conversation: ConversationId, seq: i64) -> Result<Option<Message>, StoreError> {
        let select = Entity::find().filter(Column::ConversationId.eq(text(&conversation))).filter(Column::Seq.eq(seq));
        select.one(&self.db()).await.map_err(store_error)?.map(message).transpose()
    }

    async fn recall(&mut self, message: &Message, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE message SET recalled_at = $1 WHERE position = $2 AND recalled_at IS NULL";
        if self.execute(sql, [at.as_millis().into(), message.position.into()]).await? == 0 {
            return Err(StoreError::Conflict);
        }
        let sql = "UPDATE conversation_member SET recalled_after_read = recalled_after_read + 1 \
                   WHERE conversation_id = $1 AND client_id <> $2 AND read_seq < $3";
        let sender = message.sender.clone().unwrap_or_default();
        self.execute(sql, [text(&message.conversation_id).into(), sender.into(), message.seq.into()]).await?;
        Ok(())
    }

    async fn search(&mut self, search: &MessageSearch) -> Result<Vec<Message>, StoreError> {
        let document = match self.backend {
            Backend::Sqlite => "m.content ->> '$.text'",
            Backend::Postgres => "CAST(m.content AS json) ->> 'text'",
        };
        let is_mine = self.backend.is_among("cm.client_id", "$1");
        let sql = format!(
            "SELECT m.* FROM message m WHERE m.kind = 'text' AND m.recalled_at IS NULL AND m.position < $2 \
             AND m.conversation_id IN (SELECT cm.conversation_id FROM conversation_member cm \
             WHERE {is_mine}) \
             AND ($3 = '' OR m.conversation_id = $3) AND lower({document}) LIKE lower($4) ESCAPE '\\' \
             ORDER BY m.position DESC LIMIT $5"
        );
        let values: [Value; 5] = [
            list(&search.client_ids),
            search.before.unwrap_or(i64::MAX).into(),
            search.conversation_id.map(|id| text(&id)).unwrap_or_default().into(),
            like_pattern(&search.text).into(),
            i64::from(search.limit).into(),
        ];
        messages(&self.query(&sql, values).await?)
    }
}
