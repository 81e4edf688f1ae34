//! Conversations and their members.

use std::collections::HashMap;

use ::im::conversation::{ConversationSummary, ReadMove};
use ::im::{Conversation, ConversationKind, ConversationRepository, Member, MemberKind, Message};
use async_trait::async_trait;
use domain::id::ConversationId;
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{FromQueryResult, QueryOrder, QueryResult, QuerySelect, QueryTrait};
use serde::Serialize;

use super::message;
use crate::backend::{Backend, store_error};
use crate::bulk;
use crate::convert::{
    instant, into_object, known, list, millis, newest_first, object, parse, parse_opt, text, text_opt,
};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "conversation")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub kind: String,
    pub consultation_id: Option<String>,
    pub name: Option<String>,
    pub creator: Option<String>,
    pub last_seq: i64,
    pub last_position: i64,
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

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "conversation_member")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub conversation_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub client_id: String,
        pub kind: String,
        pub joined_at: i64,
        pub read_seq: i64,
        pub delivered_seq: i64,
        pub own_after_read: i64,
        pub recalled_after_read: i64,
        pub review_at: Option<i64>,
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
        last_position: Set(conversation.last_position),
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
        read_seq: Set(member.read_seq),
        delivered_seq: Set(member.delivered_seq),
        own_after_read: Set(member.own_after_read),
        recalled_after_read: Set(member.recalled_after_read),
        review_at: Set(millis(member.review_at)),
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
        last_position: row.last_position,
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
        read_seq: row.read_seq,
        delivered_seq: row.delivered_seq,
        own_after_read: row.own_after_read,
        recalled_after_read: row.recalled_after_read,
        review_at: instant(row.review_at),
    })
}

#[async_trait]
impl ConversationRepository for SeaUnit {
    async fn find(&mut self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        Entity::find_by_id(text(&id)).one(&self.db()).await.map_err(store_error)?.map(conversation).transpose()
    }

    async fn find_locked(&mut self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        let select = Entity::find_by_id(text(&id)).lock_exclusive();
        select.one(&self.db()).await.map_err(store_error)?.map(conversation).transpose()
    }

    async fn members(&mut self, id: ConversationId) -> Result<Vec<Member>, StoreError> {
        let select = member::Entity::find()
            .filter(member::Column::ConversationId.eq(text(&id)))
            .order_by_asc(member::Column::ClientId);
        select.all(&self.db()).await.map_err(store_error)?.into_iter().map(member).collect()
    }

    async fn members_of_all(&mut self, ids: &[ConversationId]) -> Result<Vec<Member>, StoreError> {
        let is_listed = self.backend.is_among("conversation_id", "$1");
        let sql = format!("SELECT * FROM conversation_member WHERE {is_listed}");
        read_members(&self.query(&sql, [list(ids)]).await?)
    }

    async fn list(
        &mut self,
        client_ids: &[String],
        page: PageRequest,
    ) -> Result<Page<ConversationSummary>, StoreError> {
        let mine = Query::select()
            .column(member::Column::ConversationId)
            .from(member::Entity)
            .and_where(Expr::col(member::Column::ClientId).is_in(client_ids.iter().cloned()))
            .to_owned();
        let mut select = Entity::find().filter(Column::Id.in_subquery(mine));
        newest_first(QueryTrait::query(&mut select), "conversation", "updated_at", page);
        let rows = select.all(&self.db()).await.map_err(store_error)?;
        let found = rows.into_iter().map(conversation).collect::<Result<Vec<_>, _>>()?;
        let page = Page::from_rows(found, page.limit, |c| Cursor { at: c.updated_at, id: c.id.0 });
        Ok(Page { items: summarize(self, page.items).await?, next: page.next })
    }

    async fn summaries(&mut self, ids: &[ConversationId]) -> Result<Vec<ConversationSummary>, StoreError> {
        let rows = self.rows_of::<Entity>(ids, "").await?;
        let found = rows.into_iter().map(conversation).collect::<Result<Vec<_>, _>>()?;
        summarize(self, found).await
    }

