//! Conversations, their members, and appending to them.

use std::collections::BTreeMap;

use ::im::{Conversation, ConversationKind, ConversationRepository, Member, MemberKind, Message, NewSystemMessage};
use async_trait::async_trait;
use domain::id::ConversationId;
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};
use serde::Serialize;
use serde_json::json;

use super::message;
use crate::backend::store_error;
use crate::bulk;
use crate::convert::{instant, into_object, known, millis, object, parse, parse_opt, text, text_opt};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "conversation")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub kind: String,
    pub consultation_id: Option<String>,
    pub name: Option<String>,
    pub creator: Option<String>,
    pub last_seq: i64,
    pub last_message_at: Option<i64>,
    #[sea_orm(column_type = "JsonBinary")]
    pub attributes: Json,
    #[sea_orm(column_type = "JsonBinary")]
    pub extra: Json,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The members of conversations.
pub(crate) mod member {
    use sea_orm::entity::prelude::*;
    use serde::Serialize;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize)]
    #[sea_orm(table_name = "conversation_member")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub conversation_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub client_id: String,
        pub kind: String,
        pub joined_at: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) fn row(conversation: &Conversation) -> ActiveModel {
    ActiveModel {
        id: Set(text(&conversation.id)),
        kind: Set(conversation.kind.as_str().to_owned()),
        consultation_id: Set(text_opt(conversation.consultation_id.as_ref())),
        name: Set(conversation.name.clone()),
        creator: Set(conversation.creator.clone()),
        last_seq: Set(conversation.last_seq),
        last_message_at: Set(millis(conversation.last_message_at)),
        attributes: Set(object(&conversation.attributes)),
        extra: Set(object(&conversation.extra)),
        created_at: Set(conversation.created_at.as_millis()),
        updated_at: Set(conversation.updated_at.as_millis()),
    }
}

pub(crate) fn member_row(member: &Member) -> member::ActiveModel {
    member::ActiveModel {
        conversation_id: Set(text(&member.conversation_id)),
        client_id: Set(member.client_id.clone()),
        kind: Set(member.kind.as_str().to_owned()),
        joined_at: Set(member.joined_at.as_millis()),
    }
}

fn conversation(row: Model) -> Result<Conversation, StoreError> {
    Ok(Conversation {
        id: parse("conversation.id", &row.id)?,
        kind: known("conversation.kind", ConversationKind::parse(&row.kind))?,
        consultation_id: parse_opt("conversation.consultation_id", row.consultation_id.as_deref())?,
        name: row.name,
        creator: row.creator,
        last_seq: row.last_seq,
        last_message_at: instant(row.last_message_at),
        attributes: into_object("conversation.attributes", row.attributes)?,
        extra: into_object("conversation.extra", row.extra)?,
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
    })
}

fn member(row: member::Model) -> Result<Member, StoreError> {
    Ok(Member {
        conversation_id: parse("conversation_member.conversation_id", &row.conversation_id)?,
        client_id: row.client_id,
        kind: known("conversation_member.kind", MemberKind::parse(&row.kind))?,
        joined_at: Timestamp::from_millis(row.joined_at),
    })
}

#[async_trait]
impl ConversationRepository for SeaUnit {
    async fn find(&mut self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        Entity::find_by_id(text(&id)).one(&self.db()).await.map_err(store_error)?.map(conversation).transpose()
    }

    async fn members(&mut self, id: ConversationId) -> Result<Vec<Member>, StoreError> {
        let select = member::Entity::find()
            .filter(member::Column::ConversationId.eq(text(&id)))
            .order_by_asc(member::Column::ClientId);
        select.all(&self.db()).await.map_err(store_error)?.into_iter().map(member).collect()
    }

    async fn insert_all(&mut self, conversations: &[Conversation], members: &[Member]) -> Result<(), StoreError> {
        bulk::insert::<Entity>(self, conversations.iter().map(row), "").await?;
        bulk::insert::<member::Entity>(self, members.iter().map(member_row), "").await?;
        Ok(())
    }

    async fn append_system(&mut self, messages: &[NewSystemMessage]) -> Result<(), StoreError> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut next_seqs = reserve_seqs(self, messages).await?;
        let mut rows = Vec::with_capacity(messages.len());
        for new in messages {
            let Some(seq) = next_seqs.get_mut(&new.conversation_id) else { return Err(StoreError::Conflict) };
            rows.push(message::row(new.numbered(*seq)));
            *seq += 1;
        }
        bulk::insert::<message::Entity>(self, rows, "").await?;
        Ok(())
    }

    async fn messages(&mut self, id: ConversationId, after_seq: i64, limit: u32) -> Result<Vec<Message>, StoreError> {
        let select = message::Entity::find()
            .filter(message::Column::ConversationId.eq(text(&id)))
            .filter(message::Column::Seq.gt(after_seq))
            .order_by_asc(message::Column::Seq)
            .limit(u64::from(limit));
        select.all(&self.db()).await.map_err(store_error)?.into_iter().map(message::message).collect()
    }
}

/// Moves `last_seq` of each conversation on by the number of its messages and returns the first
/// number reserved for each. One statement however many conversations there are.
async fn reserve_seqs(
    unit: &SeaUnit,
    messages: &[NewSystemMessage],
) -> Result<BTreeMap<ConversationId, i64>, StoreError> {
    let mut wanted: BTreeMap<ConversationId, (i64, i64)> = BTreeMap::new();
    for new in messages {
        let (count, at) = wanted.entry(new.conversation_id).or_insert((0, i64::MIN));
        *count += 1;
        *at = (*at).max(new.created_at.as_millis());
    }
    let rows: Vec<_> = wanted.iter().map(|(id, (count, at))| (text(id), count, at)).collect();
    let sql = format!(
        "UPDATE conversation SET last_seq = last_seq + wanted.count, last_message_at = wanted.at, \
         updated_at = wanted.at FROM (SELECT value ->> 0 AS id, CAST(value ->> 1 AS bigint) AS count, \
         CAST(value ->> 2 AS bigint) AS at FROM {}) AS wanted WHERE conversation.id = wanted.id \
         RETURNING conversation.id AS id, conversation.last_seq AS last_seq",
        unit.backend.each(1)
    );
    let rows = unit.query(&sql, [json!(rows).to_string().into()]).await?;
    let mut first_seqs = BTreeMap::new();
    for row in rows {
        let id: String = row.try_get("", "id").map_err(store_error)?;
        let last_seq: i64 = row.try_get("", "last_seq").map_err(store_error)?;
        let id = parse("conversation.id", &id)?;
        let count = wanted.get(&id).map_or(0, |(count, _)| *count);
        first_seqs.insert(id, last_seq - count + 1);
    }
    Ok(first_seqs)
}
