//! What agents have written and not sent: kept, so that it survives a reload and a restart.

use domain::id::ConversationId;
use domain::{Actor, FieldError};

use super::Desk;
use super::accept::require_staff;
use crate::desk::error::DeskError;
use crate::desk::ports::Draft;

/// Most characters of a draft.
const MAX_DRAFT_CHARS: usize = 10_000;

impl Desk {
    /// The caller's drafts, newest first.
    ///
    /// # Errors
    /// [`DeskError::Access`] for anybody but staff.
    pub async fn drafts(&self, actor: &Actor) -> Result<Vec<Draft>, DeskError> {
        let agent = require_staff(actor)?;
        Ok(self.store.read().drafts().list(agent).await?)
    }

    /// The caller's draft for a chat.
    ///
    /// # Errors
    /// [`DeskError::ChatNotFound`].
    pub async fn draft(&self, actor: &Actor, id: ConversationId) -> Result<Option<Draft>, DeskError> {
        let agent = require_staff(actor)?;
        let mut unit = self.store.read();
        unit.chats().find(id).await?.ok_or(DeskError::ChatNotFound)?;
        Ok(unit.drafts().find(agent, id).await?)
    }

    /// Keeps the caller's draft for a chat; an empty one is forgotten.
    ///
    /// # Errors
    /// [`DeskError::ChatNotFound`]; [`DeskError::Invalid`] naming `text`.
    pub async fn put_draft(
        &self,
        actor: &Actor,
        id: ConversationId,
        text: &str,
        is_note: bool,
    ) -> Result<Draft, DeskError> {
        let agent = require_staff(actor)?;
        if text.chars().count() > MAX_DRAFT_CHARS {
            return Err(FieldError::new("text", format!("must have at most {MAX_DRAFT_CHARS} characters")).into());
        }
        self.store.read().chats().find(id).await?.ok_or(DeskError::ChatNotFound)?;
        let updated_at = self.clock.now();
        let draft = Draft { agent, conversation_id: id, text: text.to_owned(), is_note, updated_at };
        let mut unit = self.store.begin().await?;
        if draft.text.is_empty() {
            unit.drafts().delete(agent, id).await?;
        } else {
            unit.drafts().put(&draft).await?;
        }
        unit.commit().await?;
        Ok(draft)
    }

    /// Forgets the caller's draft for a chat.
    ///
    /// # Errors
    /// [`DeskError::Access`] for anybody but staff.
    pub async fn delete_draft(&self, actor: &Actor, id: ConversationId) -> Result<(), DeskError> {
        let agent = require_staff(actor)?;
        let mut unit = self.store.begin().await?;
        unit.drafts().delete(agent, id).await?;
        Ok(unit.commit().await?)
    }
}
