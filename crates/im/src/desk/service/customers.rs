//! What patients and doctors do with the assistant.

use std::collections::HashMap;

use domain::actor::AccessError;
use domain::id::ConversationId;
use domain::{Actor, FieldError, Timestamp, text};
use serde_json::{Map, json};

use super::work::Work;
use super::{Desk, retrying};
use crate::conversation::{Conversation, ConversationKind, Member, MemberKind};
use crate::desk::assign;
use crate::desk::assistant::Assistant;
use crate::desk::chat::{Chat, ChatStatus};
use crate::desk::entry::EntryKind;
use crate::desk::episode::MAX_COMMENT_CHARS;
use crate::desk::error::DeskError;
use crate::log::EventKind;
use crate::message::{Appended, Content, MessageKind, NewMessage};

/// Chats of the queue among which a place is counted.
const MAX_COUNTED: u32 = 2_000;

/// As whom somebody talks to the assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomerRole {
    Patient,
    Doctor,
}

/// A chat as its customer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomerChat {
    pub conversation_id: ConversationId,
    pub status: ChatStatus,
    /// From 1, while waiting.
    pub queue_position: Option<u64>,
    pub agent_name: Option<String>,
    pub can_rate: bool,
    /// Of the last episode.
    pub rating: Option<u8>,
}

/// A message that reached the assistant another way, e.g. through WeChat.
#[derive(Clone)]
pub struct InboundMessage {
    /// The id of the patient or doctor.
    pub customer_id: String,
    pub role: CustomerRole,
    /// The sender's name for it: the same again is taken once.
    pub client_message_id: String,
    pub kind: MessageKind,
    pub content: Content,
}

/// Who opens a conversation.
struct Seat {
    customer_id: String,
    kind: MemberKind,
}

/// # Errors
/// [`AccessError`] for who is neither; a [`FieldError`] naming `as` for who is both and does not say.
fn seat(actor: &Actor, role: Option<CustomerRole>) -> Result<Seat, DeskError> {
    let patient = actor.patient().map(|id| Seat { customer_id: id.to_string(), kind: MemberKind::Patient });
    let doctor = actor.doctor().map(|id| Seat { customer_id: id.to_string(), kind: MemberKind::Doctor });
    match (role, patient, doctor) {
        (Some(CustomerRole::Patient), Some(seat), _)
        | (Some(CustomerRole::Doctor), _, Some(seat))
        | (None, Some(seat), None)
        | (None, None, Some(seat)) => Ok(seat),
        (None, Some(_), Some(_)) => Err(FieldError::new("as", "must be said: you are both patient and doctor").into()),
        _ => Err(actor.refuse(AccessError::Forbidden).into()),
    }
}

impl Desk {
    /// The assistant as everybody may see it.
    ///
    /// # Errors
    /// [`DeskError::Store`].
    pub async fn about(&self) -> Result<Assistant, DeskError> {
        self.assistant(&mut *self.store.read()).await
    }

    /// Opens the caller's conversation with the assistant; there is one for each patient and doctor. Says whether it
    /// is new.
    ///
    /// # Errors
    /// [`DeskError::Access`] for who is neither patient nor doctor; [`DeskError::Disabled`] for a new one.
    pub async fn open(&self, actor: &Actor, role: Option<CustomerRole>) -> Result<(CustomerChat, bool), DeskError> {
        let seat = seat(actor, role)?;
        let (chat, is_new) = retrying!(self.open_once(&seat.customer_id, seat.kind))?;
        Ok((self.as_customer(chat).await?, is_new))
    }

    /// Opens somebody's conversation with the assistant without them: for messages that come another way, and for
    /// clients that begin conversations in their own words.
    ///
    /// # Errors
    /// [`DeskError::Disabled`] for a new one.
    pub async fn open_for(&self, customer_id: &str, role: CustomerRole) -> Result<ConversationId, DeskError> {
        let kind = match role {
            CustomerRole::Patient => MemberKind::Patient,
            CustomerRole::Doctor => MemberKind::Doctor,
        };
        let (chat, _) = retrying!(self.open_once(customer_id, kind))?;
        Ok(chat.conversation_id)
    }

    async fn open_once(&self, customer_id: &str, kind: MemberKind) -> Result<(Chat, bool), DeskError> {
        if let Some(chat) = self.store.read().chats().find_by_customer(customer_id).await? {
            return Ok((chat, false));
        }
        let mut work = self.work().await?;
        if !work.assistant.is_enabled {
            return Err(DeskError::Disabled);
        }
        let conversation = new_conversation(ConversationId(self.ids.next()), customer_id, work.now);
        let id = conversation.id;
        let members = [
            Member::owned(id, customer_id.to_owned(), kind, work.now),
            Member::owned(id, work.assistant.client_id(), MemberKind::Assistant, work.now),
        ];
        let chat = Chat::new(id, customer_id.to_owned(), kind, work.now);
        work.unit.chats().insert(&chat).await?;
        work.unit.im().conversations().insert_all(&[conversation], &members).await?;
        let welcome = work.assistant.welcome_text.clone();
        work.say_text(id, &welcome);
        work.tell_members(id, EventKind::Joined, json!({ "conversationId": id, "kind": "assistant" }));
        self.finish(work).await?;
        Ok((chat, true))
    }

