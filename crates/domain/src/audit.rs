//! The audit log: who did what to whom, kept apart from the things themselves.

use async_trait::async_trait;
use serde_json::Value;

use crate::id::AuditId;
use crate::page::{Page, PageRequest};
use crate::{StoreError, Timestamp};

/// One act worth keeping. Never holds phones, tokens or message text.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent {
    pub id: AuditId,
    /// [`crate::Actor::label`] of who acted.
    pub actor: String,
    /// Stable verb, e.g. `certification.approve`.
    pub action: &'static str,
    /// Kind and id of what it was done to, e.g. `doctor:5dae…`.
    pub subject: String,
    /// Why, where a reason is asked for, and other small facts.
    pub detail: Value,
    pub at: Timestamp,
}

/// A row of the audit log as read back.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditRecord {
    pub id: AuditId,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub detail: Value,
    pub at: Timestamp,
}

/// Which audit rows are asked for; unset fields do not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub actor: Option<String>,
    pub action: Option<String>,
    pub subject: Option<String>,
}

/// Appends to and reads the audit log.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AuditRepository: Send {
    async fn append_all(&mut self, events: &[AuditEvent]) -> Result<(), StoreError>;
    /// Newest first.
    async fn list(&mut self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditRecord>, StoreError>;
}
