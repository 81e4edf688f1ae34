//! `_Conversation` rows.

use domain::id::ConversationId;
use im::{Conversation, ConversationKind};
use serde_json::{Map, Value};

use super::fields::Fields;
use super::{Mapped, Unmappable, read};
use crate::finding::{Note, Problem};

/// A conversation and the client ids of its members. Which of them are patients and doctors, and whether it is the
/// dialog of a consultation, is known only when those rows are.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationRow {
    pub conversation: Conversation,
    pub client_ids: Vec<String>,
}

/// Maps a `_Conversation` row.
///
/// # Errors
/// [`Unmappable`] when it has no usable id.
pub fn map_conversation(row: &Map<String, Value>) -> Result<Mapped<ConversationRow>, Unmappable> {
    let mut fields = Fields::new("_Conversation", row)?;
    let mut client_ids = fields.texts("m").unwrap_or_default();
    client_ids.sort_unstable();
    client_ids.dedup();
    let attributes = match fields.take("attr") {
        None => Map::new(),
        Some(Value::Object(attributes)) => attributes,
        Some(other) => {
            fields.note(Note::field("attr", Problem::WrongType));
            fields.keep("attr", other);
            Map::new()
        }
    };
    let conversation = Conversation {
        id: ConversationId(fields.id),
        kind: ConversationKind::Direct,
        consultation_id: None,
        name: fields.text("name"),
        creator: fields.text("c"),
        last_seq: 0,
        last_position: 0,
        last_message_at: fields.convert("lm", |value| read::time(value).or(Err(Problem::WrongType))),
        attributes,
        extra: Map::new(),
        created_at: fields.created_at,
        updated_at: fields.updated_at,
    };
    Ok(fields.finish(|extra| ConversationRow { conversation: Conversation { extra, ..conversation }, client_ids }))
}
