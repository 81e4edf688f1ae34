//! Keeping answers ready.

use chrono::Datelike;
use domain::id::{AgentId, CannedReplyId, ConversationId, FileId};
use domain::{Actor, FieldError, text};
use serde_json::json;

use super::Desk;
use super::accept::require_staff;
use crate::desk::canned::{CannedReply, CannedReplyPatch, CannedScope, MAX_GROUP_CHARS, MAX_REPLIES, Variables};
use crate::desk::error::DeskError;

/// An answer to be kept ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCannedReply {
    pub scope: CannedScope,
    pub group: Option<String>,
    pub title: String,
    pub shortcut: Option<String>,
    pub text: String,
    pub files: Vec<FileId>,
}

/// An answer as it would be said now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannedReplyView {
    pub reply: CannedReply,
    /// With its variables filled in, when it is asked for a chat.
    pub rendered: Option<String>,
}

impl Desk {
    /// The answers the caller sees that match what they have typed, filled in for a chat if one is named.
    ///
    /// # Errors
    /// [`DeskError::ChatNotFound`].
    pub async fn canned_replies(
        &self,
        actor: &Actor,
        typed: &str,
        chat: Option<ConversationId>,
    ) -> Result<Vec<CannedReplyView>, DeskError> {
        let agent = self.own_agent(actor).await?;
        let variables = match chat {
            Some(id) => Some(self.variables(&agent.display_name, id).await?),
            None => None,
        };
        let found = self.store.read().canned_replies().list(agent.id, &agent.groups).await?;
        let view = |reply: CannedReply| {
            let rendered = variables.as_ref().map(|variables| variables.fill(&reply.text));
            CannedReplyView { reply, rendered }
        };
        Ok(found.into_iter().filter(|reply| reply.matches(typed)).map(view).collect())
    }

    async fn variables(&self, agent_name: &str, id: ConversationId) -> Result<Variables, DeskError> {
        let mut unit = self.store.read();
        let chat = unit.chats().find(id).await?.ok_or(DeskError::ChatNotFound)?;
        let customer = self.customer(&chat).await?;
        let local = self.clock.now().to_datetime().with_timezone(&self.home);
        Ok(Variables {
            customer_name: customer.name().unwrap_or_default().to_owned(),
            customer_title: customer.title().unwrap_or_default().to_owned(),
            agent_name: agent_name.to_owned(),
            assistant_name: self.assistant(&mut *unit).await?.name,
            date: format!("{}年{}月{}日", local.year(), local.month(), local.day()),
            time: local.format("%H:%M").to_string(),
        })
    }

    /// Keeps an answer ready. Those that others see are made by administrators.
    ///
    /// # Errors
    /// [`DeskError::Access`], [`DeskError::Invalid`] naming the fields, [`DeskError::TooManyCannedReplies`].
    pub async fn create_canned_reply(&self, actor: &Actor, new: NewCannedReply) -> Result<CannedReply, DeskError> {
        let agent = self.own_agent(actor).await?;
        may_keep(actor, agent.id, new.scope, agent.id)?;
        let group = match (new.scope, new.group) {
            (CannedScope::Group, Some(group)) => Some(text::required("group", &group, MAX_GROUP_CHARS)?),
            (CannedScope::Group, None) => return Err(FieldError::new("group", "is required for this scope").into()),
            (_, Some(_)) => return Err(FieldError::new("group", "goes with scope group only").into()),
            (_, None) => None,
        };
        let now = self.clock.now();
        let mut reply = CannedReply::new(CannedReplyId(self.ids.next()), new.scope, agent.id, group, now);
        let patch = CannedReplyPatch {
            title: Some(new.title),
            shortcut: new.shortcut.map_or(domain::Patch::Absent, domain::Patch::Set),
            text: Some(new.text),
            files: Some(new.files),
        };
        self.check_files(patch.files.as_deref()).await?;
        reply.apply(patch, now)?;
        let mut work = self.work().await?;
        if work.unit.canned_replies().list(agent.id, &agent.groups).await?.len() >= MAX_REPLIES {
            return Err(DeskError::TooManyCannedReplies);
        }
        work.unit.canned_replies().insert(&reply).await?;
        let detail = json!({ "scope": reply.scope.as_str() });
        work.audit_subject(actor, "canned_reply.create", format!("canned_reply:{}", reply.id), detail);
        self.finish(work).await?;
        Ok(reply)
    }

    /// Changes an answer: one's own, or, as an administrator, one that others see.
    ///
    /// # Errors
    /// [`DeskError::CannedReplyNotFound`] also for another's own; [`DeskError::Access`]; [`DeskError::Invalid`].
    pub async fn update_canned_reply(
        &self,
        actor: &Actor,
        id: CannedReplyId,
        patch: CannedReplyPatch,
    ) -> Result<CannedReply, DeskError> {
        let agent = require_staff(actor)?;
        self.check_files(patch.files.as_deref()).await?;
        let mut work = self.work().await?;
        let found = work.unit.canned_replies().find(id).await?;
        let mut reply = found.ok_or(DeskError::CannedReplyNotFound)?;
        may_keep(actor, agent, reply.scope, reply.owner)?;
        reply.apply(patch, work.now)?;
        work.unit.canned_replies().update(&reply).await?;
        reply.version += 1;
        work.audit_subject(actor, "canned_reply.update", format!("canned_reply:{id}"), json!({}));
        self.finish(work).await?;
        Ok(reply)
    }

    /// Forgets an answer.
    ///
    /// # Errors
    /// As [`Self::update_canned_reply`].
    pub async fn delete_canned_reply(&self, actor: &Actor, id: CannedReplyId) -> Result<(), DeskError> {
        let agent = require_staff(actor)?;
        let mut work = self.work().await?;
        let reply = work.unit.canned_replies().find(id).await?.ok_or(DeskError::CannedReplyNotFound)?;
        may_keep(actor, agent, reply.scope, reply.owner)?;
        work.unit.canned_replies().delete(id).await?;
        work.audit_subject(actor, "canned_reply.delete", format!("canned_reply:{id}"), json!({}));
        self.finish(work).await?;
        Ok(())
    }

    async fn check_files(&self, files: Option<&[FileId]>) -> Result<(), DeskError> {
        for (at, file) in files.unwrap_or_default().iter().enumerate() {
            let fault = || FieldError::new(format!("fileIds[{at}]"), "is not a file the staff has uploaded");
            self.check_file(*file).await.map_err(|_named_otherwise| fault())?;
        }
        Ok(())
    }
}

/// Whether somebody may make or change an answer of this scope.
fn may_keep(actor: &Actor, agent: AgentId, scope: CannedScope, owner: AgentId) -> Result<(), DeskError> {
    match scope {
        CannedScope::Personal if owner == agent => Ok(()),
        // Another's own answers are nobody's business.
        CannedScope::Personal => Err(DeskError::CannedReplyNotFound),
        CannedScope::Group | CannedScope::All => Ok(actor.require(actor.is_admin())?),
    }
}
