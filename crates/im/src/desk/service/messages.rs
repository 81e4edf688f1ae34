//! What agents write and read in chats: answers, notes, receipts, recalls, history and search.

use domain::file::FileOwner;
use domain::id::{AgentId, ConversationId, FileId, MessageId};
use domain::page::{Page, PageRequest};
use domain::{Actor, FieldError, text};
use serde_json::json;

use super::accept::require_staff;
use super::{Desk, retrying};
use crate::content;
use crate::conversation::ReadMove;
use crate::desk::chat::Chat;
use crate::desk::entry::{DeskEntry, EntryKind, MAX_NOTE_CHARS};
use crate::desk::error::DeskError;
use crate::error::ImError;
use crate::log::EventKind;
use crate::message::{HistoryPage, Message, MessageKind, MessageSearch, NewMessage};
use crate::service::{Found, MessagePage, ReadState, SendRequest, check_client_message_id, check_limit, cut};

/// Most characters of what is looked for.
const MAX_QUERY_CHARS: usize = 100;

impl Desk {
    /// Checks an answer of the caller and makes it ready for the queue all messages go through; whether the caller has
    /// the chat is decided when it is stored.
    ///
    /// # Errors
    /// [`DeskError::Invalid`] naming the field; [`DeskError::ChatNotFound`].
    pub async fn prepare(&self, actor: &Actor, request: SendRequest<'_>) -> Result<NewMessage, DeskError> {
        let agent = require_staff(actor)?;
        let kind = MessageKind::parse(request.kind);
        let checked = content::check(&kind, request.content)?;
        check_client_message_id(request.client_message_id)?;
        let mut unit = self.store.read();
        unit.chats().find(request.conversation_id).await?.ok_or(DeskError::ChatNotFound)?;
        if let Some(file) = checked.file {
            self.check_file(file).await?;
        }
        if let Some(corrected) = request.corrects {
            let found = unit.im().messages().find(request.conversation_id, corrected).await?;
            if !found.is_some_and(|message| message.acted_by == Some(agent) && !message.is_recalled()) {
                return Err(FieldError::new("corrects", "is not a message of yours in this conversation").into());
            }
        }
        Ok(NewMessage {
            id: MessageId(self.ids.next()),
            conversation_id: request.conversation_id,
            sender: Some(self.assistant.to_string()),
            acted_by: Some(agent),
            client_message_id: Some(request.client_message_id.to_owned()),
            kind,
            content: checked.content,
            corrects: request.corrects,
            created_at: self.clock.now(),
            is_agreed: false,
            origin: request.origin,
        })
    }

    /// Agents show what the staff has uploaded, never what customers have.
    pub(super) async fn check_file(&self, id: FileId) -> Result<(), DeskError> {
        let found = self.store.read().im().files().find(id).await?;
        let is_ours = found.is_some_and(|file| matches!(file.owner, FileOwner::Staff(_)));
        let fault = || FieldError::new("content.fileId", "is not a file the staff has uploaded");
        if is_ours { Ok(()) } else { Err(fault().into()) }
    }

    /// Writes a note for agents.
    ///
    /// # Errors
    /// [`DeskError::ChatNotFound`]; [`DeskError::Invalid`] naming `text`.
    pub async fn add_note(&self, actor: &Actor, id: ConversationId, note: &str) -> Result<DeskEntry, DeskError> {
        let agent = require_staff(actor)?;
        let note = text::required("text", note, MAX_NOTE_CHARS)?;
        let entry = retrying!(self.add_note_once(agent, id, &note))?;
        // Where it stands is known now.
        let page = PageRequest { limit: PageRequest::MAX_LIMIT, after: None };
        let found = self.store.read().entries().list(id, page).await?;
        Ok(found.items.into_iter().find(|other| other.id == entry.id).unwrap_or(entry))
    }

    async fn add_note_once(&self, agent: AgentId, id: ConversationId, note: &str) -> Result<DeskEntry, DeskError> {
        let mut work = self.work().await?;
        work.chat(id).await?;
        let entry = work.entry(id, EntryKind::Note, Some(agent), Some(note), json!({}));
        self.finish(work).await?;
        Ok(entry)
    }

    /// Notes and events of a chat, newest first.
    ///
    /// # Errors
    /// [`DeskError::ChatNotFound`].
    pub async fn entries(
        &self,
        actor: &Actor,
        id: ConversationId,
        page: PageRequest,
    ) -> Result<Page<DeskEntry>, DeskError> {
        self.readable(actor, id).await?;
        Ok(self.store.read().entries().list(id, page).await?)
    }

    /// A page of a chat, ascending. Reading what another agent has in hand is audited.
    ///
    /// # Errors
    /// [`DeskError::ChatNotFound`]; [`DeskError::Invalid`] naming `limit`.
    pub async fn messages(
        &self,
        actor: &Actor,
        id: ConversationId,
        page: HistoryPage,
        limit: u32,
    ) -> Result<MessagePage, DeskError> {
        check_limit(limit)?;
        self.readable(actor, id).await?;
        let mut unit = self.store.read();
        let mut messages = unit.im().messages().history(id, page, limit.saturating_add(1)).await?;
        let has_more = cut(&mut messages, page, limit);
        Ok(MessagePage { messages, has_more })
    }

