//! The unit and the store of messaging.

use ::im::log::LogRepository;
use ::im::presence::PresenceRepository;
use ::im::{Appended, ConversationRepository, ImStore, ImUnit, MessageRepository, NewMessage};
use async_trait::async_trait;
use domain::StoreError;
use domain::audit::AuditRepository;
use domain::file::FileRepository;

use super::append;
use crate::backend::Backend;
use crate::store::{SeaStore, SeaUnit};

#[async_trait]
impl ImUnit for SeaUnit {
    fn conversations(&mut self) -> &mut dyn ConversationRepository {
        self
    }
    fn messages(&mut self) -> &mut dyn MessageRepository {
        self
    }
    fn log(&mut self) -> &mut dyn LogRepository {
        self
    }
    fn presence(&mut self) -> &mut dyn PresenceRepository {
        self
    }
    fn files(&mut self) -> &mut dyn FileRepository {
        self
    }
    fn audit(&mut self) -> &mut dyn AuditRepository {
        self
    }
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.finish().await
    }
}

#[async_trait]
impl ImStore for SeaStore {
    async fn begin(&self) -> Result<Box<dyn ImUnit>, StoreError> {
        Ok(Box::new(self.unit().await?))
    }

    fn read(&self) -> Box<dyn ImUnit> {
        Box::new(self.reading())
    }

    async fn append(&self, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError> {
        // One statement is a transaction by itself.
        if self.backend() == Backend::Postgres {
            return append::append(&self.at_once(), messages).await;
        }
        let unit = self.unit().await?;
        let appended = append::append(&unit, messages).await?;
        unit.finish().await?;
        Ok(appended)
    }
}
