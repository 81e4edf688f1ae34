//! What every messaging use case is given.

use std::sync::Arc;

use domain::actor::AccessError;
use domain::audit::AuditEvent;
use domain::id::{AuditId, ConversationId, IdSource};
use domain::{Actor, Clock, StoreError};
use serde_json::Value;

use super::access::client_ids_of;
use crate::conversation::{Conversation, Member};
use crate::desk;
use crate::error::ImError;
use crate::log::LogListener;
use crate::owner::ConversationOwner;
use crate::policy::ImPolicy;
use crate::unit::{ImStore, ImUnit};

/// Shared by all messaging use cases; cheap to clone.
#[derive(Clone)]
pub struct ImContext {
    pub store: Arc<dyn ImStore>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    /// Told of every commit.
    pub log: Arc<dyn LogListener>,
    /// Asked about messages of conversations that belong to something.
    pub owner: Arc<dyn ConversationOwner>,
    pub policy: Arc<ImPolicy>,
}

impl ImContext {
    /// A row of the audit log for something done now.
    pub(super) fn audit(&self, actor: &Actor, action: &'static str, subject: String, detail: Value) -> AuditEvent {
        AuditEvent { id: AuditId(self.ids.next()), actor: actor.label(), action, subject, detail, at: self.clock.now() }
    }
}

/// The client ids a caller speaks as: a person may be a patient, a doctor, or both.
///
/// # Errors
/// [`AccessError`] for callers who are neither.
pub fn client_ids(actor: &Actor) -> Result<Vec<String>, AccessError> {
    let ids = client_ids_of(actor);
    actor.require(!ids.is_empty())?;
    Ok(ids)
}

/// The client ids under which a caller hears of things: a person's own; members of staff hear what concerns themselves
/// and whatever concerns the assistant, in whose name the desk speaks. What a person is counted by comes first.
///
/// # Errors
/// [`AccessError`] for callers nothing concerns.
pub fn listener_ids(actor: &Actor, policy: &ImPolicy) -> Result<Vec<String>, AccessError> {
    match actor.staff() {
        Some(agent) => Ok(vec![desk::agent::client_id(agent), policy.assistant.to_string()]),
        None => client_ids(actor),
    }
}

/// A conversation as one of its members sees it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seat {
    pub(super) conversation: Conversation,
    /// Everybody in it, the caller among them.
    pub(super) members: Vec<Member>,
    /// The caller.
    pub(super) member: Member,
}

/// Finds the caller's place in a conversation.
///
/// # Errors
/// [`ImError::ConversationNotFound`] also when the caller is not in it.
pub(super) async fn seat(unit: &mut dyn ImUnit, client_ids: &[String], id: ConversationId) -> Result<Seat, ImError> {
    let conversation = unit.conversations().find(id).await?.ok_or(ImError::ConversationNotFound)?;
    let members = unit.conversations().members(id).await?;
    let member = members.iter().find(|m| client_ids.contains(&m.client_id)).cloned();
    let member = member.ok_or(ImError::ConversationNotFound)?;
    Ok(Seat { conversation, members, member })
}

/// Whether the store was busy rather than broken: the same unit may succeed when run again.
pub(super) const fn is_passing(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict | StoreError::Unique(_))
}
