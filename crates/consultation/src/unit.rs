//! The ports of the consultation use cases: one object is one transaction.

use async_trait::async_trait;
use domain::StoreError;
use domain::audit::AuditRepository;
use domain::doctor::DoctorRepository;
use domain::file::FileRepository;
use domain::outbox::OutboxRepository;
use domain::patient::PatientRepository;
use im::log::LogRepository;
use im::presence::PresenceRepository;
use im::{ConversationRepository, MessageRepository};

use crate::consultation::ConsultationRepository;
use crate::desk_task::DeskTaskRepository;
use crate::notification::NotificationRepository;
use crate::relation::{InvitationRepository, RelationRepository};
use crate::trace::TraceRepository;

/// A unit of work. Rows are locked in the order doctor → relation → consultation → conversation → log.
/// Dropping it undoes everything.
#[async_trait]
pub trait ConsultationUnit: Send {
    fn doctors(&mut self) -> &mut dyn DoctorRepository;
    fn patients(&mut self) -> &mut dyn PatientRepository;
    fn files(&mut self) -> &mut dyn FileRepository;
    fn relations(&mut self) -> &mut dyn RelationRepository;
    fn invitations(&mut self) -> &mut dyn InvitationRepository;
    fn consultations(&mut self) -> &mut dyn ConsultationRepository;
    fn conversations(&mut self) -> &mut dyn ConversationRepository;
    fn messages(&mut self) -> &mut dyn MessageRepository;
    fn log(&mut self) -> &mut dyn LogRepository;
    fn presence(&mut self) -> &mut dyn PresenceRepository;
    fn notifications(&mut self) -> &mut dyn NotificationRepository;
    fn desk_tasks(&mut self) -> &mut dyn DeskTaskRepository;
    fn audit(&mut self) -> &mut dyn AuditRepository;
    fn outbox(&mut self) -> &mut dyn OutboxRepository;
    fn traces(&mut self) -> &mut dyn TraceRepository;
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Opens units of work.
#[async_trait]
pub trait ConsultationStore: Send + Sync {
    /// Begins a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn ConsultationUnit>, StoreError>;
    /// The same repositories for reading only; each call sees what is committed then. Never commit it.
    fn read(&self) -> Box<dyn ConsultationUnit>;
}
