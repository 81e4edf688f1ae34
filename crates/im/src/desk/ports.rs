//! The ports of the desk: one object is one transaction.

use async_trait::async_trait;
use domain::doctor::DoctorRepository;
use domain::id::{AgentId, AssistantId, CannedReplyId, ConversationId, EpisodeId};
use domain::outbox::OutboxRepository;
use domain::page::{Page, PageRequest};
use domain::patient::PatientRepository;
use domain::{StoreError, Timestamp};

use super::agent::{DeskAgent, DeskStatus};
use super::assistant::Assistant;
use super::canned::CannedReply;
use super::chat::Chat;
use super::entry::DeskEntry;
use super::episode::Episode;
use crate::conversation::MemberKind;
use crate::unit::ImUnit;

/// Which chats an agent looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatView {
    /// Those this agent has, and those offered to them.
    Mine(AgentId),
    /// Those in the queue.
    Waiting,
    All,
    Closed,
}

/// Which chats are listed; unset fields do not restrict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatFilter {
    pub view: ChatView,
    pub customer: Option<MemberKind>,
    /// Part of the customer's name, hospital, a tag or the remark.
    pub text: Option<String>,
}

/// How many chats there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChatCounts {
    pub mine: u64,
    pub offered: u64,
    pub waiting: u64,
    pub all: u64,
    pub closed: u64,
    /// Unread messages of the customers of this agent's chats.
    pub mine_unread: u64,
}

/// What somebody has written and not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub agent: AgentId,
    pub conversation_id: ConversationId,
    pub text: String,
    /// It is to become a note.
    pub is_note: bool,
    pub updated_at: Timestamp,
}

/// Stores the assistant.
#[async_trait]
pub trait AssistantRepository: Send {
    async fn find(&mut self, id: AssistantId) -> Result<Option<Assistant>, StoreError>;
    /// Adds it unless it is there.
    async fn ensure(&mut self, assistant: &Assistant) -> Result<(), StoreError>;
    /// Writes it if its version is still the one read, and bumps it; else [`StoreError::Conflict`].
    async fn update(&mut self, assistant: &Assistant) -> Result<(), StoreError>;
}

