//! Handing chats over: offered to one agent, who accepts or declines, or put into the queue of a group.

use std::time::Duration;

use domain::id::{AgentId, ConversationId};
use domain::{Actor, FieldError, text};
use serde_json::json;

use super::accept::require_staff;
use super::holding::take;
use super::work::Work;
use super::{Desk, retrying};
use crate::desk::chat::{AssignReason, Chat, Offer};
use crate::desk::entry::{EntryKind, MAX_NOTE_CHARS};
use crate::desk::error::DeskError;

/// To whom a chat is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferTo {
    Agent(AgentId),
    Group(String),
}

/// What becomes of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Declined,
    /// Taken back by whom it came from.
    Cancelled,
}

impl Desk {
    /// Hands an own chat over. To an agent it is offered, and stays where it is until they accept; to a group it goes
    /// through the queue.
    ///
    /// # Errors
    /// [`DeskError::NotYours`]; [`DeskError::AgentNotFound`], [`DeskError::AgentAway`], [`DeskError::NoRoom`] of the
    /// other agent; [`DeskError::Invalid`] naming the field.
    pub async fn transfer(
        &self,
        actor: &Actor,
        id: ConversationId,
        to: TransferTo,
        note: &str,
    ) -> Result<Chat, DeskError> {
        let agent = require_staff(actor)?;
        let note = text::required("note", note, MAX_NOTE_CHARS)?;
        let chat = retrying!(self.transfer_once(actor, agent, id, &to, &note))?;
        self.assign_after().await;
        Ok(chat)
    }

    async fn transfer_once(
        &self,
        actor: &Actor,
        agent: AgentId,
        id: ConversationId,
        to: &TransferTo,
        note: &str,
    ) -> Result<Chat, DeskError> {
        let mut work = self.work().await?;
        let mut chat = work.chat(id).await?;
        if !chat.is_of(agent) {
            return Err(DeskError::NotYours);
        }
        match to {
            TransferTo::Agent(to) => offer(&mut work, &mut chat, agent, *to, note).await?,
            TransferTo::Group(group) => to_group(&mut work, &mut chat, agent, group, note).await?,
        }
        work.audit(actor, "desk.transfer", id, json!({}));
        self.finish(work).await?;
        Ok(chat)
    }

    /// Takes a chat that was offered to the caller.
    ///
    /// # Errors
    /// [`DeskError::NoOffer`], [`DeskError::Offline`], [`DeskError::NoRoom`].
    pub async fn accept_transfer(&self, actor: &Actor, id: ConversationId) -> Result<Chat, DeskError> {
        let agent = require_staff(actor)?;
        let chat = retrying!(self.accept_transfer_once(actor, agent, id))?;
        self.assign_after().await;
        Ok(chat)
    }

    async fn accept_transfer_once(&self, actor: &Actor, agent: AgentId, id: ConversationId) -> Result<Chat, DeskError> {
        let mut work = self.work().await?;
        let mut chat = work.chat(id).await?;
        let offer = chat.detail.offer.clone().filter(|offer| offer.to == agent && offer.until > work.now);
        let offer = offer.ok_or(DeskError::NoOffer)?;
        chat.enqueue(work.now);
        work.let_go(&mut chat, offer.from).await?;
        take(&mut work, &mut chat, agent, AssignReason::Transferred).await?;
        work.entry(id, EntryKind::Accepted, Some(agent), None, json!({ "from": offer.from }));
        work.audit(actor, "desk.transfer.accept", id, json!({ "from": offer.from }));
        self.finish(work).await?;
        Ok(chat)
    }

    /// Does not take a chat that was offered to the caller; it stays where it is.
    ///
    /// # Errors
    /// [`DeskError::NoOffer`].
    pub async fn decline_transfer(&self, actor: &Actor, id: ConversationId) -> Result<Chat, DeskError> {
        let agent = require_staff(actor)?;
        retrying!(self.end_offer(actor, agent, id, Answer::Declined))
    }

    /// Takes the offer of an own chat back.
    ///
    /// # Errors
    /// [`DeskError::NoOffer`].
    pub async fn cancel_transfer(&self, actor: &Actor, id: ConversationId) -> Result<Chat, DeskError> {
        let agent = require_staff(actor)?;
        retrying!(self.end_offer(actor, agent, id, Answer::Cancelled))
    }

    async fn end_offer(
        &self,
        actor: &Actor,
        agent: AgentId,
        id: ConversationId,
        answer: Answer,
    ) -> Result<Chat, DeskError> {
        let mut work = self.work().await?;
        let mut chat = work.chat(id).await?;
        let is_theirs = |offer: &Offer| match answer {
            Answer::Declined => offer.to == agent,
            Answer::Cancelled => offer.from == agent,
        };
        let offer = chat.detail.offer.take().filter(is_theirs).ok_or(DeskError::NoOffer)?;
        chat.updated_at = work.now;
        work.save(&mut chat).await?;
        let how = match answer {
            Answer::Declined => "declined",
            Answer::Cancelled => "cancelled",
        };
        work.entry(id, EntryKind::Declined, Some(agent), None, json!({ "to": offer.to, "how": how }));
        work.audit(actor, "desk.transfer.decline", id, json!({ "to": offer.to, "how": how }));
        let other = if offer.to == agent { offer.from } else { offer.to };
        work.tell_one(other, id, json!({ "what": "offer_ended", "how": how }));
        self.finish(work).await?;
        Ok(chat)
    }
}

async fn offer(work: &mut Work, chat: &mut Chat, from: AgentId, to: AgentId, note: &str) -> Result<(), DeskError> {
    if to == from {
        return Err(FieldError::new("agentId", "is another agent").into());
    }
    let other = work.agent(to).await?.ok_or(DeskError::AgentNotFound)?;
    if !other.is_there(work.now) {
        return Err(DeskError::AgentAway);
    }
    if !other.has_room() {
        return Err(DeskError::NoRoom);
    }
    let until = work.now + Duration::from_millis(work.assistant.settings.offer_ms);
    chat.detail.offer = Some(Offer { from, to, note: note.to_owned(), until });
    chat.updated_at = work.now;
    work.save(chat).await?;
    let id = chat.conversation_id;
    work.entry(id, EntryKind::Offered, Some(from), Some(note), json!({ "to": to }));
    let told = json!({ "what": "offer", "fromAgentId": from, "note": note, "until": until.to_rfc3339() });
    work.tell_one(to, id, told);
    Ok(())
}

async fn to_group(work: &mut Work, chat: &mut Chat, from: AgentId, group: &str, note: &str) -> Result<(), DeskError> {
    let agents = work.unit.agents().list().await?;
    if !agents.iter().any(|agent| agent.groups.iter().any(|of| of == group)) {
        return Err(FieldError::new("group", "is a group that somebody is in").into());
    }
    let for_now = work.now + Duration::from_millis(work.assistant.settings.offer_ms);
    chat.avoid(from, for_now);
    chat.enqueue(work.now);
    chat.detail.group = Some(group.to_owned());
    work.let_go(chat, from).await?;
    work.entry(chat.conversation_id, EntryKind::Offered, Some(from), Some(note), json!({ "group": group }));
    work.tell_customer(chat, None);
    Ok(())
}
