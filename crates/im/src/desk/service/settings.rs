//! What administrators set for the assistant, and what agents keep about a customer.

use domain::id::ConversationId;
use domain::{Actor, FieldError, Patch, text};
use serde_json::json;

use super::accept::require_staff;
use super::{Desk, retrying};
use crate::desk::agent::check_tags;
use crate::desk::assistant::{Assistant, AssistantPatch};
use crate::desk::chat::{Chat, MAX_PRIORITY, MAX_REMARK_CHARS};
use crate::desk::entry::EntryKind;
use crate::desk::error::DeskError;

/// What agents may change of a chat.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChatPatch {
    pub tags: Option<Vec<String>>,
    pub remark: Patch<String>,
    pub is_blocked: Option<bool>,
    pub priority: Option<u8>,
    /// Skills an agent must have to be given it.
    pub skills: Option<Vec<String>>,
}

impl Desk {
    /// Adds the assistant to the store, unless it is there.
    ///
    /// # Errors
    /// [`DeskError::Store`].
    pub async fn ensure_assistant(&self) -> Result<(), DeskError> {
        if self.store.read().assistants().find(self.assistant).await?.is_some() {
            return Ok(());
        }
        let mut unit = self.store.begin().await?;
        unit.assistants().ensure(&Assistant::new(self.assistant, self.clock.now())).await?;
        Ok(unit.commit().await?)
    }

    /// The assistant with everything that can be set.
    ///
    /// # Errors
    /// [`DeskError::Access`] for anybody but staff.
    pub async fn settings(&self, actor: &Actor) -> Result<Assistant, DeskError> {
        require_staff(actor)?;
        self.about().await
    }

    /// Changes the assistant.
    ///
    /// # Errors
    /// [`DeskError::Access`] for anybody but administrators; [`DeskError::Invalid`] naming the fields;
    /// [`DeskError::Conflict`].
    pub async fn update_settings(&self, actor: &Actor, patch: AssistantPatch) -> Result<Assistant, DeskError> {
        actor.require_admin()?;
        if let Patch::Set(icon) = patch.icon {
            let fault = || FieldError::new("icon", "is a file the staff has uploaded");
            self.check_file(icon).await.map_err(|_named_otherwise| fault())?;
        }
        self.ensure_assistant().await?;
        let mut work = self.work().await?;
        let mut assistant = work.assistant.clone();
        assistant.apply(patch, work.now)?;
        work.unit.assistants().update(&assistant).await?;
        assistant.version += 1;
        let version = assistant.version;
        work.audit_subject(
            actor,
            "assistant.update",
            format!("assistant:{}", self.assistant),
            json!({ "version": version }),
        );
        self.finish(work).await?;
        self.assign_after().await;
        Ok(assistant)
    }

    /// Changes what the desk keeps about a customer, and how urgent the chat is.
    ///
    /// # Errors
    /// [`DeskError::ChatNotFound`]; [`DeskError::Invalid`] naming the fields.
    pub async fn update_chat(&self, actor: &Actor, id: ConversationId, patch: ChatPatch) -> Result<Chat, DeskError> {
        require_staff(actor)?;
        let chat = retrying!(self.update_chat_once(actor, id, &patch))?;
        self.assign_after().await;
        Ok(chat)
    }

    async fn update_chat_once(&self, actor: &Actor, id: ConversationId, patch: &ChatPatch) -> Result<Chat, DeskError> {
        let agent = Some(require_staff(actor)?);
        let mut work = self.work().await?;
        let mut chat = work.chat(id).await?;
        let before = chat.clone();
        if let Some(tags) = &patch.tags {
            chat.detail.tags = check_tags("tags", tags)?;
        }
        if let Some(skills) = &patch.skills {
            chat.detail.skills = check_tags("skills", skills)?;
        }
        let remark = patch.remark.clone().try_map(|remark| text::bounded("remark", &remark, MAX_REMARK_CHARS))?;
        remark.apply(&mut chat.detail.remark);
        chat.detail.remark = chat.detail.remark.filter(|remark| !remark.is_empty());
        if let Some(priority) = patch.priority {
            if priority > MAX_PRIORITY {
                return Err(FieldError::new("priority", format!("is at most {MAX_PRIORITY}")).into());
            }
            chat.priority = priority;
        }
        chat.detail.is_blocked = patch.is_blocked.unwrap_or(chat.detail.is_blocked);
        if chat == before {
            return Ok(chat);
        }
        if chat.detail.tags != before.detail.tags {
            work.entry(id, EntryKind::Tags, agent, None, json!({ "tags": chat.detail.tags }));
        }
        if chat.detail.remark != before.detail.remark {
            work.entry(id, EntryKind::Remark, agent, chat.detail.remark.as_deref(), json!({}));
        }
        if chat.detail.is_blocked != before.detail.is_blocked {
            let kind = if chat.detail.is_blocked { EntryKind::Blocked } else { EntryKind::Unblocked };
            work.entry(id, kind, agent, None, json!({}));
        }
        if chat.priority != before.priority {
            work.entry(id, EntryKind::Priority, agent, None, json!({ "priority": chat.priority }));
        }
        chat.updated_at = work.now;
        work.save(&mut chat).await?;
        let detail = json!({ "isBlocked": chat.detail.is_blocked, "priority": chat.priority });
        work.audit(actor, "desk.chat.update", id, detail);
        self.finish(work).await?;
        Ok(chat)
    }
}
