//! A conversation and who is in it.

use async_trait::async_trait;
use domain::id::{ConsultationId, ConversationId, DoctorId, PatientId};
use domain::page::{Page, PageRequest};
use domain::{StoreError, Timestamp};
use serde_json::{Map, Value};

use crate::message::{Message, NewMessage};

/// What a conversation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConversationKind {
    /// The dialog of one consultation.
    Consultation,
    /// A patient or doctor with the official assistant.
    Assistant,
    /// Any other conversation, e.g. one imported without a consultation.
    Direct,
}

impl ConversationKind {
    pub const ALL: [Self; 3] = [Self::Consultation, Self::Assistant, Self::Direct];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consultation => "consultation",
            Self::Assistant => "assistant",
            Self::Direct => "direct",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == text)
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
    /// Position of the newest entry of the log that concerns it, 0 when there is none.
    pub last_position: i64,
    pub last_message_at: Option<Timestamp>,
    /// Free attributes of LeanCloud clients (`attr`), and unmodelled imported fields.
    pub attributes: Map<String, Value>,
    pub extra: Map<String, Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Conversation {
    /// Takes a message in under the next number; its place in the log is given by the store.
    pub fn append(&mut self, new: &NewMessage) -> Message {
        self.last_seq += 1;
        self.last_message_at = Some(new.created_at);
        self.updated_at = new.created_at;
        new.stored(0, self.last_seq)
    }
}

/// What kind of client a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberKind {
    Patient,
    Doctor,
    /// The official assistant.
    Assistant,
    /// A client id that is none of these.
    Other,
}

impl MemberKind {
    pub const ALL: [Self; 4] = [Self::Patient, Self::Doctor, Self::Assistant, Self::Other];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Doctor => "doctor",
            Self::Assistant => "assistant",
            Self::Other => "other",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == text)
    }
}

/// One member. The client id of a patient or doctor is their `objectId`, as on LeanCloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub conversation_id: ConversationId,
    pub client_id: String,
    pub kind: MemberKind,
    pub joined_at: Timestamp,
    /// Read up to this message. Only grows.
    pub read_seq: i64,
    /// Delivered to a device up to this message. Only grows.
    pub delivered_seq: i64,
    /// Number of own messages after `read_seq`.
    pub own_after_read: i64,
    /// Number of others' messages after `read_seq` that were recalled.
    pub recalled_after_read: i64,
    /// From this instant on the owner of the conversation is asked about this member's next message, see
    /// [`crate::owner`]; `None`: never.
    pub review_at: Option<Timestamp>,
}

impl Member {
    /// A member whose first message the owner is asked about.
    pub fn owned(conversation_id: ConversationId, client_id: String, kind: MemberKind, joined_at: Timestamp) -> Self {
        Self { review_at: Some(Timestamp::from_millis(0)), ..Self::free(conversation_id, client_id, kind, joined_at) }
    }

    /// A member of a conversation without an owner.
    pub fn free(conversation_id: ConversationId, client_id: String, kind: MemberKind, joined_at: Timestamp) -> Self {
        Self {
            conversation_id,
            client_id,
            kind,
            joined_at,
            read_seq: 0,
            delivered_seq: 0,
            own_after_read: 0,
            recalled_after_read: 0,
            review_at: None,
        }
    }

    pub fn patient(conversation_id: ConversationId, patient: PatientId, joined_at: Timestamp) -> Self {
        Self::owned(conversation_id, patient.to_string(), MemberKind::Patient, joined_at)
    }

    pub fn doctor(conversation_id: ConversationId, doctor: DoctorId, joined_at: Timestamp) -> Self {
        Self::owned(conversation_id, doctor.to_string(), MemberKind::Doctor, joined_at)
    }

    /// Messages after `read_seq` that are neither own nor recalled, in a conversation that goes up to `last_seq`.
    pub const fn unread_count(&self, last_seq: i64) -> i64 {
        last_seq - self.read_seq - self.own_after_read - self.recalled_after_read
    }
}

/// A conversation as it stands in the list of a client.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationSummary {
    pub conversation: Conversation,
    /// All members, the asking one among them.
    pub members: Vec<Member>,
    pub last_message: Option<Message>,
}

/// How far a member has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadMove {
    pub conversation_id: ConversationId,
    pub client_id: String,
    /// Never beyond the newest message.
    pub seq: i64,
}

/// Stores conversations and their members.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ConversationRepository: Send {
    async fn find(&mut self, id: ConversationId) -> Result<Option<Conversation>, StoreError>;
    /// Like `find`, locked until the unit ends.
    async fn find_locked(&mut self, id: ConversationId) -> Result<Option<Conversation>, StoreError>;
    async fn members(&mut self, id: ConversationId) -> Result<Vec<Member>, StoreError>;
    /// The members of several conversations, in no particular order.
    async fn members_of_all(&mut self, ids: &[ConversationId]) -> Result<Vec<Member>, StoreError>;
    /// The conversations any of these clients is in, the one with the newest message first.
    async fn list(&mut self, client_ids: &[String], page: PageRequest)
    -> Result<Page<ConversationSummary>, StoreError>;
    /// These conversations as they stand in lists, in no particular order.
    async fn summaries(&mut self, ids: &[ConversationId]) -> Result<Vec<ConversationSummary>, StoreError>;
    /// Inserts conversations with their members. `last_seq` must be 0.
    async fn insert_all(&mut self, conversations: &[Conversation], members: &[Member]) -> Result<(), StoreError>;
    /// Adds members who have read what is there.
    async fn add_members(&mut self, members: &[Member]) -> Result<(), StoreError>;
    async fn remove_member(&mut self, id: ConversationId, client_id: &str) -> Result<bool, StoreError>;
    /// Moves members on, never back; answers those that moved, as they are now.
    async fn mark_read(&mut self, moves: &[ReadMove]) -> Result<Vec<Member>, StoreError>;
    /// Notes what reached a device, never back.
    async fn mark_delivered(&mut self, moves: &[ReadMove]) -> Result<(), StoreError>;
    /// Sets when the owner is asked again about one member's messages.
    async fn set_review(&mut self, id: ConversationId, client_id: &str, at: Timestamp) -> Result<(), StoreError>;
    /// Lets the owner be asked about the next message of every member who has an owner to be asked.
    async fn reset_review(&mut self, ids: &[ConversationId]) -> Result<(), StoreError>;
}
