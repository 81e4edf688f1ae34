//! Messages on the wire.

use domain::id::{FileId, MessageId};
use im::service::Ack;
use im::{Message, MessageKind};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object};
use serde_json::Value;

use crate::http::files::links::Links;
use crate::http::values::{Id, Instant};

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct MessageView {
    /// Id of the message.
    pub id: Id,
    /// The conversation it is in.
    pub conversation_id: Id,
    /// Place in the conversation, from 1 without gaps.
    pub seq: i64,
    /// Client id of the sender: the id of a patient or doctor. Absent for the system.
    pub sender: Option<String>,
    /// The agent who wrote it in the name of the assistant.
    pub acted_by: Option<Id>,
    /// The sender's own name for it.
    pub client_message_id: Option<String>,
    /// `text`, `image`, `link`, `file`, `voice`, `report` or `system`; others come from older clients.
    #[oai(rename = "type")]
    pub kind: String,
    /// What it says, by its type; pictures, files and voice with `url`, a signed download address good for an
    /// hour. Absent when it was recalled.
    pub content: Option<Value>,
    /// The earlier message it corrects.
    pub corrects: Option<Id>,
    /// When it was recalled, if it was.
    pub recalled_at: Option<Instant>,
    /// When it was written.
    pub created_at: Instant,
}

/// A page of messages.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct MessagePageView {
    /// The messages, ascending by `seq`.
    pub items: Vec<MessageView>,
    /// Whether there are more in the direction asked for.
    pub has_more: bool,
}

/// A message to be sent.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct SendMessageRequest {
    /// The client's own name for the message, 1 to 64 visible ASCII characters. Sending it again under the same name
    /// stores nothing and answers the first time's numbers.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub client_message_id: String,
    /// `text`, `image`, `link`, `file`, `voice` or `report`.
    #[oai(rename = "type", validator(min_length = 1, max_length = 32))]
    pub kind: String,
    /// By its type: `text` {text}; `image` {fileId, width?, height?}; `link` {url, title, description?, cover?};
    /// `file` {fileId, name?}; `voice` {fileId, durationMs}; `report` {reportId, title, description?}. Files are
    /// uploaded first.
    pub content: Value,
    /// The own earlier message it corrects.
    pub corrects: Option<Id>,
}

/// The message is stored.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct SentMessageView {
    /// Id of the message.
    pub message_id: Id,
    /// Its place in the conversation.
    pub seq: i64,
    /// When it was stored.
    pub server_time: Instant,
    /// True when it was there already: this was a retry.
    pub duplicate: bool,
}

/// Answer of sending a message.
#[derive(ApiResponse)]
pub enum SentAnswer {
    /// The message was there already.
    #[oai(status = 200)]
    Known(Json<SentMessageView>),
    /// The message was stored.
    #[oai(status = 201)]
    Stored(Json<SentMessageView>),
}

/// One line of an exported dialog.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct ExportedMessageView {
    /// What it says: of `text` and `system` the text, of `link` the address, of `image`, `file` and `voice` a signed
    /// download address good for an hour, of `report` its title, of any other type its JSON.
    pub content: String,
    /// Type of the message.
    #[oai(rename = "type")]
    pub kind: String,
}

impl MessageView {
    pub fn of(message: Message, links: Links<'_>) -> Self {
        let content = message.shown_content().map(|content| content.to_value());
        Self::with_content(message, content, links)
    }

    /// What was written, though it was recalled.
    pub fn original(message: Message, links: Links<'_>) -> Self {
        let content = Some(message.content.to_value());
        Self::with_content(message, content, links)
    }

    fn with_content(message: Message, content: Option<Value>, links: Links<'_>) -> Self {
        Self {
            id: message.id.into(),
            conversation_id: message.conversation_id.into(),
            seq: message.seq,
            content: content.map(|content| with_url(&message.kind, content, links)),
            sender: message.sender,
            acted_by: message.acted_by.map(Id::from),
            client_message_id: message.client_message_id,
            kind: message.kind.as_str().to_owned(),
            corrects: message.corrects.map(Id::from),
            recalled_at: message.recalled_at.map(Instant),
            created_at: Instant(message.created_at),
        }
    }
}

impl SendMessageRequest {
    pub fn corrected(&self) -> Option<MessageId> {
        self.corrects.map(|id| MessageId(id.0))
    }
}

impl From<Ack> for SentAnswer {
    fn from(ack: Ack) -> Self {
        let view = SentMessageView {
            message_id: ack.message_id.into(),
            seq: ack.seq,
            server_time: Instant(ack.server_time),
            duplicate: ack.is_duplicate,
        };
        if ack.is_duplicate { Self::Known(Json(view)) } else { Self::Stored(Json(view)) }
    }
}

impl ExportedMessageView {
    pub fn of(message: &Message, links: Links<'_>) -> Self {
        let shown = message.shown_content().unwrap_or_else(|| message.content.clone());
        let content = shown.to_value();
        let field = |name: &str| content.get(name).and_then(Value::as_str).map(str::to_owned);
        let said = match message.kind {
            MessageKind::Text | MessageKind::System => field("text"),
            MessageKind::Link => field("url"),
            MessageKind::Report => field("title"),
            MessageKind::Image | MessageKind::File | MessageKind::Voice => file_of(&content).map(|id| links.url(id)),
            MessageKind::Other(_) => None,
        };
        Self { content: said.unwrap_or_else(|| shown.as_str().to_owned()), kind: message.kind.as_str().to_owned() }
    }
}

fn file_of(content: &Value) -> Option<FileId> {
    content.get("fileId")?.as_str()?.parse().ok()
}

/// Adds the download address to content that shows a file: whoever may see the message may fetch it.
fn with_url(kind: &MessageKind, mut content: Value, links: Links<'_>) -> Value {
    let shows_a_file = matches!(kind, MessageKind::Image | MessageKind::File | MessageKind::Voice);
    if shows_a_file && let (Some(id), Some(fields)) = (file_of(&content), content.as_object_mut()) {
        fields.insert("url".into(), links.url(id).into());
    }
    content
}
