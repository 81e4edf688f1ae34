//! The dialog of a consultation: a conversation of its own, with both parties in it.

use domain::Timestamp;
use domain::id::ConversationId;
use im::{Conversation, ConversationKind, Member};
use serde_json::{Map, json};

use crate::consultation::Consultation;

/// What clients show as the dialog's name.
const NAME: &str = "咨询";

/// An empty dialog for a consultation.
pub fn dialog_of(consultation: &Consultation, id: ConversationId, now: Timestamp) -> Conversation {
    let mut attributes = Map::new();
    attributes.insert("consultationId".into(), json!(consultation.id));
    Conversation {
        id,
        kind: ConversationKind::Consultation,
        consultation_id: Some(consultation.id),
        name: Some(NAME.into()),
        creator: Some(consultation.pair.patient.to_string()),
        last_seq: 0,
        last_position: 0,
        last_message_at: None,
        attributes,
        extra: Map::new(),
        created_at: now,
        updated_at: now,
    }
}

/// Who has to be in the dialog.
pub fn parties_of(consultation: &Consultation, id: ConversationId, now: Timestamp) -> [Member; 2] {
    [Member::patient(id, consultation.pair.patient, now), Member::doctor(id, consultation.pair.doctor, now)]
}