    async fn insert_all(&mut self, conversations: &[Conversation], members: &[Member]) -> Result<(), StoreError> {
        bulk::insert::<Entity>(self, conversations.iter().map(row), "").await?;
        bulk::insert::<member::Entity>(self, members.iter().map(member_row), "").await?;
        Ok(())
    }

    async fn add_members(&mut self, members: &[Member]) -> Result<(), StoreError> {
        let ids: Vec<ConversationId> = members.iter().map(|m| m.conversation_id).collect();
        let newest = newest_seqs(self, &ids).await?;
        let join = |member: &Member| {
            let seq = *newest.get(&text(&member.conversation_id))?;
            Some(member_row(&Member { read_seq: seq, delivered_seq: seq, ..member.clone() }))
        };
        let tail = "ON CONFLICT (conversation_id, client_id) DO NOTHING";
        bulk::insert::<member::Entity>(self, members.iter().filter_map(join), tail).await?;
        Ok(())
    }

    async fn remove_member(&mut self, id: ConversationId, client_id: &str) -> Result<bool, StoreError> {
        let sql = "DELETE FROM conversation_member WHERE conversation_id = $1 AND client_id = $2";
        Ok(self.execute(sql, [text(&id).into(), client_id.into()]).await? == 1)
    }

    async fn mark_read(&mut self, moves: &[ReadMove]) -> Result<Vec<Member>, StoreError> {
        let moves = within_conversations(self, moves).await?;
        let count = |rule: &str| {
            format!(
                "(SELECT count(*) FROM message s WHERE s.conversation_id = j.conversation_id AND s.seq > j.seq \
                 AND {rule})"
            )
        };
        let sql = format!(
            "WITH j AS ({}) UPDATE conversation_member SET read_seq = j.seq, \
             delivered_seq = CASE WHEN delivered_seq > j.seq THEN delivered_seq ELSE j.seq END, \
             own_after_read = {}, recalled_after_read = {} FROM j \
             WHERE conversation_member.conversation_id = j.conversation_id \
             AND conversation_member.client_id = j.client_id AND read_seq < j.seq RETURNING {MEMBER}",
            moved(self.backend),
            count("s.sender = j.client_id"),
            count("s.recalled_at IS NOT NULL AND (s.sender IS NULL OR s.sender <> j.client_id)")
        );
        read_members(&self.query(&sql, [json(&moves)?]).await?)
    }

    async fn mark_delivered(&mut self, moves: &[ReadMove]) -> Result<(), StoreError> {
        let moves = within_conversations(self, moves).await?;
        let sql = format!(
            "WITH j AS ({}) UPDATE conversation_member SET delivered_seq = j.seq FROM j \
             WHERE conversation_member.conversation_id = j.conversation_id \
             AND conversation_member.client_id = j.client_id AND delivered_seq < j.seq",
            moved(self.backend)
        );
        self.execute(&sql, [json(&moves)?]).await?;
        Ok(())
    }

    async fn set_review(&mut self, id: ConversationId, client_id: &str, at: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE conversation_member SET review_at = $3 WHERE conversation_id = $1 AND client_id = $2 \
                   AND review_at IS NOT NULL";
        self.execute(sql, [text(&id).into(), client_id.into(), at.as_millis().into()]).await?;
        Ok(())
    }

    async fn reset_review(&mut self, ids: &[ConversationId]) -> Result<(), StoreError> {
        lock(self, ids).await?;
        let sql = format!(
            "UPDATE conversation_member SET review_at = 0 WHERE {} AND review_at > 0",
            self.backend.is_among("conversation_id", "$1")
        );
        self.execute(&sql, [list(ids)]).await?;
        Ok(())
    }
}

/// The columns of a member, as `RETURNING` takes them: SQLite knows no `table.*` there.
const MEMBER: &str = "conversation_member.conversation_id, conversation_member.client_id, conversation_member.kind, \
     conversation_member.joined_at, conversation_member.read_seq, conversation_member.delivered_seq, \
     conversation_member.own_after_read, conversation_member.recalled_after_read, conversation_member.review_at";

