//! Chats, and the one statement by which an agent is given one.

use ::im::MemberKind;
use ::im::desk::chat::{AssignReason, ChatDetail};
use ::im::desk::ports::{ChatCounts, ChatFilter, ChatRepository, ChatView};
use ::im::desk::{Chat, ChatStatus};
use async_trait::async_trait;
use domain::id::{AgentId, ConversationId};
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use super::{get, json, read, small};
use crate::backend::Backend;
use crate::convert::{instant, known, like_pattern, millis, parse, parse_opt, text, text_opt};
use crate::store::SeaUnit;

const COLUMNS: &str = "c.conversation_id, c.customer_id, c.customer_kind, c.status, c.priority, c.queued_at, \
     c.agent_id, c.assigned_at, c.reason, c.detail, c.created_at, c.updated_at, c.version";

fn chat(row: &QueryResult) -> Result<Chat, StoreError> {
    Ok(Chat {
        conversation_id: parse("desk_chat.conversation_id", &get::<String>(row, "conversation_id")?)?,
        customer_id: get(row, "customer_id")?,
        customer_kind: known("desk_chat.customer_kind", MemberKind::parse(&get::<String>(row, "customer_kind")?))?,
        status: known("desk_chat.status", ChatStatus::parse(&get::<String>(row, "status")?))?,
        priority: small(row, "priority")?,
        queued_at: instant(get(row, "queued_at")?),
        agent: parse_opt("desk_chat.agent_id", get::<Option<String>>(row, "agent_id")?.as_deref())?,
        assigned_at: instant(get(row, "assigned_at")?),
        reason: match get::<Option<String>>(row, "reason")? {
            Some(word) => Some(known("desk_chat.reason", AssignReason::parse(&word))?),
            None => None,
        },
        detail: read::<ChatDetail>(row, "detail")?,
        created_at: Timestamp::from_millis(get(row, "created_at")?),
        updated_at: Timestamp::from_millis(get(row, "updated_at")?),
        version: get(row, "version")?,
    })
}

/// What is looked for beside the customer's names.
fn labels(chat: &Chat) -> String {
    let words = chat.detail.tags.iter().chain(&chat.detail.remark).map(String::as_str);
    words.collect::<Vec<_>>().join("\n")
}

/// The columns that change, from `$3` on; `$1` is the id and `$2` the version that was read.
const SET: &str = "status = $3, priority = $4, queued_at = $5, agent_id = $6, assigned_at = $7, reason = $8, \
     offered_to = $9, next_action_at = $10, labels = $11, detail = $12, updated_at = $13, version = version + 1";

fn changes(chat: &Chat, next_action_at: Option<Timestamp>) -> Result<Vec<Value>, StoreError> {
    Ok(vec![
        text(&chat.conversation_id).into(),
        chat.version.into(),
        chat.status.as_str().into(),
        i64::from(chat.priority).into(),
        millis(chat.queued_at).into(),
        text_opt(chat.agent.as_ref()).into(),
        millis(chat.assigned_at).into(),
        chat.reason.map(|reason| reason.as_str().to_owned()).into(),
        chat.detail.offer.as_ref().map(|offer| text(&offer.to)).into(),
        millis(next_action_at).into(),
        labels(chat).into(),
        json(&chat.detail)?.into(),
        chat.updated_at.as_millis().into(),
    ])
}

async fn write(unit: &SeaUnit, chat: &Chat, next_action_at: Option<Timestamp>) -> Result<(), StoreError> {
    let sql = format!("UPDATE desk_chat SET {SET} WHERE conversation_id = $1 AND version = $2");
    let written = unit.execute(&sql, changes(chat, next_action_at)?).await?;
    if written == 1 { Ok(()) } else { Err(StoreError::Conflict) }
}

async fn one(unit: &SeaUnit, condition: &str, value: Value) -> Result<Option<Chat>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM desk_chat c WHERE {condition}");
    unit.query(&sql, [value]).await?.first().map(chat).transpose()
}

async fn ids(unit: &SeaUnit, sql: &str, values: [Value; 2]) -> Result<Vec<ConversationId>, StoreError> {
    let rows = unit.query(sql, values).await?;
    rows.iter().map(|row| parse("desk_chat.conversation_id", &get::<String>(row, "conversation_id")?)).collect()
}

#[async_trait]
impl ChatRepository for SeaUnit {
    async fn find(&mut self, id: ConversationId) -> Result<Option<Chat>, StoreError> {
        one(self, "c.conversation_id = $1", text(&id).into()).await
    }

