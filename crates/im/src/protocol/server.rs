//! What the server sends.

use domain::id::{AgentId, ConversationId, MessageId, SessionId};
use domain::{Coded, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::log::{EventKind, LogEntry, LogEvent};
use crate::message::{Content, Message};
use crate::service::Ack;

/// A frame of the server. Clients ignore types and fields they do not know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame {
    /// The answer to `hello`.
    Ready(ReadyFrame),
    /// A message of this socket is stored.
    Ack(AckFrame),
    /// An entry of the log.
    Event(EventFrame),
    /// Somebody is writing. May be lost.
    Typing(TypingFrame),
    /// Messages have reached a device of another member. May be lost.
    Receipt(ReceiptFrame),
    /// Another member has opened or left a conversation. May be lost.
    Presence(ViewingFrame),
    /// The answer to `range`.
    Range(RangeResult),
    /// To be answered with `pong`.
    Ping {
        /// Everything up to here was sent.
        cursor: i64,
    },
    /// The answer to `ping`.
    Pong {
        /// Everything up to here was sent.
        cursor: i64,
    },
    /// A frame was refused.
    Error(ErrorFrame),
    /// The last frame before the socket is closed.
    Bye(Bye),
    /// The cursor of `hello` means nothing any more: what the client keeps is to be loaded again.
    Resync(ResyncFrame),
}

/// `ready`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReadyFrame {
    /// Events after this cursor follow.
    pub cursor: i64,
    pub epoch: String,
    /// A socket that is silent for twice as long is closed.
    pub heartbeat_ms: u64,
    /// The client ids this person speaks as: of the patient, the doctor, or both.
    pub client_ids: Vec<String>,
    pub session_id: SessionId,
    #[serde(with = "rfc3339")]
    pub server_time: Timestamp,
    pub limits: LimitsView,
}

/// The limits of a socket, as `ready` tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LimitsView {
    pub max_frame_bytes: usize,
    /// Frames a second, and at once.
    pub frames_per_second: u32,
    /// Frames of `send` that may wait for their `ack`; further ones are read later.
    pub sends_in_flight: usize,
    /// Most messages of one `range`.
    pub range: u32,
}

/// `ack`: the message is stored, exactly once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AckFrame {
    pub client_message_id: String,
    pub conversation_id: ConversationId,
    pub message_id: MessageId,
    pub seq: i64,
    #[serde(with = "rfc3339")]
    pub server_time: Timestamp,
    /// It was stored before: this was a retry.
    pub duplicate: bool,
}

impl AckFrame {
    pub fn of(conversation_id: ConversationId, client_message_id: String, ack: &Ack) -> Self {
        Self {
            client_message_id,
            conversation_id,
            message_id: ack.message_id,
            seq: ack.seq,
            server_time: ack.server_time,
            duplicate: ack.is_duplicate,
        }
    }
}

/// `event`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventFrame {
    pub cursor: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    #[serde(flatten)]
    pub body: EventBody,
}

/// What happened: a `message`, or what [`EventKind`] names, with its `data`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum EventBody {
    Message { message: MessageView },
    Recalled { data: Value },
    Edited { data: Value },
    Read { data: Value },
    Joined { data: Value },
    Left { data: Value },
    Updated { data: Value },
    Consultation { data: Value },
    Assignment { data: Value },
    Desk { data: Value },
    SessionEnded { data: Value },
    ClientEnded { data: Value },
}

/// A message as members see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView {
    pub id: MessageId,
    pub seq: i64,
    /// The message before it; a client that does not have that one asks for the range.
    pub prev_seq: i64,
    /// Client id; `null` for the system.
    pub sender: Option<String>,
    /// The agent who wrote it in the name of the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acted_by: Option<AgentId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    #[serde(rename = "type")]
    pub kind: String,
    /// `null` when it was recalled.
    pub content: Option<Content>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<MessageId>,
    #[serde(default, with = "rfc3339_option", skip_serializing_if = "Option::is_none")]
    pub recalled_at: Option<Timestamp>,
    #[serde(with = "rfc3339")]
    pub created_at: Timestamp,
}

impl MessageView {
    pub fn of(message: &Message) -> Self {
        Self {
            id: message.id,
            seq: message.seq,
            prev_seq: message.seq - 1,
            sender: message.sender.clone(),
            acted_by: message.acted_by,
            client_message_id: message.client_message_id.clone(),
            kind: message.kind.as_str().to_owned(),
            content: message.shown_content(),
            corrects: message.corrects,
            recalled_at: message.recalled_at,
            created_at: message.created_at,
        }
    }
}

impl EventFrame {
    pub fn of(entry: &LogEntry) -> Self {
        let body = match entry {
            LogEntry::Message(message) => EventBody::Message { message: MessageView::of(message) },
            LogEntry::Event(event) => EventBody::of(event),
        };
        Self { cursor: entry.position(), conversation_id: entry.conversation_id(), body }
    }
}

/// An event frame of a message, written without a copy of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageEvent<'a> {
    r#type: &'static str,
    cursor: i64,
    conversation_id: ConversationId,
    kind: &'static str,
    message: WrittenMessage<'a>,
}

/// A [`MessageView`], field by field.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMessage<'a> {
    id: MessageId,
    seq: i64,
    prev_seq: i64,
    sender: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acted_by: Option<AgentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<&'a str>,
    r#type: &'a str,
    content: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    corrects: Option<MessageId>,
    #[serde(with = "rfc3339_option", skip_serializing_if = "Option::is_none")]
    recalled_at: Option<Timestamp>,
    #[serde(with = "rfc3339")]
    created_at: Timestamp,
}

