//! What clients send.

use std::borrow::Cow;

use domain::id::{ConversationId, MessageId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A frame of a client. Unknown fields are ignored, so that newer clients can talk to older servers.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame<'a> {
    /// The first frame: who this is, and where it left off.
    Hello(HelloFrame<'a>),
    /// A message, to be answered by an `ack` or an `error` with the same `clientMessageId`.
    Send(SendFrame<'a>),
    /// Everything up to `seq` was read.
    Read(SeqFrame),
    /// Everything up to `seq` has reached this device.
    Delivered(SeqFrame),
    /// The person is writing.
    Typing(ConversationFrame),
    /// What the person has open in front.
    Presence(PresenceFrame),
    /// Asks for the messages of a hole.
    Range(RangeFrame),
    Ping,
    Pong,
}

/// `hello`
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HelloFrame<'a> {
    /// The session token. Never part of the address, where logs would keep it. Left out where a cookie says who it is.
    #[serde(default, borrow, skip_serializing_if = "str::is_empty")]
    pub token: Cow<'a, str>,
    /// The last cursor seen, to go on from there. Together with `epoch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<i64>,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Cow<'a, str>>,
    /// The client's own name of its device.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    pub device: Option<Cow<'a, str>>,
}

impl std::fmt::Debug for HelloFrame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HelloFrame").field("cursor", &self.cursor).field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

/// `send`
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendFrame<'a> {
    /// The client's own name for the message: 1 to 64 visible ASCII characters. A retry uses the same.
    #[serde(borrow)]
    pub client_message_id: Cow<'a, str>,
    pub conversation_id: ConversationId,
    /// `text`, `image`, `link`, `file`, `voice` or `report`.
    #[serde(borrow)]
    pub message_type: Cow<'a, str>,
    #[serde(borrow)]
    pub content: &'a RawValue,
    /// An earlier message of one's own that this one corrects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrects: Option<MessageId>,
}

impl std::fmt::Debug for SendFrame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendFrame").field("conversation_id", &self.conversation_id).finish_non_exhaustive()
    }
}

/// `read`, `delivered`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeqFrame {
    pub conversation_id: ConversationId,
    pub seq: i64,
}

/// `typing`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationFrame {
    pub conversation_id: ConversationId,
}

/// `presence`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PresenceFrame {
    /// `null` when no conversation is open in front.
    pub viewing: Option<ConversationId>,
}

/// `range`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RangeFrame {
    pub conversation_id: ConversationId,
    /// Messages with a greater `seq` than this,
    pub after: i64,
    /// and, if given, a smaller one than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
}

/// A frame that is none of the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("a frame is one JSON object with a type")]
    NoFrame,
    #[error("this type of frame is not known")]
    UnknownType,
    #[error("a {frame} frame does not have these fields")]
    Fields { frame: &'static str },
}

/// Only the type, to know how to read the rest.
#[derive(Deserialize)]
struct Tagged<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

impl<'a> ClientFrame<'a> {
    /// Reads a frame. The content of a message is not looked into.
    ///
    /// # Errors
    /// [`Malformed`], which quotes nothing.
    pub fn parse(text: &'a str) -> Result<Self, Malformed> {
        // Most frames are messages, as most clients write them: they are read once.
        if text.starts_with(r#"{"type":"send","#)
            && let Ok(frame) = serde_json::from_str(text)
        {
            return Ok(Self::Send(frame));
        }
        let Tagged { kind } = serde_json::from_str(text).or(Err(Malformed::NoFrame))?;
        match kind.as_ref() {
            "hello" => fields(text, "hello").map(Self::Hello),
            "send" => fields(text, "send").map(Self::Send),
            "read" => fields(text, "read").map(Self::Read),
            "delivered" => fields(text, "delivered").map(Self::Delivered),
            "typing" => fields(text, "typing").map(Self::Typing),
            "presence" => fields(text, "presence").map(Self::Presence),
            "range" => fields(text, "range").map(Self::Range),
            "ping" => Ok(Self::Ping),
            "pong" => Ok(Self::Pong),
            _ => Err(Malformed::UnknownType),
        }
    }

    /// The word of its `type`.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Send(_) => "send",
            Self::Read(_) => "read",
            Self::Delivered(_) => "delivered",
            Self::Typing(_) => "typing",
            Self::Presence(_) => "presence",
            Self::Range(_) => "range",
            Self::Ping => "ping",
            Self::Pong => "pong",
        }
    }
}

fn fields<'a, T: Deserialize<'a>>(text: &'a str, frame: &'static str) -> Result<T, Malformed> {
    serde_json::from_str(text).or(Err(Malformed::Fields { frame }))
}
