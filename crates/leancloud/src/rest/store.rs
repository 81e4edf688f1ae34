//! The ports of the storage interface: one object is one transaction.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::audit::AuditRepository;
use domain::file::FileRepository;
use domain::id::{DoctorId, PatientId, UserId};
use domain::{ObjectId, StoreError, Timestamp};
use serde_json::{Map, Value};

use crate::acl::Acl;
use crate::ops::RelationChange;
use crate::query::{Query, Where};
use crate::wire::Pointer;

/// Through whose eyes objects are seen. Every read is limited to it by the store itself, queries within queries and
/// the fields conditions look at included, so that no condition tells what the viewer may not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Viewer {
    /// The master key: everything.
    Master,
    Client(ClientViewer),
}

/// A client of the application, signed in or not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientViewer {
    pub user: Option<UserId>,
    pub patient: Option<PatientId>,
    pub doctor: Option<DoctorId>,
    /// Names of the roles the user has, by whatever way.
    pub roles: Vec<String>,
    /// The client ids of a client of the realtime protocol, whose conversations it sees.
    pub peers: Vec<String>,
}

impl Viewer {
    pub const fn is_master(&self) -> bool {
        matches!(self, Self::Master)
    }

    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::Master => None,
            Self::Client(client) => client.user,
        }
    }

    /// The keys of access control lists that mean this viewer, beside `*`.
    pub fn acl_keys(&self) -> Vec<String> {
        match self {
            Self::Master => Vec::new(),
            Self::Client(client) => {
                let user = client.user.map(|user| user.to_string());
                user.into_iter().chain(client.roles.iter().map(|role| format!("role:{role}"))).collect()
            }
        }
    }
}

/// An object of a class, as far as its viewer may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub class: String,
    pub id: ObjectId,
    /// Values in their stored form.
    pub fields: Map<String, Value>,
    pub acl: Option<Acl>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// What the store remembers of a class of documents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClassInfo {
    /// Fields that are relations.
    pub relation_keys: BTreeSet<String>,
    /// Fields that ever held an array, at whatever depth: conditions on others need not look for elements.
    pub array_keys: BTreeSet<String>,
    /// Dotted keys that have an index.
    pub indexed_keys: BTreeSet<String>,
}

impl ClassInfo {
    /// What one object tells of its class.
    pub fn of_object(fields: &Map<String, Value>) -> Self {
        let is_relation = |value: &Value| value.get("__type").and_then(Value::as_str) == Some("Relation");
        let names = |holds: &dyn Fn(&Value) -> bool| -> BTreeSet<String> {
            fields.iter().filter(|(_, value)| holds(value)).map(|(name, _)| name.clone()).collect()
        };
        Self { relation_keys: names(&is_relation), array_keys: names(&holds_array), indexed_keys: BTreeSet::new() }
    }
}

fn holds_array(value: &Value) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Object(object) => object.values().any(holds_array),
        _ => false,
    }
}

/// A document that nobody else changes until the unit ends.
#[derive(Debug, Clone, PartialEq)]
pub struct LockedDocument {
    pub document: Document,
    pub may_read: bool,
    pub may_write: bool,
    /// Whether the condition that was asked about holds.
    pub holds: bool,
}

/// Stores documents, and reads the product's own tables as if they were documents.
#[async_trait]
pub trait DocumentRepository: Send {
    /// `None`: no object of this class was ever made.
    async fn class(&mut self, class: &str) -> Result<Option<ClassInfo>, StoreError>;
    /// Makes the class known, and adds to what is known of it.
    async fn ensure_class(&mut self, class: &str, more: &ClassInfo, now: Timestamp) -> Result<(), StoreError>;
    /// The objects of a query the viewer may see, in its order.
    async fn find(&mut self, viewer: &Viewer, class: &str, query: &Query) -> Result<Vec<Document>, StoreError>;
    /// How many objects the viewer may see that meet the conditions.
    async fn count(&mut self, viewer: &Viewer, class: &str, filter: &Where) -> Result<u64, StoreError>;
    /// A document of the documents' table by its id, whoever may see it, with what the viewer may do.
    async fn lock(
        &mut self,
        viewer: &Viewer,
        class: &str,
        id: ObjectId,
        condition: &Where,
    ) -> Result<Option<LockedDocument>, StoreError>;
    /// A role's taken name is [`StoreError::Unique`].
    async fn insert(&mut self, document: &Document) -> Result<(), StoreError>;
    async fn update(&mut self, document: &Document) -> Result<(), StoreError>;
    /// Deletes a document and the relations it owns or is a member of.
    async fn delete(&mut self, class: &str, id: ObjectId) -> Result<(), StoreError>;
    async fn change_relations(&mut self, owner: &Pointer, changes: &[RelationChange]) -> Result<(), StoreError>;
    /// The class of the members of a relation; `None` when it never had any.
    async fn relation_target(&mut self, class: &str, key: &str) -> Result<Option<String>, StoreError>;
    /// Names of the roles of a user, those inherited by roles within roles included.
    async fn roles_of(&mut self, user: UserId) -> Result<Vec<String>, StoreError>;
}

/// A unit of work on documents. Dropping it undoes everything.
#[async_trait]
pub trait RestUnit: Send {
    fn documents(&mut self) -> &mut dyn DocumentRepository;
    fn files(&mut self) -> &mut dyn FileRepository;
    fn audit(&mut self) -> &mut dyn AuditRepository;
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Opens units of work.
#[async_trait]
pub trait RestStore: Send + Sync {
    /// Begins a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn RestUnit>, StoreError>;
    /// The same repositories for reading only; each call sees what is committed then. Never commit it.
    fn read(&self) -> Box<dyn RestUnit>;
}
