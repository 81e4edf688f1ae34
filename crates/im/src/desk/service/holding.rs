//! Taking chats, giving them back, taking them over, closing them and taking them up again.

use std::time::Duration;

use domain::id::{AgentId, ConversationId};
use domain::{Actor, Timestamp, text};
use serde_json::json;

use super::accept::{begin_episode, require_staff, resume_episode};
use super::work::Work;
use super::{Desk, retrying};
use crate::desk::chat::{AssignReason, Chat, ChatStatus, CloseReason};
use crate::desk::entry::{EntryKind, MAX_NOTE_CHARS};
use crate::desk::error::DeskError;

/// Most characters of the reason of a takeover.
const MAX_REASON_CHARS: usize = 500;

impl Desk {
    /// Takes a chat out of the queue.
    ///
    /// # Errors
    /// [`DeskError::Taken`], [`DeskError::Offline`], [`DeskError::NoRoom`], [`DeskError::WrongStatus`].
    pub async fn claim(&self, actor: &Actor, id: ConversationId) -> Result<Chat, DeskError> {
        let agent = require_staff(actor)?;
        retrying!(self.claim_once(actor, agent, id))
    }

    async fn claim_once(&self, actor: &Actor, agent: AgentId, id: ConversationId) -> Result<Chat, DeskError> {
        let mut work = self.work().await?;
        let mut chat = work.chat(id).await?;
        match chat.status {
            ChatStatus::Queued => {}
            ChatStatus::Assigned if chat.is_of(agent) => return Ok(chat),
            ChatStatus::Assigned => return Err(DeskError::Taken),
            other => return Err(DeskError::WrongStatus { status: other.as_str() }),
        }
        take(&mut work, &mut chat, agent, AssignReason::Claimed).await?;
        work.audit(actor, "desk.claim", id, json!({}));
        self.finish(work).await?;
        Ok(chat)
    }

    /// Puts an own chat back into the queue.
    ///
    /// # Errors
    /// [`DeskError::NotYours`]; [`DeskError::Invalid`] naming `note`.
    pub async fn release(&self, actor: &Actor, id: ConversationId, note: Option<&str>) -> Result<Chat, DeskError> {
        let agent = require_staff(actor)?;
        let note = note.map(|note| text::bounded("note", note, MAX_NOTE_CHARS)).transpose()?;
        let note = note.filter(|note| !note.is_empty());
        let chat = retrying!(self.release_once(actor, agent, id, note.as_deref()))?;
        self.assign_after().await;
        Ok(chat)
    }

    async fn release_once(
        &self,
        actor: &Actor,
        agent: AgentId,
        id: ConversationId,
        note: Option<&str>,
    ) -> Result<Chat, DeskError> {
        let mut work = self.work().await?;
        let mut chat = work.chat(id).await?;
        if !chat.is_of(agent) {
            return Err(DeskError::NotYours);
        }
        let for_now = work.now + Duration::from_millis(work.assistant.settings.offer_ms);
        chat.avoid(agent, for_now);
        chat.enqueue(work.now);
        work.let_go(&mut chat, agent).await?;
        work.entry(id, EntryKind::Released, Some(agent), note, json!({}));
        work.audit(actor, "desk.release", id, json!({}));
        work.tell_customer(&chat, None);
        self.finish(work).await?;
        Ok(chat)
    }

    /// Takes a chat from another agent, who is told.
    ///
    /// # Errors
    /// [`DeskError::WrongStatus`] unless another agent has it; [`DeskError::Offline`], [`DeskError::NoRoom`];
    /// [`DeskError::Invalid`] naming `reason`.
    pub async fn take_over(&self, actor: &Actor, id: ConversationId, reason: &str) -> Result<Chat, DeskError> {
        let agent = require_staff(actor)?;
        let reason = text::required("reason", reason, MAX_REASON_CHARS)?;
        let chat = retrying!(self.take_over_once(actor, agent, id, &reason))?;
        self.assign_after().await;
        Ok(chat)
    }

    async fn take_over_once(
        &self,
        actor: &Actor,
        agent: AgentId,
        id: ConversationId,
        reason: &str,
    ) -> Result<Chat, DeskError> {
        let mut work = self.work().await?;
        let mut chat = work.chat(id).await?;
        let from = match chat.agent {
            Some(from) if from == agent => return Ok(chat),
            Some(from) => from,
            None => return Err(DeskError::WrongStatus { status: chat.status.as_str() }),
        };
        chat.enqueue(work.now);
        work.let_go(&mut chat, from).await?;
        let name = take(&mut work, &mut chat, agent, AssignReason::TakenOver).await?;
        work.entry(id, EntryKind::TakenOver, Some(agent), Some(reason), json!({ "from": from }));
        work.audit(actor, "desk.take_over", id, json!({ "from": from, "reason": reason }));
        let told = json!({ "what": "taken_over", "byAgentId": agent, "byName": name, "reason": reason });
        work.tell_one(from, id, told);
        self.finish(work).await?;
        Ok(chat)
    }

