//! What stands between the messages of a chat for agents only: notes, and what became of the chat.

use domain::Timestamp;
use domain::id::{AgentId, ConversationId, DeskEntryId};
use serde_json::Value;

/// Most characters of a note.
pub const MAX_NOTE_CHARS: usize = 2_000;

/// What an entry tells. The word is the wire form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    Note,
    Queued,
    Assigned,
    Released,
    /// The agent was gone for too long.
    Requeued,
    Offered,
    Accepted,
    Declined,
    TakenOver,
    Warned,
    Closed,
    Reopened,
    Rated,
    Tags,
    Remark,
    Blocked,
    Unblocked,
    Priority,
}

impl EntryKind {
    pub const ALL: [Self; 18] = [
        Self::Note,
        Self::Queued,
        Self::Assigned,
        Self::Released,
        Self::Requeued,
        Self::Offered,
        Self::Accepted,
        Self::Declined,
        Self::TakenOver,
        Self::Warned,
        Self::Closed,
        Self::Reopened,
        Self::Rated,
        Self::Tags,
        Self::Remark,
        Self::Blocked,
        Self::Unblocked,
        Self::Priority,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Queued => "queued",
            Self::Assigned => "assigned",
            Self::Released => "released",
            Self::Requeued => "requeued",
            Self::Offered => "offered",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
            Self::TakenOver => "taken_over",
            Self::Warned => "warned",
            Self::Closed => "closed",
            Self::Reopened => "reopened",
            Self::Rated => "rated",
            Self::Tags => "tags",
            Self::Remark => "remark",
            Self::Blocked => "blocked",
            Self::Unblocked => "unblocked",
            Self::Priority => "priority",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// One entry. Customers never see any of them.
#[derive(Debug, Clone, PartialEq)]
pub struct DeskEntry {
    pub id: DeskEntryId,
    pub conversation_id: ConversationId,
    pub kind: EntryKind,
    /// Whose doing it was; `None` when the desk did it by itself.
    pub agent: Option<AgentId>,
    /// It stands after this message.
    pub after_seq: i64,
    /// Of a note what it says, of a transfer the note that goes with it, of a takeover the reason.
    pub text: Option<String>,
    pub data: Value,
    pub at: Timestamp,
}