    async fn find_locked(&mut self, id: ConversationId) -> Result<Option<Chat>, StoreError> {
        let condition = format!("c.conversation_id = $1{}", self.backend.for_update());
        one(self, &condition, text(&id).into()).await
    }

    async fn find_by_customer(&mut self, customer_id: &str) -> Result<Option<Chat>, StoreError> {
        one(self, "c.customer_id = $1", customer_id.into()).await
    }

    async fn insert(&mut self, chat: &Chat) -> Result<(), StoreError> {
        let sql = "INSERT INTO desk_chat (conversation_id, customer_id, customer_kind, status, priority, queued_at, \
                   agent_id, assigned_at, reason, offered_to, next_action_at, labels, detail, created_at, updated_at, \
                   version) VALUES ($1, $2, $3, $4, $5, $6, NULL, NULL, NULL, NULL, NULL, $7, $8, $9, $10, $11)";
        let values: [Value; 11] = [
            text(&chat.conversation_id).into(),
            chat.customer_id.clone().into(),
            chat.customer_kind.as_str().into(),
            chat.status.as_str().into(),
            i64::from(chat.priority).into(),
            millis(chat.queued_at).into(),
            labels(chat).into(),
            json(&chat.detail)?.into(),
            chat.created_at.as_millis().into(),
            chat.updated_at.as_millis().into(),
            chat.version.into(),
        ];
        self.execute(sql, values).await?;
        Ok(())
    }

    async fn update(&mut self, chat: &Chat, next_action_at: Option<Timestamp>) -> Result<(), StoreError> {
        write(self, chat, next_action_at).await
    }

