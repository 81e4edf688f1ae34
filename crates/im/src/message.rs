//! Messages: what is stored, what is to be appended, and what becomes of it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use domain::id::{AgentId, ConversationId, MessageId};
use domain::{StoreError, Timestamp};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// The key within a content under which a client of another protocol keeps its own form of the message. Views leave
/// it out.
pub const FOREIGN_KEY: &str = "$lc";

/// What a message is. Kinds this product does not know come from LeanCloud clients and pass through unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MessageKind {
    Text,
    Image,
    Link,
    File,
    Voice,
    /// A report card.
    Report,
    /// Written by the product itself.
    System,
    Other(Box<str>),
}

impl MessageKind {
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Link => "link",
            Self::File => "file",
            Self::Voice => "voice",
            Self::Report => "report",
            Self::System => "system",
            Self::Other(word) => word,
        }
    }

    pub fn parse(text: &str) -> Self {
        match text {
            "text" => Self::Text,
            "image" => Self::Image,
            "link" => Self::Link,
            "file" => Self::File,
            "voice" => Self::Voice,
            "report" => Self::Report,
            "system" => Self::System,
            other => Self::Other(other.into()),
        }
    }
}

/// The content of a message: one JSON value as text, shared by everybody it is delivered to. No `Debug` of the text:
/// it is what patients write.
#[derive(Clone)]
pub struct Content(Arc<RawValue>);

impl Content {
    pub fn of(value: &impl Serialize) -> Self {
        // Serialising a value without maps of odd keys cannot fail; `null` is what is left if it does.
        Self(to_raw_value(value).unwrap_or_else(|_| RawValue::NULL.to_owned()).into())
    }

    /// Takes JSON text as it is.
    ///
    /// # Errors
    /// When it is no JSON.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<Box<RawValue>>(text).map(|raw| Self(raw.into()))
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    pub fn to_value(&self) -> Value {
        serde_json::from_str(self.as_str()).unwrap_or(Value::Null)
    }

    /// Without what is kept under [`FOREIGN_KEY`].
    fn without_foreign(&self) -> Self {
        // Within a text the quotes would be escaped.
        if !self.as_str().contains(concat!('"', "$lc", '"', ':')) {
            return self.clone();
        }
        match self.to_value() {
            Value::Object(mut content) => {
                content.remove(FOREIGN_KEY);
                Self::of(&content)
            }
            _ => self.clone(),
        }
    }
}

/// Equal when written in the same way.
impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Content {}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.as_str().len())
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        to_raw_value(&value).map(|raw| Self(raw.into())).map_err(D::Error::custom)
    }
}

/// A stored message. Sequence numbers of a conversation are contiguous from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Place in the log of everything that happens; see [`crate::log`].
    pub position: i64,
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub seq: i64,
    /// Client id of the sender; `None` for the system.
    pub sender: Option<String>,
    /// The agent who wrote it in the name of the sender.
    pub acted_by: Option<AgentId>,
    /// The sender's own name for it, unique among the sender's messages of the conversation.
    pub client_message_id: Option<String>,
    pub kind: MessageKind,
    pub content: Content,
    /// The earlier message this one corrects.
    pub corrects: Option<MessageId>,
    /// Set when it was recalled: its content is sealed then and leaves the store through an audited look only.
    pub recalled_at: Option<Timestamp>,
    pub created_at: Timestamp,
}

impl Message {
    pub fn is_recalled(&self) -> bool {
        self.recalled_at.is_some()
    }

    /// What it says, unless it was recalled. Views and frames show this and nothing else.
    pub fn shown_content(&self) -> Option<Content> {
        if self.is_recalled() { None } else { Some(self.content.without_foreign()) }
    }
}

/// A message to be appended. The store gives it its sequence number.
#[derive(Debug, Clone, PartialEq)]
pub struct NewMessage {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub sender: Option<String>,
    pub acted_by: Option<AgentId>,
    pub client_message_id: Option<String>,
    pub kind: MessageKind,
    pub content: Content,
    pub corrects: Option<MessageId>,
    pub created_at: Timestamp,
    /// The owner of the conversation has agreed, or the system itself writes: the store does not ask again.
    pub is_agreed: bool,
    /// The socket it came through, which has its answer and is not sent the message again.
    pub origin: Option<u64>,
}

