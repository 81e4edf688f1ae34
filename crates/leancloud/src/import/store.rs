//! The ports of the import: one object is one transaction.

use account::session::Session;
use account::user::{AuthIdentity, User};
use async_trait::async_trait;
use consultation::consultation::{Consultation, ConsultationEvent, Pair};
use consultation::relation::Relation;
use domain::doctor::Doctor;
use domain::file::File;
use domain::id::{ConsultationId, ConversationId, FileId, RelationId, UserId};
use domain::patient::Patient;
use domain::{ObjectId, Phone, StoreError, Timestamp};
use im::{Conversation, Member, Message};
use serde::{Serialize, Serializer};

use crate::rest::{ClassInfo, Document};

/// The classes that are imported, in the order their references need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImportClass {
    User,
    File,
    Doctor,
    Patient,
    Relation,
    Conversation,
    Consultation,
}

impl ImportClass {
    pub const ALL: [Self; 7] =
        [Self::User, Self::File, Self::Doctor, Self::Patient, Self::Relation, Self::Conversation, Self::Consultation];

    /// The class's name on LeanCloud.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "_User",
            Self::File => "_File",
            Self::Doctor => "Doctor",
            Self::Patient => "Patients",
            Self::Relation => "DoctorPatientRelation",
            Self::Conversation => "_Conversation",
            Self::Consultation => "Consultation",
        }
    }
}

impl Serialize for ImportClass {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What the store knows of a row that an export may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowState {
    pub id: ObjectId,
    /// When the row last changed; `None` for files, which do not change here.
    pub updated_at: Option<Timestamp>,
    /// `updatedAt` of the export it was last taken from; `None` when it came about here.
    pub exported_at: Option<Timestamp>,
}

/// Remembers where rows came from.
#[async_trait]
pub trait ImportLedger: Send {
    /// The states of those of `ids` that exist. Nobody can change these rows until the unit ends.
    async fn states(&mut self, class: ImportClass, ids: &[ObjectId]) -> Result<Vec<RowState>, StoreError>;
    /// Those of `ids` that exist.
    async fn existing(&mut self, class: ImportClass, ids: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError>;
    /// Notes the exported `updatedAt` of rows that were written.
    async fn remember(&mut self, class: &str, rows: &[(ObjectId, Timestamp)]) -> Result<(), StoreError>;
}

/// What a person can be found by at a sign-in; each belongs to one user. No `Debug`: it may hold a phone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoginKey {
    Username(String),
    Email(String),
    Phone(Phone),
    Identity(AuthIdentity),
}

/// Users, their sessions, and the profiles and files that belong to them. `save_*` inserts rows and replaces those
/// that exist, whatever their version, and moves the version of replaced rows on.
#[async_trait]
pub trait ImportPeople: Send {
    /// Who has these keys, of those that somebody has.
    async fn login_owners(&mut self, keys: &[LoginKey]) -> Result<Vec<(LoginKey, UserId)>, StoreError>;
    async fn save_users(&mut self, users: &[User]) -> Result<(), StoreError>;
    /// Adds sessions whose token is not known yet, revoked or not.
    async fn add_sessions(&mut self, sessions: &[Session]) -> Result<(), StoreError>;
    /// The bytes of a file that is here already stay where they are. Outside addresses are remembered, see
    /// [`ImportFiles::at_addresses`].
    async fn save_files(&mut self, files: &[File]) -> Result<(), StoreError>;
    /// Adds files that do not exist yet; their addresses are remembered as well.
    async fn add_files(&mut self, files: &[File]) -> Result<(), StoreError>;
    async fn save_doctors(&mut self, doctors: &[Doctor]) -> Result<(), StoreError>;
    async fn save_patients(&mut self, patients: &[Patient]) -> Result<(), StoreError>;
    /// The doctors or patients that these users sign in as.
    async fn profiles_of(
        &mut self,
        class: ImportClass,
        users: &[UserId],
    ) -> Result<Vec<(UserId, ObjectId)>, StoreError>;
}

/// The newest consultation that a dialog belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialogOwner {
    pub dialog: ConversationId,
    pub consultation: ConsultationId,
    pub started_at: Timestamp,
}

/// Relations, consultations and their dialogs. `save_*` as for [`ImportPeople`].
#[async_trait]
pub trait ImportConsulting: Send {
    async fn save_relations(&mut self, relations: &[Relation]) -> Result<(), StoreError>;
    /// The relations of these pairs, of those that have one.
    async fn relations_of(&mut self, pairs: &[Pair]) -> Result<Vec<(Pair, RelationId)>, StoreError>;
    /// Of a conversation that exists, its kind, consultation and newest sequence number stay as they are. The members
    /// given become exactly the members of these conversations, but the patient and the doctor of a dialog stay in it.
    async fn save_conversations(
        &mut self,
        conversations: &[Conversation],
        members: &[Member],
    ) -> Result<(), StoreError>;
    /// Adds members that are not there yet; returns those.
    async fn add_members(&mut self, members: &[Member]) -> Result<Vec<Member>, StoreError>;
    /// To which consultations these dialogs belong, of those that do.
    async fn dialog_owners(&mut self, dialogs: &[ConversationId]) -> Result<Vec<DialogOwner>, StoreError>;
    /// Makes conversations the dialogs of consultations.
    async fn link_dialogs(&mut self, links: &[(ConversationId, ConsultationId)]) -> Result<(), StoreError>;
    /// The open, valid consultations of the pairs, at most one each.
    async fn open_consultations(&mut self, pairs: &[Pair]) -> Result<Vec<Consultation>, StoreError>;
    /// Saving a second open, valid consultation of a pair is [`StoreError::Unique`].
    async fn save_consultations(&mut self, consultations: &[Consultation]) -> Result<(), StoreError>;
    async fn append_events(&mut self, events: &[ConsultationEvent]) -> Result<(), StoreError>;
}

