//! A conversation and who is in it.

use async_trait::async_trait;
use domain::id::{ConsultationId, ConversationId, DoctorId, PatientId};
use domain::{StoreError, Timestamp};
use serde_json::{Map, Value};

use crate::message::{Message, NewSystemMessage};

/// What a conversation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConversationKind {
    /// The dialog of one consultation.
    Consultation,
    /// Any other conversation, e.g. one imported without a consultation.
    Direct,
}

impl ConversationKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consultation => "consultation",
            Self::Direct => "direct",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Consultation, Self::Direct].into_iter().find(|k| k.as_str() == text)
    }
}

/// A place where messages are written, in one order for everybody.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    pub id: ConversationId,
    pub kind: ConversationKind,
    /// The consultation this is the dialog of.
    pub consultation_id: Option<ConsultationId>,
    pub name: Option<String>,
    /// Client id of whoever started it.
    pub creator: Option<String>,
    /// Sequence number of the newest message, 0 when there is none.
    pub last_seq: i64,
    pub last_message_at: Option<Timestamp>,
    /// Free attributes of LeanCloud clients (`attr`), and unmodelled imported fields.
    pub attributes: Map<String, Value>,
    pub extra: Map<String, Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Conversation {
    /// Takes a message in under the next number.
    pub fn append(&mut self, new: &NewSystemMessage) -> Message {
        self.last_seq += 1;
        self.last_message_at = Some(new.created_at);
        self.updated_at = new.created_at;
        new.numbered(self.last_seq)
    }
}

/// What kind of client a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberKind {
    Patient,
    Doctor,
    /// A client id that is neither a patient's nor a doctor's.
    Other,
}

impl MemberKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Doctor => "doctor",
            Self::Other => "other",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Patient, Self::Doctor, Self::Other].into_iter().find(|k| k.as_str() == text)
    }
}

/// One member. The client id of a patient or doctor is their `objectId`, as on LeanCloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub conversation_id: ConversationId,
    pub client_id: String,
    pub kind: MemberKind,
    pub joined_at: Timestamp,
}

impl Member {
    pub fn patient(conversation_id: ConversationId, patient: PatientId, joined_at: Timestamp) -> Self {
        Self { conversation_id, client_id: patient.to_string(), kind: MemberKind::Patient, joined_at }
    }

    pub fn doctor(conversation_id: ConversationId, doctor: DoctorId, joined_at: Timestamp) -> Self {
        Self { conversation_id, client_id: doctor.to_string(), kind: MemberKind::Doctor, joined_at }
    }
}

/// Stores conversations, members and system messages.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ConversationRepository: Send {
    async fn find(&mut self, id: ConversationId) -> Result<Option<Conversation>, StoreError>;
    async fn members(&mut self, id: ConversationId) -> Result<Vec<Member>, StoreError>;
    /// Inserts conversations with their members. `last_seq` must be 0.
    async fn insert_all(&mut self, conversations: &[Conversation], members: &[Member]) -> Result<(), StoreError>;
    /// Appends system messages in the given order, each with its conversation's next sequence number.
    /// Within one unit either all conversations are new or there is one: that keeps units from waiting for each
    /// other in a circle. A message to a conversation that does not exist is refused with [`StoreError::Conflict`].
    async fn append_system(&mut self, messages: &[NewSystemMessage]) -> Result<(), StoreError>;
    /// Messages with `seq` > `after_seq`, ascending, at most `limit`.
    async fn messages(&mut self, id: ConversationId, after_seq: i64, limit: u32) -> Result<Vec<Message>, StoreError>;
}
