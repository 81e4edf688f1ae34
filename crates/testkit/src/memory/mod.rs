//! A store in memory that behaves like a database: units run one after another on a copy of the rows, a commit
//! swaps the copy in, a dropped unit leaves no trace.
//!
//! It is as strict as the strictest database. A unit that broke a unique rule answers nothing but errors from
//! then on and cannot commit (PostgreSQL aborts such transactions), and nothing is written through
//! [`ConsultationStore::read`].

mod audit;
mod consultation;
mod conversation;
mod desk;
mod desk_task;
mod doctor;
mod file;
mod invitation;
mod log;
mod message;
mod notification;
mod outbox;
mod patient;
mod presence;
mod queue;
mod relation;
mod tables;
mod trace;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::consultation::consultation::ConsultationRepository;
use ::consultation::desk_task::DeskTaskRepository;
use ::consultation::notification::NotificationRepository;
use ::consultation::relation::{InvitationRepository, RelationRepository};
use ::consultation::trace::TraceRepository;
use ::consultation::{ConsultationStore, ConsultationUnit};
use async_trait::async_trait;
use domain::StoreError;
use domain::audit::AuditRepository;
use domain::doctor::DoctorRepository;
use domain::file::FileRepository;
use domain::outbox::OutboxRepository;
use domain::patient::PatientRepository;
use im::log::LogRepository;
use im::presence::PresenceRepository;
use im::{Appended, ConversationRepository, ImStore, ImUnit, MessageRepository, NewMessage};
use tokio::sync::OwnedMutexGuard;

pub use desk::{ChatRow, DeskTables};
pub use tables::{JobRow, ScheduleRow, Tables};

/// The rows of one test. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    turn: Arc<tokio::sync::Mutex<()>>,
    committed: Mutex<Arc<Tables>>,
}

impl Shared {
    fn committed(&self) -> MutexGuard<'_, Arc<Tables>> {
        self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the fake refused.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Refusal {
    #[error("a unit that broke a unique rule can do nothing more")]
    Broken,
    #[error("the reading road does not write")]
    ReadOnly,
}

impl MemoryStore {
    /// Begins a unit that may write, once all earlier ones are over.
    pub async fn unit(&self) -> MemoryUnit {
        let turn = self.shared.turn.clone().lock_owned().await;
        let tables = self.shared.committed().clone();
        MemoryUnit(Road::Transaction { shared: self.shared.clone(), tables, is_broken: false, _turn: turn })
    }

    /// The repositories for reading only; each call sees what is committed then.
    pub fn reading(&self) -> MemoryUnit {
        MemoryUnit(Road::Reading(self.shared.clone()))
    }

    /// Everything committed so far, to be looked at by tests.
    pub fn committed(&self) -> Arc<Tables> {
        self.shared.committed().clone()
    }

    /// One unit around one change.
    async fn alone<T>(&self, change: impl FnOnce(&mut Tables) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut unit = self.unit().await;
        let done = unit.write(change)?;
        unit.finish()?;
        Ok(done)
    }
}

/// Every repository over one transaction, or over what is committed.
pub struct MemoryUnit(Road);

enum Road {
    Transaction { shared: Arc<Shared>, tables: Arc<Tables>, is_broken: bool, _turn: OwnedMutexGuard<()> },
    Reading(Arc<Shared>),
}

impl MemoryUnit {
    /// The rows as this unit sees them.
    fn tables(&self) -> Result<Arc<Tables>, StoreError> {
        match &self.0 {
            Road::Transaction { is_broken: true, .. } => Err(StoreError::backend(Refusal::Broken)),
            Road::Transaction { tables, .. } => Ok(tables.clone()),
            Road::Reading(shared) => Ok(shared.committed().clone()),
        }
    }

    /// Changes the rows of this unit. A change that returns [`StoreError::Conflict`] must not have touched them.
    fn write<T>(&mut self, change: impl FnOnce(&mut Tables) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &mut self.0 {
            Road::Transaction { is_broken: true, .. } => Err(StoreError::backend(Refusal::Broken)),
            Road::Transaction { tables, is_broken, .. } => {
                let done = change(Arc::make_mut(tables));
                *is_broken = matches!(done, Err(StoreError::Unique(_)));
                done
            }
            Road::Reading(_) => Err(StoreError::backend(Refusal::ReadOnly)),
        }
    }

    /// Ends the transaction, keeping everything.
    ///
    /// # Errors
    /// [`StoreError::Backend`] for a unit that broke a unique rule.
    pub fn finish(self) -> Result<(), StoreError> {
        match self.0 {
            Road::Transaction { is_broken: true, .. } => Err(StoreError::backend(Refusal::Broken)),
            Road::Transaction { shared, tables, .. } => {
                *shared.committed() = tables;
                Ok(())
            }
            Road::Reading(_) => Ok(()),
        }
    }
}

#[async_trait]
impl ConsultationUnit for MemoryUnit {
    fn doctors(&mut self) -> &mut dyn DoctorRepository {
        self
    }
    fn patients(&mut self) -> &mut dyn PatientRepository {
        self
    }
    fn files(&mut self) -> &mut dyn FileRepository {
        self
    }
    fn relations(&mut self) -> &mut dyn RelationRepository {
        self
    }
    fn invitations(&mut self) -> &mut dyn InvitationRepository {
        self
    }
    fn consultations(&mut self) -> &mut dyn ConsultationRepository {
        self
    }
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
    fn notifications(&mut self) -> &mut dyn NotificationRepository {
        self
    }
    fn desk_tasks(&mut self) -> &mut dyn DeskTaskRepository {
        self
    }
    fn audit(&mut self) -> &mut dyn AuditRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn OutboxRepository {
        self
    }
    fn traces(&mut self) -> &mut dyn TraceRepository {
        self
    }
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.finish()
    }
}

#[async_trait]
impl ConsultationStore for MemoryStore {
    async fn begin(&self) -> Result<Box<dyn ConsultationUnit>, StoreError> {
        Ok(Box::new(self.unit().await))
    }

    fn read(&self) -> Box<dyn ConsultationUnit> {
        Box::new(self.reading())
    }
}

#[async_trait]
impl ImUnit for MemoryUnit {
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
        self.finish()
    }
}

#[async_trait]
impl ImStore for MemoryStore {
    async fn begin(&self) -> Result<Box<dyn ImUnit>, StoreError> {
        Ok(Box::new(self.unit().await))
    }

    fn read(&self) -> Box<dyn ImUnit> {
        Box::new(self.reading())
    }

    async fn append(&self, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError> {
        let mut unit = self.unit().await;
        let appended = MessageRepository::append(&mut unit, messages).await?;
        unit.finish()?;
        Ok(appended)
    }
}
