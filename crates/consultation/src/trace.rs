//! What new consultations leave behind beside themselves.

use async_trait::async_trait;
use domain::StoreError;
use domain::audit::AuditEvent;
use domain::outbox::NewJob;
use im::{Conversation, Member, Message};

use crate::consultation::ConsultationEvent;
use crate::notification::Notification;

/// New rows of many tables. Nobody else can know of them yet, so nothing has to be locked or looked up to write them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traces {
    /// As new as their `messages` make them; see [`Conversation::append`].
    pub conversations: Vec<Conversation>,
    pub members: Vec<Member>,
    pub messages: Vec<Message>,
    pub events: Vec<ConsultationEvent>,
    pub notifications: Vec<Notification>,
    pub jobs: Vec<NewJob>,
    pub audits: Vec<AuditEvent>,
}

/// Stores traces.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait TraceRepository: Send {
    /// Writes all rows, in as few steps as the store can.
    async fn insert(&mut self, traces: &Traces) -> Result<(), StoreError>;
}
