//! The rows of accounts: users and their identities, sessions, staff, SMS codes, counters, idempotency keys.

mod agent;
mod challenge;
mod counter;
mod idempotency;
mod session;
pub(crate) mod user;

use ::account::agent::AgentRepository;
use ::account::challenge::ChallengeRepository;
use ::account::counter::CounterRepository;
use ::account::idempotency::IdempotencyRepository;
use ::account::session::SessionRepository;
use ::account::user::UserRepository;
use ::account::{AccountStore, AccountUnit};
use async_trait::async_trait;
use domain::StoreError;
use domain::audit::AuditRepository;
use domain::doctor::DoctorRepository;
use domain::file::FileRepository;
use domain::outbox::OutboxRepository;
use domain::patient::PatientRepository;

use crate::store::{SeaStore, SeaUnit};

#[async_trait]
impl AccountUnit for SeaUnit {
    fn users(&mut self) -> &mut dyn UserRepository {
        self
    }
    fn sessions(&mut self) -> &mut dyn SessionRepository {
        self
    }
    fn agents(&mut self) -> &mut dyn AgentRepository {
        self
    }
    fn challenges(&mut self) -> &mut dyn ChallengeRepository {
        self
    }
    fn counters(&mut self) -> &mut dyn CounterRepository {
        self
    }
    fn patients(&mut self) -> &mut dyn PatientRepository {
        self
    }
    fn doctors(&mut self) -> &mut dyn DoctorRepository {
        self
    }
    fn files(&mut self) -> &mut dyn FileRepository {
        self
    }
    fn audit(&mut self) -> &mut dyn AuditRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn OutboxRepository {
        self
    }
    fn idempotency(&mut self) -> &mut dyn IdempotencyRepository {
        self
    }
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.finish().await
    }
}

#[async_trait]
impl AccountStore for SeaStore {
    async fn begin(&self) -> Result<Box<dyn AccountUnit>, StoreError> {
        Ok(Box::new(self.unit().await?))
    }

    fn read(&self) -> Box<dyn AccountUnit> {
        Box::new(self.reading())
    }
}
