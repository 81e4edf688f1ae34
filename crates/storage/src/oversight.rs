//! The unit of the audit log and the dead letters.

use account::oversight::{OversightStore, OversightUnit};
use async_trait::async_trait;
use domain::StoreError;
use domain::audit::AuditRepository;
use domain::outbox::DeadLetterRepository;

use crate::store::{SeaStore, SeaUnit};

#[async_trait]
impl OversightUnit for SeaUnit {
    fn audit(&mut self) -> &mut dyn AuditRepository {
        self
    }
    fn dead_letters(&mut self) -> &mut dyn DeadLetterRepository {
        self
    }
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.finish().await
    }
}

#[async_trait]
impl OversightStore for SeaStore {
    async fn begin(&self) -> Result<Box<dyn OversightUnit>, StoreError> {
        Ok(Box::new(self.unit().await?))
    }

    fn read(&self) -> Box<dyn OversightUnit> {
        Box::new(self.reading())
    }
}
