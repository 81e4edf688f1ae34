//! The log on the wire, in the words of the messaging protocol.

use im::log::LogEntry;
use im::service::Synced;
use poem_openapi::Object;
use serde_json::Value;

use crate::http::files::links::Links;
use crate::http::messages::dto::MessageView;
use crate::http::values::Id;

/// What the caller has missed.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct SyncView {
    /// Everything that concerns the caller, in order.
    pub items: Vec<LogEntryView>,
    /// Send this as `cursor` next time.
    pub cursor: i64,
    /// Send this as `epoch` next time.
    pub epoch: String,
    /// There is more: ask again at once.
    pub has_more: bool,
    /// The cursor meant nothing here any more: drop what is kept, load it anew, and go on from this `cursor`.
    pub resync: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct LogEntryView {
    /// Its place in the log; grows, with gaps.
    pub cursor: i64,
    /// The conversation it is about.
    pub conversation_id: Option<Id>,
    /// `message`, `recalled`, `read`, `joined`, `left`, `consultation`, `assignment`, `desk` or
    /// `session_ended`; more may come.
    pub kind: String,
    /// The message, of kind `message`.
    pub message: Option<MessageView>,
    /// What happened, of the other kinds; see the messaging protocol.
    pub data: Option<Value>,
}

impl SyncView {
    pub fn of(synced: Synced, links: Links<'_>) -> Self {
        Self {
            items: synced.entries.into_iter().map(|entry| LogEntryView::of(entry, links)).collect(),
            cursor: synced.cursor,
            epoch: synced.epoch,
            has_more: synced.has_more,
            resync: synced.resync,
        }
    }
}

impl LogEntryView {
    fn of(entry: LogEntry, links: Links<'_>) -> Self {
        let (cursor, conversation_id) = (entry.position(), entry.conversation_id().map(Id::from));
        let (kind, message, data) = match entry {
            LogEntry::Message(message) => ("message", Some(MessageView::of(message, links)), None),
            LogEntry::Event(event) => (event.kind.as_str(), None, Some(event.payload)),
        };
        Self { cursor, conversation_id, kind: kind.to_owned(), message, data }
    }
}