/// The rows of a JSON array of [`Moved`], the first parameter.
fn moved(backend: Backend) -> &'static str {
    match backend {
        Backend::Sqlite => {
            "SELECT value ->> '$.conversation_id' AS conversation_id, value ->> '$.client_id' AS client_id, \
             value ->> '$.seq' AS seq FROM json_each($1)"
        }
        Backend::Postgres => {
            "SELECT * FROM jsonb_to_recordset(CAST($1 AS jsonb)) AS t (conversation_id text, client_id text, seq bigint)"
        }
    }
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<Value, StoreError> {
    serde_json::to_string(value).map(Value::from).map_err(StoreError::backend)
}

pub(crate) fn read_members(rows: &[QueryResult]) -> Result<Vec<Member>, StoreError> {
    rows.iter().map(|row| member(member::Model::from_query_result(row, "").map_err(store_error)?)).collect()
}

/// Locks conversations in the order of their ids, before any of their members.
async fn lock(unit: &SeaUnit, ids: &[ConversationId]) -> Result<Vec<QueryResult>, StoreError> {
    let sql = format!(
        "SELECT id, last_seq FROM conversation WHERE {} ORDER BY id{}",
        unit.backend.is_among("id", "$1"),
        unit.backend.for_update()
    );
    unit.query(&sql, [list(ids)]).await
}

/// The newest sequence number of each conversation, which is locked until the unit ends.
async fn newest_seqs(unit: &SeaUnit, ids: &[ConversationId]) -> Result<HashMap<String, i64>, StoreError> {
    let column = |row: &QueryResult| {
        let id: String = row.try_get("", "id").map_err(store_error)?;
        Ok((id, row.try_get("", "last_seq").map_err(store_error)?))
    };
    lock(unit, ids).await?.iter().map(column).collect()
}

/// A move of a member within a conversation that exists.
#[derive(Serialize)]
struct Moved {
    conversation_id: String,
    client_id: String,
    seq: i64,
}

/// Locks the conversations, in the order of their ids, and keeps the moves from going beyond their newest messages.
/// Of several moves of one member the farthest is kept.
async fn within_conversations(unit: &SeaUnit, moves: &[ReadMove]) -> Result<Vec<Moved>, StoreError> {
    let ids: Vec<ConversationId> = moves.iter().map(|m| m.conversation_id).collect();
    let newest = newest_seqs(unit, &ids).await?;
    let mut farthest: HashMap<(String, &str), i64> = HashMap::with_capacity(moves.len());
    for step in moves {
        let id = text(&step.conversation_id);
        let Some(last_seq) = newest.get(&id) else { continue };
        let seq = farthest.entry((id, &step.client_id)).or_default();
        *seq = Ord::max(*seq, Ord::min(step.seq, *last_seq));
    }
    let kept = farthest.into_iter().map(|((conversation_id, client_id), seq)| Moved {
        conversation_id,
        client_id: client_id.to_owned(),
        seq,
    });
    Ok(kept.collect())
}

/// Adds members and newest messages, in the given order.
async fn summarize(unit: &mut SeaUnit, found: Vec<Conversation>) -> Result<Vec<ConversationSummary>, StoreError> {
    let ids: Vec<ConversationId> = found.iter().map(|c| c.id).collect();
    let mut members: HashMap<ConversationId, Vec<Member>> = HashMap::with_capacity(ids.len());
    for member in unit.members_of_all(&ids).await? {
        members.entry(member.conversation_id).or_default().push(member);
    }
    let mut newest = newest_messages(unit, &ids).await?;
    let summary = |conversation: Conversation| ConversationSummary {
        members: members.remove(&conversation.id).unwrap_or_default(),
        last_message: newest.remove(&conversation.id),
        conversation,
    };
    Ok(found.into_iter().map(summary).collect())
}

async fn newest_messages(
    unit: &SeaUnit,
    ids: &[ConversationId],
) -> Result<HashMap<ConversationId, Message>, StoreError> {
    let sql = format!(
        "SELECT m.* FROM message m JOIN conversation c ON c.id = m.conversation_id AND m.seq = c.last_seq \
         WHERE {}",
        unit.backend.is_among("c.id", "$1")
    );
    let found = message::messages(&unit.query(&sql, [list(ids)]).await?)?;
    Ok(found.into_iter().map(|m| (m.conversation_id, m)).collect())
}