    /// The chat, after noting down that somebody looks at what another agent has in hand.
    pub(super) async fn readable(&self, actor: &Actor, id: ConversationId) -> Result<Chat, DeskError> {
        let agent = require_staff(actor)?;
        let chat = self.store.read().chats().find(id).await?.ok_or(DeskError::ChatNotFound)?;
        let is_offered = chat.detail.offer.as_ref().is_some_and(|offer| offer.to == agent);
        if chat.agent.is_some_and(|owner| owner != agent) && !is_offered {
            let mut work = self.work().await?;
            work.audit(actor, "desk.read_other", id, json!({ "agentId": chat.agent }));
            self.finish(work).await?;
        }
        Ok(chat)
    }

    /// Moves the assistant's mark on, if the caller has the chat; a look of somebody else changes nothing.
    ///
    /// # Errors
    /// [`DeskError::ChatNotFound`]; [`DeskError::Invalid`] naming `seq`.
    pub async fn read(&self, actor: &Actor, id: ConversationId, seq: i64) -> Result<ReadState, DeskError> {
        let agent = require_staff(actor)?;
        if seq < 0 {
            return Err(FieldError::new("seq", "is a sequence number").into());
        }
        retrying!(self.read_once(agent, id, seq))
    }

    async fn read_once(&self, agent: AgentId, id: ConversationId, seq: i64) -> Result<ReadState, DeskError> {
        let mut work = self.work().await?;
        let chat = work.chat(id).await?;
        let client_id = work.assistant.client_id();
        let conversations = work.unit.im().conversations();
        let conversation = conversations.find_locked(id).await?.ok_or(DeskError::ChatNotFound)?;
        let members = conversations.members(id).await?;
        let before = members.into_iter().find(|member| member.client_id == client_id).ok_or(DeskError::ChatNotFound)?;
        let state = |member: &crate::Member| ReadState {
            read_seq: member.read_seq,
            unread_count: member.unread_count(conversation.last_seq),
        };
        if !chat.is_of(agent) || seq <= before.read_seq {
            return Ok(state(&before));
        }
        let to = ReadMove { conversation_id: id, client_id, seq: seq.min(conversation.last_seq) };
        let Some(moved) = conversations.mark_read(&[to]).await?.pop() else { return Ok(state(&before)) };
        let state = state(&moved);
        let payload = json!({ "clientId": moved.client_id, "seq": state.read_seq, "unreadCount": state.unread_count });
        work.tell_members(id, EventKind::Read, payload);
        self.finish(work).await?;
        Ok(state)
    }

    /// Takes an answer back: for the agent who wrote it for a short time, for an administrator at any time.
    ///
    /// # Errors
    /// [`ImError::MessageNotFound`], [`ImError::RecallTooLate`]; [`DeskError::NotYours`] for another agent's.
    pub async fn recall(&self, actor: &Actor, id: ConversationId, message: MessageId) -> Result<Message, DeskError> {
        let agent = require_staff(actor)?;
        let mut work = self.work().await?;
        work.chat(id).await?;
        work.unit.im().conversations().find_locked(id).await?.ok_or(DeskError::ChatNotFound)?;
        let found = work.unit.im().messages().find(id, message).await?;
        let mut found = found.ok_or(DeskError::Messaging(ImError::MessageNotFound))?;
        if !actor.is_admin() {
            if found.acted_by != Some(agent) {
                return Err(DeskError::NotYours);
            }
            if !found.is_recalled() && work.now > found.created_at + self.recall_within {
                return Err(DeskError::Messaging(ImError::RecallTooLate));
            }
        }
        if found.is_recalled() {
            return Ok(found);
        }
        let now = work.now;
        work.unit.im().messages().recall(&found, now).await?;
        found.recalled_at = Some(now);
        let payload = json!({ "seq": found.seq, "messageId": found.id, "by": self.assistant.to_string() });
        work.tell_members(id, EventKind::Recalled, payload);
        work.audit_subject(actor, "message.recall", format!("message:{message}"), json!({ "conversationId": id }));
        self.finish(work).await?;
        Ok(found)
    }

    /// Texts that hold `query` in any chat with the assistant, newest first. Audited.
    ///
    /// # Errors
    /// [`DeskError::Invalid`] naming the field.
    pub async fn search(
        &self,
        actor: &Actor,
        query: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Found, DeskError> {
        require_staff(actor)?;
        let text = text::required("q", query, MAX_QUERY_CHARS)?;
        check_limit(limit)?;
        let search = MessageSearch {
            client_ids: vec![self.assistant.to_string()],
            conversation_id: None,
            text,
            before,
            limit: limit.saturating_add(1),
        };
        let mut messages = self.store.read().im().messages().search(&search).await?;
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = messages.len() > most;
        messages.truncate(most);
        let next = messages.last().filter(|_| has_more).map(|message| message.position);
        let mut work = self.work().await?;
        work.audit_subject(actor, "desk.search", "desk".to_owned(), json!({ "found": messages.len() }));
        self.finish(work).await?;
        Ok(Found { messages, next })
    }
}
