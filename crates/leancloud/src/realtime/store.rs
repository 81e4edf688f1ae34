//! The ports of the realtime use cases: one object is one transaction.

use async_trait::async_trait;
use domain::file::FileRepository;
use domain::id::{ConversationId, DoctorId, PatientId, UserId};
use domain::{StoreError, Timestamp};
use im::log::{EventKind, LogEvent, LogRepository};
use im::presence::PresenceRepository;
use im::{Conversation, ConversationRepository, Message, MessageRepository};

use super::ticket::Ticket;
use crate::rest::DocumentRepository;

/// Whom a client id stands for. Ids that are nobody's are free: any text names a client on LeanCloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Party {
    pub user: Option<UserId>,
    /// Set when the id is this patient's, or their user's; closed profiles are nobody's.
    pub patient: Option<PatientId>,
    /// Set when the id is this doctor's, or their user's.
    pub doctor: Option<DoctorId>,
    /// The id is that of a closed account or profile, which nobody is any more.
    pub is_closed: bool,
}

/// A stretch of time in which messages were written, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenSpan {
    pub since: Timestamp,
    pub until: Timestamp,
    /// Oldest first, else newest first.
    pub is_forward: bool,
    pub limit: u32,
}

/// Keeps what only the realtime protocol needs.
#[async_trait]
pub trait RealtimeRepository: Send {
    async fn party(&mut self, client_id: &str) -> Result<Party, StoreError>;

    async fn insert_ticket(&mut self, ticket: &Ticket) -> Result<(), StoreError>;
    async fn find_ticket(&mut self, token_hash: &str) -> Result<Option<Ticket>, StoreError>;
    async fn extend_ticket(&mut self, token_hash: &str, expires_at: Timestamp) -> Result<(), StoreError>;
    async fn delete_ticket(&mut self, token_hash: &str) -> Result<(), StoreError>;
    async fn delete_tickets_of(&mut self, client_id: &str) -> Result<(), StoreError>;
    /// Whether another device than this one has the tag of a client.
    async fn is_tag_taken(
        &mut self,
        client_id: &str,
        tag: &str,
        device_id: Option<&str>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Notes that another device took the tag of this client, and forgets tickets that are over.
    async fn supersede(&mut self, taken: &Ticket) -> Result<(), StoreError>;

    /// The conversation that is the only one under this key.
    async fn find_unique(&mut self, key: &str) -> Result<Option<ConversationId>, StoreError>;
    /// Lets another conversation take the key.
    async fn release_unique(&mut self, key: &str) -> Result<(), StoreError>;
    /// Takes the key for a conversation; false when another has it.
    async fn claim_unique(&mut self, key: &str, id: ConversationId) -> Result<bool, StoreError>;
    /// Lets go of every key of a conversation.
    async fn release_unique_of(&mut self, id: ConversationId) -> Result<(), StoreError>;
    /// The newest dialog of a consultation between two clients.
    async fn find_dialog(&mut self, one: &str, other: &str) -> Result<Option<ConversationId>, StoreError>;
    /// The oldest conversation, of no consultation, that was kept unique and has exactly these members.
    async fn find_unique_of(&mut self, members: &[String]) -> Result<Option<ConversationId>, StoreError>;
    /// Writes name, attributes, further fields and the time of the last change.
    async fn save_conversation(&mut self, conversation: &Conversation) -> Result<(), StoreError>;
    /// Writes what a message says anew.
    async fn amend(&mut self, message: &Message) -> Result<(), StoreError>;
    /// Events of these kinds since an instant, oldest first: those in conversations of any of these clients, and those for
    /// one of them alone.
    async fn events_since(
        &mut self,
        client_ids: &[String],
        kinds: &[EventKind],
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<LogEvent>, StoreError>;
    /// Whether any of these clients was told that it is no longer in a conversation.
    async fn has_left(&mut self, client_ids: &[String], id: ConversationId) -> Result<bool, StoreError>;
    /// Messages of everybody or of one sender.
    async fn written(&mut self, sender: Option<&str>, span: WrittenSpan) -> Result<Vec<Message>, StoreError>;
}

/// A unit of work. Dropping it undoes everything.
#[async_trait]
pub trait RealtimeUnit: Send {
    fn conversations(&mut self) -> &mut dyn ConversationRepository;
    fn messages(&mut self) -> &mut dyn MessageRepository;
    fn log(&mut self) -> &mut dyn LogRepository;
    fn presence(&mut self) -> &mut dyn PresenceRepository;
    fn files(&mut self) -> &mut dyn FileRepository;
    fn documents(&mut self) -> &mut dyn DocumentRepository;
    fn realtime(&mut self) -> &mut dyn RealtimeRepository;
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Opens units of work.
#[async_trait]
pub trait RealtimeStore: Send + Sync {
    /// Begins a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn RealtimeUnit>, StoreError>;
    /// The same repositories for reading only; each call sees what is committed then. Never commit it.
    fn read(&self) -> Box<dyn RealtimeUnit>;
}