/// Bytes of files that came with an export.
#[async_trait]
pub trait ImportFiles: Send {
    /// Files that are still at outside addresses, by id, after the one given.
    async fn outside(&mut self, after: Option<FileId>, limit: u32) -> Result<Vec<File>, StoreError>;
    /// Notes that the bytes of these files are here now.
    async fn brought_in(&mut self, files: &[File]) -> Result<(), StoreError>;
    /// The files that were at these addresses when they were imported.
    async fn at_addresses(&mut self, urls: &[String]) -> Result<Vec<(String, File)>, StoreError>;
}

/// Objects of classes the product does not know.
#[async_trait]
pub trait ImportDocuments: Send {
    /// As for [`ImportLedger::states`].
    async fn states(&mut self, class: &str, ids: &[ObjectId]) -> Result<Vec<RowState>, StoreError>;
    /// Inserts objects of one class and replaces those that exist. A role's taken name is [`StoreError::Unique`].
    async fn save(&mut self, class: &str, info: &ClassInfo, documents: &[Document]) -> Result<(), StoreError>;
    /// Those of `ids` that exist, in this class of documents or of the product.
    async fn existing(&mut self, class: &str, ids: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError>;
    /// Adds members of relations; answers how many are new.
    async fn add_relations(&mut self, relations: &[DocumentRelation]) -> Result<u64, StoreError>;
}

/// A member of a relation of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRelation {
    pub owning_class: String,
    pub owning_id: ObjectId,
    pub name: String,
    pub related_class: String,
    pub related_id: ObjectId,
}

/// A conversation that history is added to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationState {
    pub id: ConversationId,
    pub last_seq: i64,
    pub last_position: i64,
    pub last_message_at: Option<Timestamp>,
}

/// Messages that were written before the application came here. Their positions are below zero: they are older than
/// everything in the log, nobody's cursor stands before them, and nobody is told of them as news.
#[async_trait]
pub trait ImportHistory: Send {
    /// Those of the conversations that exist. Nobody writes in them until the unit ends.
    async fn conversations(&mut self, ids: &[ConversationId]) -> Result<Vec<ConversationState>, StoreError>;
    /// All messages of these conversations, in the order of their numbers within each.
    async fn messages_of(&mut self, ids: &[ConversationId]) -> Result<Vec<Message>, StoreError>;
    async fn members_of(&mut self, ids: &[ConversationId]) -> Result<Vec<Member>, StoreError>;
    /// Takes the imported messages of these conversations away, to be written anew.
    async fn remove_imported(&mut self, ids: &[ConversationId]) -> Result<(), StoreError>;
    /// Moves the numbers of all messages of these conversations up.
    async fn shift(&mut self, by: &[(ConversationId, i64)]) -> Result<(), StoreError>;
    /// Adds messages under the numbers they have and gives them positions, ascending in the order given.
    async fn insert(&mut self, messages: &mut [Message]) -> Result<(), StoreError>;
    /// Replaces kind, content and recall of messages, found by position.
    async fn rewrite(&mut self, messages: &[Message]) -> Result<(), StoreError>;
    /// Writes where conversations end now.
    async fn save_ends(&mut self, ends: &[ConversationState]) -> Result<(), StoreError>;
    /// Writes how far members have got.
    async fn save_reads(&mut self, members: &[Member]) -> Result<(), StoreError>;
    /// Lets all members have got to the end of these conversations.
    async fn mark_all_read(&mut self, ids: &[ConversationId]) -> Result<(), StoreError>;
    /// Makes every client read its conversations anew.
    async fn renew_epoch(&mut self, epoch: &str) -> Result<(), StoreError>;
}

/// A unit of work; dropping it undoes everything.
#[async_trait]
pub trait ImportUnit: Send {
    fn ledger(&mut self) -> &mut dyn ImportLedger;
    fn people(&mut self) -> &mut dyn ImportPeople;
    fn consulting(&mut self) -> &mut dyn ImportConsulting;
    fn files(&mut self) -> &mut dyn ImportFiles;
    fn documents(&mut self) -> &mut dyn ImportDocuments;
    fn history(&mut self) -> &mut dyn ImportHistory;
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Rows that should not be, or are missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenRule {
    pub rule: String,
    pub rows: i64,
}

/// Opens units of work.
#[async_trait]
pub trait ImportStore: Send + Sync {
    /// Begins a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn ImportUnit>, StoreError>;
    /// Looks whether everything that was imported, in this run or before, is here, refers to rows that are, and agrees
    /// with the rest. Answers the rules that were looked at and those that are broken.
    async fn verify(&self) -> Result<Verification, StoreError>;
}

/// What came of looking.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Verification {
    /// Imported rows of each class that are here.
    pub present: Vec<(String, i64)>,
    /// Messages of imported history that are here.
    pub messages: i64,
    pub rules: usize,
    pub broken: Vec<BrokenRule>,
}
