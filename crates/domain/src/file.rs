//! Files: what is known of one, and where its bytes are kept.

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::id::{AgentId, FileId, UserId};
use crate::{StoreError, Timestamp};

/// An uploaded file, or one that is still at an outside address.
#[derive(Debug, Clone, PartialEq)]
pub struct File {
    pub id: FileId,
    pub owner: FileOwner,
    pub name: String,
    pub mime_type: String,
    /// Size in bytes; unknown for outside files.
    pub size: Option<i64>,
    /// Lower-case hex SHA-256 of the bytes; unknown for outside files.
    pub sha256: Option<String>,
    pub place: FilePlace,
    /// Imported `metaData` and other unmodelled fields.
    pub extra: Map<String, Value>,
    pub created_at: Timestamp,
}

/// Who put the file here, and so who may use it in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOwner {
    User(UserId),
    Staff(AgentId),
    /// Imported or made by the system.
    System,
}

/// Where the bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilePlace {
    /// Under this key in the blob store.
    Stored { key: String },
    /// Still at an outside address (imported rows).
    External { url: String },
}

impl File {
    pub fn is_owned_by_user(&self, user: UserId) -> bool {
        self.owner == FileOwner::User(user)
    }
}

/// Stores what is known of files.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait FileRepository: Send {
    async fn find(&mut self, id: FileId) -> Result<Option<File>, StoreError>;
    /// The files among `ids` that exist, in no particular order.
    async fn find_all(&mut self, ids: &[FileId]) -> Result<Vec<File>, StoreError>;
    async fn insert(&mut self, file: &File) -> Result<(), StoreError>;
    /// Deletes what is known of a file, unless a profile shows it; false then, and when there is none.
    async fn delete(&mut self, id: FileId) -> Result<bool, StoreError>;
}

/// The bytes could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the file store did not answer as it should")]
pub struct BlobError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Keeps the bytes of files. Keys are made by this product; a key is written once.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait BlobStore: Send + Sync {
    async fn put(&self, key: &str, bytes: Vec<u8>, mime_type: &str) -> Result<(), BlobError>;
    /// `None` when there is no such key.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BlobError>;
    async fn delete(&self, key: &str) -> Result<(), BlobError>;
}