    async fn let_go(&mut self, chat: &Chat, from: AgentId) -> Result<(), StoreError> {
        write(self, chat, None).await?;
        let sql = "UPDATE desk_agent SET load = load - 1 WHERE agent_id = $1 AND load > 0";
        if self.execute(sql, [text(&from).into()]).await? == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn claim(
        &mut self,
        chat: &Chat,
        next_action_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut values = changes(chat, next_action_at)?;
        let is_free = "conversation_id = $1 AND version = $2 AND agent_id IS NULL";
        match self.backend {
            // One statement: the chat is locked and looked at again, then the agent, whose row counts what they have.
            Backend::Postgres => {
                values.push(now.as_millis().into());
                let sql = format!(
                    "WITH chat AS (SELECT conversation_id FROM desk_chat WHERE {is_free} FOR UPDATE), \
                     room AS (UPDATE desk_agent SET load = load + 1, last_assigned_at = $14 WHERE agent_id = $6 \
                     AND load < capacity AND status <> 'offline' AND lease_until >= $14 \
                     AND EXISTS (SELECT 1 FROM chat) RETURNING agent_id) \
                     UPDATE desk_chat SET {SET} WHERE {is_free} AND EXISTS (SELECT 1 FROM room)"
                );
                Ok(self.execute(&sql, values).await? == 1)
            }
            // SQLite has no such statement, and nobody else writes while this unit does.
            Backend::Sqlite => {
                let sql = "UPDATE desk_agent SET load = load + 1, last_assigned_at = $4 WHERE agent_id = $3 \
                           AND load < capacity AND status <> 'offline' AND lease_until >= $4 AND EXISTS (SELECT 1 \
                           FROM desk_chat WHERE conversation_id = $1 AND version = $2 AND agent_id IS NULL)";
                let room: [Value; 4] = [
                    text(&chat.conversation_id).into(),
                    chat.version.into(),
                    text_opt(chat.agent.as_ref()).into(),
                    now.as_millis().into(),
                ];
                if self.execute(sql, room).await? == 0 {
                    return Ok(false);
                }
                write(self, chat, next_action_at).await?;
                Ok(true)
            }
        }
    }

    async fn lock_queue(&mut self) -> Result<(), StoreError> {
        let sql = format!("SELECT id FROM desk_queue WHERE id = 1{}", self.backend.for_update());
        self.query(&sql, []).await?;
        Ok(())
    }

    async fn queue(&mut self, limit: u32) -> Result<Vec<Chat>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM desk_chat c WHERE c.queued_at IS NOT NULL ORDER BY c.queued_at, c.conversation_id \
             LIMIT $1"
        );
        self.query(&sql, [i64::from(limit).into()]).await?.iter().map(chat).collect()
    }

    async fn list(&mut self, filter: &ChatFilter, page: PageRequest) -> Result<Page<Chat>, StoreError> {
        let (view, agent) = match filter.view {
            ChatView::Mine(agent) => ("(c.agent_id = $1 OR c.offered_to = $1)", text(&agent)),
            ChatView::Waiting => ("(c.queued_at IS NOT NULL AND $1 = '')", String::new()),
            ChatView::All => ("$1 = ''", String::new()),
            ChatView::Closed => ("(c.status = 'closed' AND $1 = '')", String::new()),
        };
        let kind = filter.customer.map(|kind| kind.as_str().to_owned()).unwrap_or_default();
        let pattern = filter.text.as_deref().map(like_pattern).unwrap_or_default();
        let (at, id) = page.after.map_or((i64::MAX, String::new()), |c| (c.at.as_millis(), c.id.to_string()));
        let like = |column: &str| format!("lower({column}) LIKE lower($3) ESCAPE '\\'");
        let sql = format!(
            "SELECT {COLUMNS} FROM desk_chat c LEFT JOIN patient p ON p.id = c.customer_id \
             LEFT JOIN doctor d ON d.id = c.customer_id WHERE {view} AND ($2 = '' OR c.customer_kind = $2) \
             AND ($3 = '' OR {} OR {} OR {} OR {}) \
             AND (c.updated_at < $4 OR (c.updated_at = $4 AND c.conversation_id < $5)) \
             ORDER BY c.updated_at DESC, c.conversation_id DESC LIMIT $6",
            like("p.name"),
            like("d.name"),
            like("d.hospital"),
            like("c.labels")
        );
        let limit = i64::from(page.limit) + 1;
        let values: [Value; 6] = [agent.into(), kind.into(), pattern.into(), at.into(), id.into(), limit.into()];
        let rows = self.query(&sql, values).await?.iter().map(chat).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(rows, page.limit, |c| Cursor { at: c.updated_at, id: c.conversation_id.0 }))
    }

    async fn counts(&mut self, agent: AgentId, assistant: &str) -> Result<ChatCounts, StoreError> {
        let sql = "SELECT (SELECT count(*) FROM desk_chat WHERE agent_id = $1) AS mine, \
                   (SELECT count(*) FROM desk_chat WHERE offered_to = $1) AS offered, \
                   (SELECT count(*) FROM desk_chat WHERE queued_at IS NOT NULL) AS waiting, \
                   (SELECT count(*) FROM desk_chat) AS everything, \
                   (SELECT count(*) FROM desk_chat WHERE status = 'closed') AS closed, \
                   (SELECT CAST(COALESCE(SUM(v.last_seq - m.read_seq - m.own_after_read - m.recalled_after_read), 0) \
                   AS bigint) FROM desk_chat c JOIN conversation v ON v.id = c.conversation_id \
                   JOIN conversation_member m ON m.conversation_id = c.conversation_id AND m.client_id = $2 \
                   WHERE c.agent_id = $1) AS unread";
        let rows = self.query(sql, [text(&agent).into(), assistant.into()]).await?;
        let row = rows.first().ok_or_else(|| StoreError::Corrupt("desk_chat".to_owned()))?;
        Ok(ChatCounts {
            mine: small(row, "mine")?,
            offered: small(row, "offered")?,
            waiting: small(row, "waiting")?,
            all: small(row, "everything")?,
            closed: small(row, "closed")?,
            mine_unread: small(row, "unread")?,
        })
    }

    async fn list_due(&mut self, now: Timestamp, limit: u32) -> Result<Vec<ConversationId>, StoreError> {
        let sql = "SELECT conversation_id FROM desk_chat WHERE next_action_at <= $1 ORDER BY next_action_at LIMIT $2";
        ids(self, sql, [now.as_millis().into(), i64::from(limit).into()]).await
    }

    async fn list_orphaned(&mut self, now: Timestamp, limit: u32) -> Result<Vec<ConversationId>, StoreError> {
        let sql = "SELECT c.conversation_id FROM desk_chat c LEFT JOIN desk_agent d ON d.agent_id = c.agent_id \
                   LEFT JOIN agent a ON a.id = c.agent_id WHERE c.agent_id IS NOT NULL AND (d.agent_id IS NULL \
                   OR d.status = 'offline' OR d.lease_until IS NULL OR d.lease_until < $1 OR NOT a.is_enabled) \
                   ORDER BY c.conversation_id LIMIT $2";
        ids(self, sql, [now.as_millis().into(), i64::from(limit).into()]).await
    }
}
