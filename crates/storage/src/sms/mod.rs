//! Text messages.

mod attempt;
mod breaker;
mod message;
mod receipt;
mod spending;

use ::sms::breaker::BreakerRepository;
use ::sms::budget::SpendRepository;
use ::sms::message::MessageRepository;
use ::sms::receipt::ReceiptRepository;
use ::sms::{SmsStore, SmsUnit};
use async_trait::async_trait;
use domain::StoreError;
use domain::audit::AuditRepository;
use domain::outbox::OutboxRepository;

use crate::store::{SeaStore, SeaUnit};

#[async_trait]
impl SmsUnit for SeaUnit {
    fn messages(&mut self) -> &mut dyn MessageRepository {
        self
    }
    fn breakers(&mut self) -> &mut dyn BreakerRepository {
        self
    }
    fn spending(&mut self) -> &mut dyn SpendRepository {
        self
    }
    fn receipts(&mut self) -> &mut dyn ReceiptRepository {
        self
    }
    fn audit(&mut self) -> &mut dyn AuditRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn OutboxRepository {
        self
    }
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.finish().await
    }
}

#[async_trait]
impl SmsStore for SeaStore {
    async fn begin(&self) -> Result<Box<dyn SmsUnit>, StoreError> {
        Ok(Box::new(self.unit().await?))
    }

    fn read(&self) -> Box<dyn SmsUnit> {
        Box::new(self.reading())
    }
}