impl NewMessage {
    /// A line of the product itself.
    pub fn system(
        id: MessageId,
        conversation_id: ConversationId,
        notice: &SystemNotice,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            conversation_id,
            sender: None,
            acted_by: None,
            client_message_id: None,
            kind: MessageKind::System,
            content: Content::of(notice),
            corrects: None,
            created_at,
            is_agreed: true,
            origin: None,
        }
    }

    /// The message as stored under the numbers it was given.
    pub fn stored(&self, position: i64, seq: i64) -> Message {
        Message {
            position,
            id: self.id,
            conversation_id: self.conversation_id,
            seq,
            sender: self.sender.clone(),
            acted_by: self.acted_by,
            client_message_id: self.client_message_id.clone(),
            kind: self.kind.clone(),
            content: self.content.clone(),
            corrects: self.corrects,
            recalled_at: None,
            created_at: self.created_at,
        }
    }
}

/// What became of a [`NewMessage`].
#[derive(Debug, Clone, PartialEq)]
pub enum Appended {
    Stored {
        position: i64,
        seq: i64,
    },
    /// The sender's message of this name is there already; the caller compares what it says.
    Known(KnownMessage),
    /// Not stored: the owner of the conversation has to be asked first, see [`crate::owner`].
    AskOwner,
    /// Not stored: there is no such conversation.
    NoConversation,
    /// Not stored: the sender is not in it.
    NotMember,
}

/// The message found under a client's own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMessage {
    pub id: MessageId,
    pub seq: i64,
    pub kind: MessageKind,
    pub content: Content,
    pub created_at: Timestamp,
}

/// What a system message says: a stable event word for clients to render, and a Chinese text for
/// those that do not know it. Never medical content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemNotice {
    /// e.g. `consultation.started`.
    pub event: String,
    pub text: String,
}

impl SystemNotice {
    pub fn new(event: impl Into<String>, text: impl Into<String>) -> Self {
        Self { event: event.into(), text: text.into() }
    }
}

/// Which messages of a conversation are asked for: one page, in ascending order of `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryPage {
    /// The oldest with `seq` greater than this.
    After(i64),
    /// The newest with `seq` less than this.
    Before(i64),
}

/// What is looked for, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageSearch {
    /// Conversations of any of these clients.
    pub client_ids: Vec<String>,
    /// Only within this conversation.
    pub conversation_id: Option<ConversationId>,
    /// Must occur in the text, ASCII letters in either case.
    pub text: String,
    /// Only messages at a lower position, for the next page.
    pub before: Option<i64>,
    pub limit: u32,
}

/// Stores messages.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait MessageRepository: Send {
    /// Appends messages, in the given order, each with the next sequence number of its conversation, and says what
    /// became of each. Conversations are locked in the order of their ids, the log last of all. The names of one
    /// sender's messages within one conversation must differ within `messages`.
    async fn append(&mut self, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError>;
    /// One page of a conversation, ascending; at most `limit`.
    async fn history(&mut self, id: ConversationId, page: HistoryPage, limit: u32) -> Result<Vec<Message>, StoreError>;
    async fn find(&mut self, conversation: ConversationId, id: MessageId) -> Result<Option<Message>, StoreError>;
    /// The message a sender stored under a name of their own.
    async fn find_named(
        &mut self,
        conversation: ConversationId,
        sender: &str,
        client_message_id: &str,
    ) -> Result<Option<Message>, StoreError>;
    async fn find_seq(&mut self, conversation: ConversationId, seq: i64) -> Result<Option<Message>, StoreError>;
    /// Marks a message recalled and takes it out of the unread counts; the caller has locked the conversation.
    async fn recall(&mut self, message: &Message, at: Timestamp) -> Result<(), StoreError>;
    /// Text messages, newest first; recalled ones and notes are not found.
    async fn search(&mut self, search: &MessageSearch) -> Result<Vec<Message>, StoreError>;
}