/// Stores chats, and moves them between agents.
#[async_trait]
pub trait ChatRepository: Send {
    async fn find(&mut self, id: ConversationId) -> Result<Option<Chat>, StoreError>;
    /// Like `find`, locked until the unit ends.
    async fn find_locked(&mut self, id: ConversationId) -> Result<Option<Chat>, StoreError>;
    async fn find_by_customer(&mut self, customer_id: &str) -> Result<Option<Chat>, StoreError>;
    /// A second chat of the same customer is [`StoreError::Unique`].
    async fn insert(&mut self, chat: &Chat) -> Result<(), StoreError>;
    /// Writes the chat if its version is still the one read, and bumps it; else [`StoreError::Conflict`].
    /// `next_action_at` is when time asks something of it. The chat keeps the agent it has in the store.
    async fn update(&mut self, chat: &Chat, next_action_at: Option<Timestamp>) -> Result<(), StoreError>;
    /// Like `update`, for a chat that `from` no longer has; they have one less in hand.
    async fn let_go(&mut self, chat: &Chat, from: AgentId) -> Result<(), StoreError>;
    /// Gives a chat that nobody has to the agent it names, in one statement: only if its version is still the one
    /// read, nobody has it in the store, and the agent is there at `now` and has room. Says whether it did.
    async fn claim(
        &mut self,
        chat: &Chat,
        next_action_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Lets units that give chats out run one after another: later ones wait here until this one ends.
    async fn lock_queue(&mut self) -> Result<(), StoreError>;
    /// Chats in the queue, longest waiting first.
    async fn queue(&mut self, limit: u32) -> Result<Vec<Chat>, StoreError>;
    /// Newest change first.
    async fn list(&mut self, filter: &ChatFilter, page: PageRequest) -> Result<Page<Chat>, StoreError>;
    async fn counts(&mut self, agent: AgentId, assistant: &str) -> Result<ChatCounts, StoreError>;
    /// Of whom time asks something.
    async fn list_due(&mut self, now: Timestamp, limit: u32) -> Result<Vec<ConversationId>, StoreError>;
    /// Assigned chats whose agent is not there any more.
    async fn list_orphaned(&mut self, now: Timestamp, limit: u32) -> Result<Vec<ConversationId>, StoreError>;
}

/// Stores what the desk knows of agents. Names and roles are those of their accounts.
#[async_trait]
pub trait DeskAgentRepository: Send {
    async fn find(&mut self, id: AgentId) -> Result<Option<DeskAgent>, StoreError>;
    /// Everybody on the staff who may sign in, by name.
    async fn list(&mut self) -> Result<Vec<DeskAgent>, StoreError>;
    /// Those whose lease runs.
    async fn list_there(&mut self, now: Timestamp) -> Result<Vec<DeskAgent>, StoreError>;
    /// Adds what is kept of an agent unless it is there.
    async fn ensure(&mut self, id: AgentId, capacity: u32) -> Result<(), StoreError>;
    async fn set_status(&mut self, id: AgentId, status: DeskStatus, lease_until: Timestamp) -> Result<(), StoreError>;
    /// Lets the lease run on, unless the agent has gone; false then.
    async fn renew(&mut self, id: AgentId, lease_until: Timestamp) -> Result<bool, StoreError>;
    /// Writes capacity, skills, groups and hours, nothing else.
    async fn set_profile(&mut self, agent: &DeskAgent) -> Result<(), StoreError>;
}

/// Stores episodes.
#[async_trait]
pub trait EpisodeRepository: Send {
    async fn find(&mut self, id: EpisodeId) -> Result<Option<Episode>, StoreError>;
    async fn insert(&mut self, episode: &Episode) -> Result<(), StoreError>;
    async fn update(&mut self, episode: &Episode) -> Result<(), StoreError>;
    /// Of one conversation, newest first.
    async fn list(&mut self, id: ConversationId, limit: u32) -> Result<Vec<Episode>, StoreError>;
    /// Those opened in `[from, to)`, oldest first.
    async fn list_opened(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        agent: Option<AgentId>,
        limit: u32,
    ) -> Result<Vec<Episode>, StoreError>;
}

/// Stores notes and events.
#[async_trait]
pub trait EntryRepository: Send {
    async fn append_all(&mut self, entries: &[DeskEntry]) -> Result<(), StoreError>;
    /// Newest first.
    async fn list(&mut self, id: ConversationId, page: PageRequest) -> Result<Page<DeskEntry>, StoreError>;
}

/// Stores answers kept ready.
#[async_trait]
pub trait CannedReplyRepository: Send {
    async fn find(&mut self, id: CannedReplyId) -> Result<Option<CannedReply>, StoreError>;
    /// Those an agent with these groups sees, by title.
    async fn list(&mut self, agent: AgentId, groups: &[String]) -> Result<Vec<CannedReply>, StoreError>;
    async fn insert(&mut self, reply: &CannedReply) -> Result<(), StoreError>;
    /// Writes it if its version is still the one read, and bumps it; else [`StoreError::Conflict`].
    async fn update(&mut self, reply: &CannedReply) -> Result<(), StoreError>;
    async fn delete(&mut self, id: CannedReplyId) -> Result<(), StoreError>;
}

/// Stores drafts.
#[async_trait]
pub trait DraftRepository: Send {
    async fn find(&mut self, agent: AgentId, id: ConversationId) -> Result<Option<Draft>, StoreError>;
    /// Newest first.
    async fn list(&mut self, agent: AgentId) -> Result<Vec<Draft>, StoreError>;
    async fn put(&mut self, draft: &Draft) -> Result<(), StoreError>;
    async fn delete(&mut self, agent: AgentId, id: ConversationId) -> Result<(), StoreError>;
}

/// A unit of work. Rows are locked in the order queue → chat → agent → conversation → log; dropping it undoes everything.
#[async_trait]
pub trait DeskUnit: Send {
    /// Conversations, messages, the log, files and the audit log.
    fn im(&mut self) -> &mut dyn ImUnit;
    fn assistants(&mut self) -> &mut dyn AssistantRepository;
    fn chats(&mut self) -> &mut dyn ChatRepository;
    fn agents(&mut self) -> &mut dyn DeskAgentRepository;
    fn episodes(&mut self) -> &mut dyn EpisodeRepository;
    fn entries(&mut self) -> &mut dyn EntryRepository;
    fn canned_replies(&mut self) -> &mut dyn CannedReplyRepository;
    fn drafts(&mut self) -> &mut dyn DraftRepository;
    fn patients(&mut self) -> &mut dyn PatientRepository;
    fn doctors(&mut self) -> &mut dyn DoctorRepository;
    fn outbox(&mut self) -> &mut dyn OutboxRepository;
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Opens units of work.
#[async_trait]
pub trait DeskStore: Send + Sync {
    /// Begins a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn DeskUnit>, StoreError>;
    /// The same repositories for reading only; each call sees what is committed then. Never commit it.
    fn read(&self) -> Box<dyn DeskUnit>;
}
