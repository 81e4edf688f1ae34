//! The unit and the store of the desk.

use ::im::ImUnit;
use ::im::desk::ports::{
    AssistantRepository, CannedReplyRepository, ChatRepository, DeskAgentRepository, DraftRepository, EntryRepository,
    EpisodeRepository,
};
use ::im::desk::{DeskStore, DeskUnit};
use async_trait::async_trait;
use domain::StoreError;
use domain::doctor::DoctorRepository;
use domain::outbox::OutboxRepository;
use domain::patient::PatientRepository;

use crate::store::{SeaStore, SeaUnit};

#[async_trait]
impl DeskUnit for SeaUnit {
    fn im(&mut self) -> &mut dyn ImUnit {
        self
    }
    fn assistants(&mut self) -> &mut dyn AssistantRepository {
        self
    }
    fn chats(&mut self) -> &mut dyn ChatRepository {
        self
    }
    fn agents(&mut self) -> &mut dyn DeskAgentRepository {
        self
    }
    fn episodes(&mut self) -> &mut dyn EpisodeRepository {
        self
    }
    fn entries(&mut self) -> &mut dyn EntryRepository {
        self
    }
    fn canned_replies(&mut self) -> &mut dyn CannedReplyRepository {
        self
    }
    fn drafts(&mut self) -> &mut dyn DraftRepository {
        self
    }
    fn patients(&mut self) -> &mut dyn PatientRepository {
        self
    }
    fn doctors(&mut self) -> &mut dyn DoctorRepository {
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
impl DeskStore for SeaStore {
    async fn begin(&self) -> Result<Box<dyn DeskUnit>, StoreError> {
        Ok(Box::new(self.unit().await?))
    }

    fn read(&self) -> Box<dyn DeskUnit> {
        Box::new(self.reading())
    }
}
