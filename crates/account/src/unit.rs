//! The ports of the account use cases: one object is one transaction.

use async_trait::async_trait;
use domain::StoreError;
use domain::audit::AuditRepository;
use domain::doctor::DoctorRepository;
use domain::file::FileRepository;
use domain::outbox::OutboxRepository;
use domain::patient::PatientRepository;

use crate::agent::AgentRepository;
use crate::challenge::ChallengeRepository;
use crate::counter::CounterRepository;
use crate::idempotency::IdempotencyRepository;
use crate::session::SessionRepository;
use crate::user::UserRepository;

/// A unit of work. Rows are locked in the order guard → user, profile, agent → ledger; dropping it undoes everything.
#[async_trait]
pub trait AccountUnit: Send {
    fn users(&mut self) -> &mut dyn UserRepository;
    fn sessions(&mut self) -> &mut dyn SessionRepository;
    fn agents(&mut self) -> &mut dyn AgentRepository;
    fn challenges(&mut self) -> &mut dyn ChallengeRepository;
    fn counters(&mut self) -> &mut dyn CounterRepository;
    fn patients(&mut self) -> &mut dyn PatientRepository;
    fn doctors(&mut self) -> &mut dyn DoctorRepository;
    fn files(&mut self) -> &mut dyn FileRepository;
    fn audit(&mut self) -> &mut dyn AuditRepository;
    fn outbox(&mut self) -> &mut dyn OutboxRepository;
    fn idempotency(&mut self) -> &mut dyn IdempotencyRepository;
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Opens units of work.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Begins a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn AccountUnit>, StoreError>;
    /// The same repositories for reading only; each call sees what is committed then. Never commit it.
    fn read(&self) -> Box<dyn AccountUnit>;
}
