//! Drafts.

use ::im::desk::ports::{Draft, DraftRepository};
use async_trait::async_trait;
use domain::id::{AgentId, ConversationId};
use domain::{StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use super::get;
use crate::convert::{parse, text};
use crate::store::SeaUnit;

fn draft(row: &QueryResult) -> Result<Draft, StoreError> {
    Ok(Draft {
        agent: parse("desk_draft.agent_id", &get::<String>(row, "agent_id")?)?,
        conversation_id: parse("desk_draft.conversation_id", &get::<String>(row, "conversation_id")?)?,
        text: get(row, "text")?,
        is_note: get(row, "is_note")?,
        updated_at: Timestamp::from_millis(get(row, "updated_at")?),
    })
}

#[async_trait]
impl DraftRepository for SeaUnit {
    async fn find(&mut self, agent: AgentId, id: ConversationId) -> Result<Option<Draft>, StoreError> {
        let sql = "SELECT * FROM desk_draft WHERE agent_id = $1 AND conversation_id = $2";
        self.query(sql, [text(&agent).into(), text(&id).into()]).await?.first().map(draft).transpose()
    }

    async fn list(&mut self, agent: AgentId) -> Result<Vec<Draft>, StoreError> {
        let sql = "SELECT * FROM desk_draft WHERE agent_id = $1 ORDER BY updated_at DESC, conversation_id";
        self.query(sql, [text(&agent).into()]).await?.iter().map(draft).collect()
    }

    async fn put(&mut self, draft: &Draft) -> Result<(), StoreError> {
        let sql = "INSERT INTO desk_draft (agent_id, conversation_id, text, is_note, updated_at) \
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT (agent_id, conversation_id) DO UPDATE \
                   SET text = excluded.text, is_note = excluded.is_note, updated_at = excluded.updated_at";
        let values: [Value; 5] = [
            text(&draft.agent).into(),
            text(&draft.conversation_id).into(),
            draft.text.clone().into(),
            draft.is_note.into(),
            draft.updated_at.as_millis().into(),
        ];
        self.execute(sql, values).await?;
        Ok(())
    }

    async fn delete(&mut self, agent: AgentId, id: ConversationId) -> Result<(), StoreError> {
        let sql = "DELETE FROM desk_draft WHERE agent_id = $1 AND conversation_id = $2";
        self.execute(sql, [text(&agent).into(), text(&id).into()]).await?;
        Ok(())
    }
}
