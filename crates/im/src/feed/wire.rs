//! What nodes tell each other. Losing any of it does no harm: the log is read.

use std::sync::Arc;

use domain::Timestamp;
use domain::id::{AgentId, ConversationId, MessageId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Ephemeral;
use crate::log::{Committed, EventKind, LogEntry, LogEvent};
use crate::message::{Content, Message, MessageKind};

/// A hint for the other nodes.
#[derive(Debug, Clone, PartialEq)]
pub enum Hint {
    /// These entries were committed.
    Committed(Vec<Arc<LogEntry>>),
    /// The log goes at least this far.
    Head(i64),
    /// Something was committed.
    Moved,
    Ephemeral(Ephemeral),
}

/// A hint of another version of the product, or none at all.
#[derive(Debug, thiserror::Error)]
#[error("a hint of another node could not be read")]
pub struct HintError(#[source] serde_json::Error);

/// Whether the other nodes can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FanoutState {
    /// There are none: everything happens in this process.
    Alone,
    Connected,
    /// They hear of news only by looking into the store.
    Lost,
}

/// Hears what other nodes tell.
pub trait HintListener: Send + Sync {
    fn hear(&self, hint: Hint);
}

/// Carries hints between the processes that share a store.
pub trait Fanout: Send + Sync {
    /// Tells the others, without waiting; a hint that cannot be told is dropped.
    fn publish(&self, hint: Hint);
    /// Hands what the others tell to `listener` from now on. To be called once.
    fn listen(&self, listener: Arc<dyn HintListener>);
    fn state(&self) -> FanoutState;
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum WireHint {
    Committed(Vec<WireEntry>),
    Head(i64),
    Moved,
    Ephemeral(Ephemeral),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum WireEntry {
    #[serde(rename_all = "camelCase")]
    Message {
        position: i64,
        id: MessageId,
        conversation_id: ConversationId,
        seq: i64,
        sender: Option<String>,
        acted_by: Option<AgentId>,
        client_message_id: Option<String>,
        kind: String,
        content: Content,
        corrects: Option<MessageId>,
        recalled_at: Option<Timestamp>,
        created_at: Timestamp,
    },
    #[serde(rename_all = "camelCase")]
    Event {
        position: i64,
        conversation_id: Option<ConversationId>,
        client_id: Option<String>,
        kind: String,
        payload: Value,
        at: Timestamp,
    },
}

impl Hint {
    pub fn encode(&self) -> Vec<u8> {
        let wire = match self {
            Self::Committed(entries) => WireHint::Committed(entries.iter().map(|entry| WireEntry::of(entry)).collect()),
            Self::Head(position) => WireHint::Head(*position),
            Self::Moved => WireHint::Moved,
            Self::Ephemeral(ephemeral) => WireHint::Ephemeral(ephemeral.clone()),
        };
        // Plain structs cannot fail; an empty hint is one that cannot be read, and so is lost.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// # Errors
    /// [`HintError`] for what this version cannot read.
    pub fn decode(bytes: &[u8]) -> Result<Self, HintError> {
        Ok(match serde_json::from_slice(bytes).map_err(HintError)? {
            WireHint::Committed(entries) => {
                let count = entries.len();
                let entries: Vec<_> = entries.into_iter().filter_map(WireEntry::entry).map(Arc::new).collect();
                // Kinds of a newer version are read from the store as any that are missed.
                if entries.len() == count { Self::Committed(entries) } else { Self::Moved }
            }
            WireHint::Head(position) => Self::Head(position),
            WireHint::Moved => Self::Moved,
            WireHint::Ephemeral(ephemeral) => Self::Ephemeral(ephemeral),
        })
    }

    /// For entries that are too long for one hint: how far they go.
    #[must_use]
    pub fn shortened(&self) -> Self {
        match self {
            Self::Committed(entries) => entries.last().map_or(Self::Moved, |last| Self::Head(last.position())),
            other => other.clone(),
        }
    }
}

impl From<&Committed> for Hint {
    fn from(committed: &Committed) -> Self {
        Self::Committed(committed.entries.iter().map(|(entry, _)| entry.clone()).collect())
    }
}

impl WireEntry {
    fn of(entry: &LogEntry) -> Self {
        match entry {
            LogEntry::Message(message) => Self::Message {
                position: message.position,
                id: message.id,
                conversation_id: message.conversation_id,
                seq: message.seq,
                sender: message.sender.clone(),
                acted_by: message.acted_by,
                client_message_id: message.client_message_id.clone(),
                kind: message.kind.as_str().to_owned(),
                content: message.content.clone(),
                corrects: message.corrects,
                recalled_at: message.recalled_at,
                created_at: message.created_at,
            },
            LogEntry::Event(event) => Self::Event {
                position: event.position,
                conversation_id: event.conversation_id,
                client_id: event.client_id.clone(),
                kind: event.kind.as_str().to_owned(),
                payload: event.payload.clone(),
                at: event.at,
            },
        }
    }

    /// `None` for an event this version does not know.
    fn entry(self) -> Option<LogEntry> {
        Some(match self {
            Self::Message {
                position,
                id,
                conversation_id,
                seq,
                sender,
                acted_by,
                client_message_id,
                kind,
                content,
                corrects,
                recalled_at,
                created_at,
            } => LogEntry::Message(Message {
                position,
                id,
                conversation_id,
                seq,
                sender,
                acted_by,
                client_message_id,
                kind: MessageKind::parse(&kind),
                content,
                corrects,
                recalled_at,
                created_at,
            }),
            Self::Event { position, conversation_id, client_id, kind, payload, at } => LogEntry::Event(LogEvent {
                position,
                conversation_id,
                client_id,
                kind: EventKind::parse(&kind)?,
                payload,
                at,
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::feed::EphemeralKind;
    use crate::feed::samples::{conversation, event, message};

    #[test]
    fn hints_are_read_as_they_were_written() {
        let entries = vec![
            Arc::new(message(7, conversation(1))),
            Arc::new(event(8, EventKind::Read, (Some(conversation(1)), None), json!({ "seq": 3 }))),
        ];
        let client_ids = vec!["patient".to_owned()];
        let ephemeral = |kind| Ephemeral { conversation_id: conversation(1), client_ids: client_ids.clone(), kind };
        for hint in [
            Hint::Committed(entries),
            Hint::Head(9),
            Hint::Moved,
            Hint::Ephemeral(ephemeral(EphemeralKind::Typing)),
            Hint::Ephemeral(ephemeral(EphemeralKind::Delivered { seq: 4 })),
            Hint::Ephemeral(ephemeral(EphemeralKind::Viewing { viewing: true })),
        ] {
            assert_eq!(Hint::decode(&hint.encode()).unwrap(), hint);
        }
    }

    #[test]
    fn what_another_version_says_is_only_a_reason_to_look() {
        let newer = json!({ "committed": [{ "event": { "position": 1, "kind": "pinned", "payload": {}, "at": 0 } }] });
        assert_eq!(Hint::decode(newer.to_string().as_bytes()).unwrap(), Hint::Moved);
        assert!(Hint::decode(b"{}").is_err());
    }

    #[test]
    fn a_batch_too_long_to_be_told_is_told_of() {
        let hint = Hint::Committed(vec![Arc::new(message(7, conversation(1)))]);
        assert_eq!(hint.shortened(), Hint::Head(7));
    }
}
