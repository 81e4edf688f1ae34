//! The ports of the messaging use cases: one object is one transaction.

use async_trait::async_trait;
use domain::StoreError;
use domain::audit::AuditRepository;
use domain::file::FileRepository;

use crate::conversation::ConversationRepository;
use crate::log::LogRepository;
use crate::message::{Appended, MessageRepository, NewMessage};
use crate::presence::PresenceRepository;

/// A unit of work. Conversations are locked in the order of their ids, the log last. Dropping it undoes everything.
#[async_trait]
pub trait ImUnit: Send {
    fn conversations(&mut self) -> &mut dyn ConversationRepository;
    fn messages(&mut self) -> &mut dyn MessageRepository;
    fn log(&mut self) -> &mut dyn LogRepository;
    fn presence(&mut self) -> &mut dyn PresenceRepository;
    fn files(&mut self) -> &mut dyn FileRepository;
    fn audit(&mut self) -> &mut dyn AuditRepository;
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Opens units of work.
#[async_trait]
pub trait ImStore: Send + Sync {
    /// Begins a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn ImUnit>, StoreError>;
    /// The same repositories for reading only; each call sees what is committed then. Never commit it.
    fn read(&self) -> Box<dyn ImUnit>;
    /// [`MessageRepository::append`] as a unit of its own, committed when it answers: the way most messages go.
    async fn append(&self, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError>;
}