    /// Ends an own chat, or one that waits; an administrator ends any.
    ///
    /// # Errors
    /// [`DeskError::NotYours`], [`DeskError::WrongStatus`].
    pub async fn close(&self, actor: &Actor, id: ConversationId) -> Result<Chat, DeskError> {
        let agent = require_staff(actor)?;
        let chat = retrying!(self.close_once(actor, agent, id))?;
        self.assign_after().await;
        Ok(chat)
    }

    async fn close_once(&self, actor: &Actor, agent: AgentId, id: ConversationId) -> Result<Chat, DeskError> {
        let mut work = self.work().await?;
        let mut chat = work.chat(id).await?;
        match chat.status {
            ChatStatus::Assigned if chat.is_of(agent) || actor.is_admin() => {}
            ChatStatus::Assigned => return Err(DeskError::NotYours),
            ChatStatus::Queued => {}
            other => return Err(DeskError::WrongStatus { status: other.as_str() }),
        }
        end(&mut work, &mut chat, Some(agent), CloseReason::Agent).await?;
        work.audit(actor, "desk.close", id, json!({}));
        self.finish(work).await?;
        Ok(chat)
    }

    /// Ends the chat of a customer who closed their account, if there is one that goes on; says whether there was.
    ///
    /// # Errors
    /// [`DeskError::Store`].
    pub async fn end_for_gone(&self, customer_id: &str) -> Result<bool, DeskError> {
        match self.store.read().chats().find_by_customer(customer_id).await? {
            Some(chat) => retrying!(self.end_for_gone_once(chat.conversation_id)),
            None => Ok(false),
        }
    }

    async fn end_for_gone_once(&self, id: ConversationId) -> Result<bool, DeskError> {
        let mut work = self.work().await?;
        let mut chat = work.chat(id).await?;
        if matches!(chat.status, ChatStatus::Idle | ChatStatus::Closed) {
            return Ok(false);
        }
        end(&mut work, &mut chat, None, CloseReason::AccountClosed).await?;
        self.finish(work).await?;
        Ok(true)
    }

    /// Takes a chat up that is closed, or in which nothing was asked yet.
    ///
    /// # Errors
    /// [`DeskError::WrongStatus`] for others; [`DeskError::Offline`], [`DeskError::NoRoom`].
    pub async fn reopen(&self, actor: &Actor, id: ConversationId) -> Result<Chat, DeskError> {
        let agent = require_staff(actor)?;
        retrying!(self.reopen_once(actor, agent, id))
    }

    async fn reopen_once(&self, actor: &Actor, agent: AgentId, id: ConversationId) -> Result<Chat, DeskError> {
        let mut work = self.work().await?;
        let mut chat = work.chat(id).await?;
        if chat.is_of(agent) {
            return Ok(chat);
        }
        let window = Duration::from_millis(work.assistant.settings.reopen_within_ms);
        let is_fresh = |at: Timestamp| work.now.since(at) < window;
        let goes_on = match chat.status {
            ChatStatus::Closed => chat.detail.closed_at.is_some_and(is_fresh) && !chat.detail.is_rated,
            ChatStatus::Idle => false,
            other => return Err(DeskError::WrongStatus { status: other.as_str() }),
        };
        if goes_on {
            resume_episode(&mut work, &chat).await?;
        } else {
            begin_episode(self, &mut work, &mut chat).await?;
        }
        take(&mut work, &mut chat, agent, AssignReason::Reopened).await?;
        work.entry(id, EntryKind::Reopened, Some(agent), None, json!({}));
        work.audit(actor, "desk.reopen", id, json!({}));
        self.finish(work).await?;
        Ok(chat)
    }
}

/// Gives a chat that nobody has to an agent; answers the agent's name.
///
/// # Errors
/// What keeps the agent from it.
pub(super) async fn take(
    work: &mut Work,
    chat: &mut Chat,
    agent: AgentId,
    reason: AssignReason,
) -> Result<String, DeskError> {
    let found = work.unit.agents().find(agent).await?.filter(|found| found.is_there(work.now));
    let found = found.ok_or(DeskError::Offline)?;
    chat.assign(agent, reason, work.now);
    if !work.claim(chat).await? {
        return Err(if found.has_room() { DeskError::Conflict } else { DeskError::NoRoom });
    }
    if reason == AssignReason::Claimed {
        let data = json!({ "reason": reason.as_str(), "agentId": agent });
        work.entry(chat.conversation_id, EntryKind::Assigned, Some(agent), None, data);
    }
    work.tell_customer(chat, Some(&found.display_name));
    Ok(found.display_name)
}

/// Ends a chat, whoever has it.
pub(super) async fn end(
    work: &mut Work,
    chat: &mut Chat,
    by: Option<AgentId>,
    reason: CloseReason,
) -> Result<(), DeskError> {
    let from = chat.agent;
    chat.close(reason, work.now);
    match from {
        Some(from) => work.let_go(chat, from).await?,
        None => work.save(chat).await?,
    }
    work.entry(chat.conversation_id, EntryKind::Closed, by, None, json!({ "reason": reason.as_str() }));
    work.end_episode(chat, reason).await
}