impl EventFrame {
    /// The JSON text of the frame of an entry. Every message is written once, whoever it goes to.
    pub fn json_of(entry: &LogEntry) -> String {
        let LogEntry::Message(message) = entry else { return ServerFrame::Event(Self::of(entry)).to_json() };
        let event = MessageEvent {
            r#type: "event",
            cursor: message.position,
            conversation_id: message.conversation_id,
            kind: "message",
            message: WrittenMessage {
                id: message.id,
                seq: message.seq,
                prev_seq: message.seq - 1,
                sender: message.sender.as_deref(),
                acted_by: message.acted_by,
                client_message_id: message.client_message_id.as_deref(),
                r#type: message.kind.as_str(),
                content: message.shown_content(),
                corrects: message.corrects,
                recalled_at: message.recalled_at,
                created_at: message.created_at,
            },
        };
        // As in `ServerFrame::to_json`.
        serde_json::to_string(&event).unwrap_or_default()
    }
}

impl EventBody {
    fn of(event: &LogEvent) -> Self {
        let data = event.payload.clone();
        match event.kind {
            EventKind::Recalled => Self::Recalled { data },
            EventKind::Edited => Self::Edited { data },
            EventKind::Read => Self::Read { data },
            EventKind::Joined => Self::Joined { data },
            EventKind::Left => Self::Left { data },
            EventKind::Updated => Self::Updated { data },
            EventKind::Consultation => Self::Consultation { data },
            EventKind::Assignment => Self::Assignment { data },
            EventKind::Desk => Self::Desk { data },
            EventKind::SessionEnded => Self::SessionEnded { data },
            EventKind::ClientEnded => Self::ClientEnded { data },
        }
    }
}

/// `typing`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TypingFrame {
    pub conversation_id: ConversationId,
    pub client_id: String,
}

/// `receipt`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReceiptFrame {
    pub conversation_id: ConversationId,
    pub client_id: String,
    pub delivered_seq: i64,
}

/// `presence`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewingFrame {
    pub conversation_id: ConversationId,
    pub client_id: String,
    /// Whether the member has the conversation open in front.
    pub viewing: bool,
}

/// `range`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RangeResult {
    pub conversation_id: ConversationId,
    pub after: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// Ascending.
    pub messages: Vec<MessageView>,
    /// There are more: ask again after the last of these.
    pub has_more: bool,
}

/// `error`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorFrame {
    /// Stable, as in `docs/errors.md`.
    pub code: String,
    pub message: String,
    /// The type of the frame that was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_message_id: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<ErrorField>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// A field at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorField {
    pub field: String,
    pub message: String,
}

impl ErrorFrame {
    /// About a frame of the given type.
    pub fn of(frame: &str, error: &dyn Coded) -> Self {
        let fields = error.fields().into_iter().map(|fault| ErrorField { field: fault.field, message: fault.message });
        Self {
            code: error.code().to_owned(),
            message: error.to_string(),
            frame: Some(frame.to_owned()),
            conversation_id: None,
            client_message_id: None,
            fields: fields.collect(),
            retry_after_ms: error.retry_after_s().map(|seconds| seconds.saturating_mul(1000)),
        }
    }
}

/// `bye`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bye {
    pub reason: ByeReason,
    /// More about the reason, e.g. why a session is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// `null`: connecting again in the same way is of no use.
    pub reconnect_after_ms: Option<u64>,
}

/// Why a socket is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByeReason {
    /// The node is stopping; others, or its successor, go on.
    Draining,
    /// The socket was read too slowly; connect again with the cursor.
    ResyncRequired,
    /// The session was ended, here or elsewhere.
    SessionEnded,
    /// The token of `hello` is not valid.
    Unauthenticated,
    /// The person is neither a patient nor a doctor.
    Forbidden,
    /// There was no `hello` in time.
    HelloTimeout,
    /// Nothing was heard for two heartbeats.
    HeartbeatTimeout,
    /// The same person has opened more sockets, this is the oldest.
    TooManySockets,
    /// A frame was longer than allowed.
    FrameTooLarge,
    /// Frames kept coming faster than allowed.
    Flood,
    /// What was sent is no frame of the protocol, again and again.
    ProtocolError,
    /// The server could not go on; try again.
    Unavailable,
}

impl ByeReason {
    pub const ALL: [Self; 12] = [
        Self::Draining,
        Self::ResyncRequired,
        Self::SessionEnded,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::HelloTimeout,
        Self::HeartbeatTimeout,
        Self::TooManySockets,
        Self::FrameTooLarge,
        Self::Flood,
        Self::ProtocolError,
        Self::Unavailable,
    ];

    /// Code of the close frame that follows, of RFC 6455.
    pub const fn close_code(self) -> u16 {
        match self {
            Self::Draining => 1012,
            Self::ResyncRequired | Self::Unavailable => 1013,
            Self::FrameTooLarge => 1009,
            Self::ProtocolError => 1002,
            Self::SessionEnded
            | Self::Unauthenticated
            | Self::Forbidden
            | Self::HelloTimeout
            | Self::HeartbeatTimeout
            | Self::TooManySockets
            | Self::Flood => 1008,
        }
    }
}

/// `resync`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResyncFrame {
    pub epoch: String,
    /// Where events go on from.
    pub cursor: i64,
}

impl ServerFrame {
    /// The JSON text.
    pub fn to_json(&self) -> String {
        // Maps of odd keys do not occur, so this cannot fail; an empty text is no frame and is ignored.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Instants as RFC 3339.
mod rfc3339 {
    use domain::Timestamp;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&at.to_rfc3339())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Timestamp::parse_rfc3339(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// The same, or nothing.
mod rfc3339_option {
    use domain::Timestamp;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "the signature serde asks for")]
    pub(super) fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.serialize_str(&at.to_rfc3339()),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| Timestamp::parse_rfc3339(&text).map_err(D::Error::custom)).transpose()
    }
}
