//! Messages. Sequence numbers of a conversation are contiguous from 1.

use domain::Timestamp;
use domain::id::{ConversationId, MessageId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A stored message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub seq: i64,
    /// Client id of the sender; `None` for the system.
    pub sender: Option<String>,
    /// `system` for now; text, image, … come with IM.
    pub kind: String,
    pub content: Value,
    pub created_at: Timestamp,
}

/// A system message to be appended. Its sequence number is given by the store.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSystemMessage {
    pub id: MessageId,
    pub conversation_id: ConversationId,
    pub notice: SystemNotice,
    pub created_at: Timestamp,
}

impl NewSystemMessage {
    /// The message as it is stored under its number.
    #[must_use]
    pub fn numbered(&self, seq: i64) -> Message {
        Message {
            id: self.id,
            conversation_id: self.conversation_id,
            seq,
            sender: None,
            kind: "system".to_owned(),
            content: json!(self.notice),
            created_at: self.created_at,
        }
    }
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
