//! A history: what was sent, what was answered, what each device saw, and what the server shows in the end.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// Everything that was noted of one round.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// As the server shows them once all is quiet.
    pub conversations: Vec<Conversation>,
    /// Every message anybody tried to send, once for each name.
    pub sent: Vec<Sent>,
    /// Every answer that said: stored.
    pub acks: Vec<Ack>,
    /// Every answer that said no, though it should not have.
    pub refusals: Vec<String>,
    pub devices: Vec<DeviceLog>,
}

/// A conversation with all its messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    pub id: String,
    pub last_seq: i64,
    pub members: Vec<Member>,
    /// In the order the server shows them.
    pub messages: Vec<Stored>,
}

/// Where a member stands, as its own list of conversations tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub client_id: String,
    pub read_seq: i64,
    pub unread_count: i64,
}

/// A message as the server shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    pub seq: i64,
    pub id: String,
    /// `None`: a line of the product itself.
    pub sender: Option<String>,
    /// The sender's own name for it.
    pub name: Option<String>,
    /// `None` when it was recalled.
    pub text: Option<String>,
}

/// A message somebody tried to send, however often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    pub conversation: String,
    pub sender: String,
    pub name: String,
    pub text: String,
}

/// An answer that said: stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    pub conversation: String,
    pub sender: String,
    pub name: String,
    /// The device that was answered.
    pub device: usize,
    pub seq: i64,
    pub message_id: String,
    pub is_duplicate: bool,
}

/// What one device saw, in the order it saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceLog {
    pub device: usize,
    pub client_id: String,
    /// Events that hold a message.
    pub seen: Vec<Seen>,
    /// Events that a message was recalled: conversation and `seq`.
    pub recalls: BTreeSet<(String, i64)>,
    /// Events that a member has read: conversation, client and `seq`.
    pub reads: Vec<(String, String, i64)>,
    /// The server said that the cursor means nothing: it never should, no backup was restored.
    pub resyncs: u32,
    /// An event came whose cursor was not beyond the one before, on one connection.
    pub cursors_back: u32,
}

/// A message as it came to a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub conversation: String,
    pub message: Stored,
}
