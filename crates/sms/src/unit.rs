//! The ports of the use cases: one object is one transaction.

use async_trait::async_trait;
use domain::StoreError;
use domain::audit::AuditRepository;
use domain::outbox::OutboxRepository;

use crate::breaker::BreakerRepository;
use crate::budget::SpendRepository;
use crate::message::MessageRepository;
use crate::receipt::ReceiptRepository;

/// A unit of work. Rows are locked in the order receipt → message → breaker → spending; dropping it undoes everything.
#[async_trait]
pub trait SmsUnit: Send {
    fn messages(&mut self) -> &mut dyn MessageRepository;
    fn breakers(&mut self) -> &mut dyn BreakerRepository;
    fn spending(&mut self) -> &mut dyn SpendRepository;
    fn receipts(&mut self) -> &mut dyn ReceiptRepository;
    fn audit(&mut self) -> &mut dyn AuditRepository;
    fn outbox(&mut self) -> &mut dyn OutboxRepository;
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Opens units of work.
#[async_trait]
pub trait SmsStore: Send + Sync {
    /// Begins a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn SmsUnit>, StoreError>;
    /// The same repositories for reading only; each call sees what is committed then. Never commit it.
    fn read(&self) -> Box<dyn SmsUnit>;
}
