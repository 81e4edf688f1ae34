//! The assistant.

use ::im::desk::Assistant;
use ::im::desk::ports::AssistantRepository;
use async_trait::async_trait;
use domain::StoreError;
use domain::id::AssistantId;

use super::{get, json, read};
use crate::convert::text;
use crate::store::SeaUnit;

#[async_trait]
impl AssistantRepository for SeaUnit {
    async fn find(&mut self, id: AssistantId) -> Result<Option<Assistant>, StoreError> {
        let rows = self.query("SELECT data, version FROM assistant WHERE id = $1", [text(&id).into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let found: Assistant = read(row, "data")?;
        Ok(Some(Assistant { version: get(row, "version")?, ..found }))
    }

    async fn ensure(&mut self, assistant: &Assistant) -> Result<(), StoreError> {
        let sql = "INSERT INTO assistant (id, data, updated_at, version) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (id) DO NOTHING";
        let at = assistant.updated_at.as_millis();
        let values = [text(&assistant.id).into(), json(assistant)?.into(), at.into(), assistant.version.into()];
        self.execute(sql, values).await?;
        Ok(())
    }

    async fn update(&mut self, assistant: &Assistant) -> Result<(), StoreError> {
        let sql = "UPDATE assistant SET data = $2, updated_at = $3, version = version + 1 \
                   WHERE id = $1 AND version = $4";
        let at = assistant.updated_at.as_millis();
        let values = [text(&assistant.id).into(), json(assistant)?.into(), at.into(), assistant.version.into()];
        if self.execute(sql, values).await? == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }
}
