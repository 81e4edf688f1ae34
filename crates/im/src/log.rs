//! The log of everything that happens in conversations: one order for all devices.
//!
//! Every message and every other event has a **position**. Positions grow in the order of commits: the row they are
//! taken from stays locked until the unit ends, so whoever sees position `n` sees everything below `n` that will ever
//! be there (a unit that was undone leaves a gap). The log of one user is the part of it that concerns their
//! conversations and themselves, and the cursor of a client is simply the position it has got to.
//!
//! Nodes read the log and pass it on to their sessions; what they tell each other is only how far the log goes.

use std::sync::Arc;

use async_trait::async_trait;
use domain::id::ConversationId;
use domain::{StoreError, Timestamp};
use serde_json::Value;

use crate::message::Message;

/// What a log entry that is no message tells. The word is the wire form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// `{"seq", "messageId", "by"}`: the message was recalled.
    Recalled,
    /// `{"seq", "messageId", "by"}`: the message says something else now; only outside of consultations.
    Edited,
    /// `{"clientId", "seq", "unreadCount"}`: a member has read up to `seq`.
    Read,
    /// `{"conversationId", …}`: a conversation with its members, for those who are in it now.
    Joined,
    /// `{"clientId"}`: a member is no longer in it.
    Left,
    /// `{"by", "attr"}`: the conversation says something else of itself.
    Updated,
    /// `{"consultationId", "status", "isInvalid", "endReason"}`: the consultation of this dialog has moved on.
    Consultation,
    /// `{"status", "agentName"}`: where a chat with the assistant stands, and who answers.
    Assignment,
    /// `{"what", …}`: something at the desk, for agents only.
    Desk,
    /// `{"sessionId", "reason"}`: a session is over; its sockets are closed.
    SessionEnded,
    /// `{"code", "reason", "tag", "except"}`: sessions of a LeanCloud client are over. For nobody else.
    ClientEnded,
}

impl EventKind {
    pub const ALL: [Self; 11] = [
        Self::Recalled,
        Self::Edited,
        Self::Read,
        Self::Joined,
        Self::Left,
        Self::Updated,
        Self::Consultation,
        Self::Assignment,
        Self::Desk,
        Self::SessionEnded,
        Self::ClientEnded,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recalled => "recalled",
            Self::Edited => "edited",
            Self::Read => "read",
            Self::Joined => "joined",
            Self::Left => "left",
            Self::Updated => "updated",
            Self::Consultation => "consultation",
            Self::Assignment => "assignment",
            Self::Desk => "desk",
            Self::SessionEnded => "session_ended",
            Self::ClientEnded => "client_ended",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// An event to be appended to the log.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The conversation whose members it concerns.
    pub conversation_id: Option<ConversationId>,
    /// Only this client is concerned, member or not.
    pub client_id: Option<String>,
    pub kind: EventKind,
    pub payload: Value,
    pub at: Timestamp,
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEvent {
    pub position: i64,
    pub conversation_id: Option<ConversationId>,
    pub client_id: Option<String>,
    pub kind: EventKind,
    pub payload: Value,
    pub at: Timestamp,
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq)]
pub enum LogEntry {
    Message(Message),
    Event(LogEvent),
}

impl LogEntry {
    pub const fn position(&self) -> i64 {
        match self {
            Self::Message(message) => message.position,
            Self::Event(event) => event.position,
        }
    }

    pub const fn conversation_id(&self) -> Option<ConversationId> {
        match self {
            Self::Message(message) => Some(message.conversation_id),
            Self::Event(event) => event.conversation_id,
        }
    }
}

/// How far the log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHead {
    pub position: i64,
    /// Changes when the store was put back to an earlier state: cursors of another epoch mean nothing.
    pub epoch: String,
}

/// Reads and writes the log.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait LogRepository: Send {
    async fn head(&mut self) -> Result<LogHead, StoreError>;
    /// Appends events that are no messages and returns the position of the last. To be called last in a unit.
    async fn append_events(&mut self, events: &[NewEvent]) -> Result<i64, StoreError>;
    /// Entries with `after` < position ≤ `until`, ascending, at most `limit`.
    async fn entries(&mut self, after: i64, until: i64, limit: u32) -> Result<Vec<LogEntry>, StoreError>;
    /// The same, of what concerns any of these clients.
    async fn entries_of(&mut self, client_ids: &[String], after: i64, limit: u32) -> Result<Vec<LogEntry>, StoreError>;
    /// Gives the log a new epoch, after the store was put back to an earlier state.
    async fn renew_epoch(&mut self, epoch: &str) -> Result<(), StoreError>;
}

/// What was just committed, in the order of the log, with the socket each entry came through.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    pub entries: Vec<(Arc<LogEntry>, Option<u64>)>,
}

/// Told what was committed. Being told late, twice or not at all does no harm: the log is read.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait LogListener: Send + Sync {
    /// These entries were committed, without a gap between them.
    fn committed(&self, committed: Committed);
    /// Something was committed.
    fn moved(&self);
}

/// Waits for the log to move.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait LogWatch: Send + Sync {
    /// Returns once something beyond the position `after` may concern one of these clients. May return for
    /// nothing: whoever waits looks again.
    async fn moved_for(&self, client_ids: &[String], after: i64);
}