    /// Where the caller's chat stands; `None` when there is none.
    ///
    /// # Errors
    /// [`DeskError::Access`] for who is neither patient nor doctor.
    pub async fn own_chat(&self, actor: &Actor, role: Option<CustomerRole>) -> Result<CustomerChat, DeskError> {
        let seat = seat(actor, role)?;
        let found = self.store.read().chats().find_by_customer(&seat.customer_id).await?;
        self.as_customer(found.ok_or(DeskError::ChatNotFound)?).await
    }

    /// Takes the customer's opinion of the last episode: once, after the close.
    ///
    /// # Errors
    /// [`DeskError::CannotRate`]; [`DeskError::Invalid`] naming the field.
    pub async fn rate(
        &self,
        actor: &Actor,
        role: Option<CustomerRole>,
        score: u8,
        comment: Option<&str>,
    ) -> Result<CustomerChat, DeskError> {
        let seat = seat(actor, role)?;
        if !(1..=5).contains(&score) {
            return Err(FieldError::new("score", "is 1 to 5").into());
        }
        let comment = comment.map(|comment| text::bounded("comment", comment, MAX_COMMENT_CHARS)).transpose()?;
        let comment = comment.filter(|comment| !comment.is_empty());
        let found = self.store.read().chats().find_by_customer(&seat.customer_id).await?;
        let id = found.ok_or(DeskError::ChatNotFound)?.conversation_id;
        let chat = retrying!(self.rate_once(id, score, comment.clone()))?;
        self.as_customer(chat).await
    }

    async fn rate_once(&self, id: ConversationId, score: u8, comment: Option<String>) -> Result<Chat, DeskError> {
        let mut work = self.work().await?;
        let mut chat = work.chat(id).await?;
        let episode = chat.detail.episode.filter(|_| chat.can_rate()).ok_or(DeskError::CannotRate)?;
        let mut episode = work.unit.episodes().find(episode).await?.ok_or(DeskError::CannotRate)?;
        (episode.rating, episode.comment, episode.rated_at) = (Some(score), comment.clone(), Some(work.now));
        work.unit.episodes().update(&episode).await?;
        (chat.detail.is_rated, chat.detail.rating) = (true, Some(score));
        work.entry(id, EntryKind::Rated, None, comment.as_deref(), json!({ "score": score }));
        work.save(&mut chat).await?;
        self.finish(work).await?;
        Ok(chat)
    }

    /// Takes a message in that reached the assistant another way; the first one opens the conversation.
    ///
    /// # Errors
    /// [`DeskError`]: nothing was stored.
    pub async fn receive(&self, inbound: InboundMessage) -> Result<ConversationId, DeskError> {
        let id = self.open_for(&inbound.customer_id, inbound.role).await?;
        let message = NewMessage {
            id: domain::id::MessageId(self.ids.next()),
            conversation_id: id,
            sender: Some(inbound.customer_id),
            acted_by: None,
            client_message_id: Some(inbound.client_message_id),
            kind: inbound.kind,
            content: inbound.content,
            corrects: None,
            created_at: self.clock.now(),
            is_agreed: false,
            origin: None,
        };
        match self.take_in(&message).await? {
            Appended::Stored { .. } | Appended::Known(_) => Ok(id),
            _ => Err(DeskError::ChatNotFound),
        }
    }

    async fn as_customer(&self, chat: Chat) -> Result<CustomerChat, DeskError> {
        let mut unit = self.store.read();
        let queue_position = match chat.status {
            ChatStatus::Queued => self.queue_positions().await?.get(&chat.conversation_id).copied(),
            _ => None,
        };
        let agent_name = match chat.agent {
            Some(agent) => unit.agents().find(agent).await?.map(|agent| agent.display_name),
            None => None,
        };
        Ok(CustomerChat {
            conversation_id: chat.conversation_id,
            status: chat.status,
            queue_position,
            agent_name,
            can_rate: chat.can_rate(),
            rating: chat.detail.rating,
        })
    }

    /// The places of waiting chats in the order in which the queue is served, from 1.
    pub(super) async fn queue_positions(&self) -> Result<HashMap<ConversationId, u64>, DeskError> {
        let mut unit = self.store.read();
        let assistant = self.assistant(&mut *unit).await?;
        let queue = unit.chats().queue(MAX_COUNTED).await?;
        let ordered = assign::in_order(&queue, &assistant.settings, self.clock.now());
        Ok(ordered.into_iter().map(|chat| chat.conversation_id).zip(1..).collect())
    }
}

fn new_conversation(id: ConversationId, customer_id: &str, now: Timestamp) -> Conversation {
    Conversation {
        id,
        kind: ConversationKind::Assistant,
        consultation_id: None,
        name: None,
        creator: Some(customer_id.to_owned()),
        last_seq: 0,
        last_position: 0,
        last_message_at: None,
        attributes: Map::new(),
        extra: Map::new(),
        created_at: now,
        updated_at: now,
    }
}

impl Work {
    /// Ends an episode for the customer: the line they see, and the mark in the episode.
    pub(super) async fn end_episode(
        &mut self,
        chat: &Chat,
        reason: crate::desk::chat::CloseReason,
    ) -> Result<(), DeskError> {
        if let Some(id) = chat.detail.episode
            && let Some(mut episode) = self.unit.episodes().find(id).await?
        {
            (episode.closed_at, episode.close_reason) = (Some(self.now), Some(reason));
            self.unit.episodes().update(&episode).await?;
        }
        let text = self.assistant.closing_text.clone();
        self.notice(chat.conversation_id, &crate::message::SystemNotice::new("assistant.closed", text));
        self.tell_customer(chat, None);
        Ok(())
    }
}
