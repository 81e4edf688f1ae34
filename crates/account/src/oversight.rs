//! What administrators look at and act on: the audit log, and jobs that workers gave up.

use std::sync::Arc;

use async_trait::async_trait;
use domain::audit::{AuditEvent, AuditFilter, AuditRecord, AuditRepository};
use domain::id::{AuditId, IdSource, JobId};
use domain::outbox::{DeadLetterRepository, JobQueue, JobRecord, JobSignal, JobState};
use domain::page::{Page, PageRequest};
use domain::{Actor, Clock, Coded, ErrorKind, FieldError, StoreError, text};
use serde_json::json;

use domain::actor::AccessError;

/// Most characters of the reason for putting a job aside.
pub const MAX_REASON_CHARS: usize = 500;

/// A unit of work over the audit log and the dead letters. Dropping it undoes everything.
#[async_trait]
pub trait OversightUnit: Send {
    fn audit(&mut self) -> &mut dyn AuditRepository;
    fn dead_letters(&mut self) -> &mut dyn DeadLetterRepository;
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Opens units of work.
#[async_trait]
pub trait OversightStore: Send + Sync {
    /// Begins a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn OversightUnit>, StoreError>;
    /// The same repositories for reading only. Never commit it.
    fn read(&self) -> Box<dyn OversightUnit>;
}

#[derive(Debug, thiserror::Error)]
pub enum OversightError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("some fields are not as they should be")]
    Invalid(Vec<FieldError>),
    #[error("job {0} was not found among the dead letters")]
    JobNotFound(JobId),
    #[error("the database did not answer as it should")]
    Store(#[from] StoreError),
}

impl From<FieldError> for OversightError {
    fn from(fault: FieldError) -> Self {
        Self::Invalid(vec![fault])
    }
}

impl Coded for OversightError {
    fn code(&self) -> &'static str {
        match self {
            Self::Access(e) => e.code(),
            Self::Invalid(_) => "request.invalid",
            Self::JobNotFound(_) => "job.not_found",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Access(e) => e.kind(),
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::JobNotFound(_) => ErrorKind::NotFound,
            Self::Store(e) => e.kind(),
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::Invalid(faults) => faults.clone(),
            _ => Vec::new(),
        }
    }
}

/// Use cases of oversight.
#[derive(Clone)]
pub struct Oversight {
    pub store: Arc<dyn OversightStore>,
    pub queue: Arc<dyn JobQueue>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub signal: Arc<dyn JobSignal>,
}

impl Oversight {
    /// A page of the audit log, newest first.
    ///
    /// # Errors
    /// [`OversightError::Access`] for anybody but administrators.
    pub async fn audit_log(
        &self,
        actor: &Actor,
        filter: &AuditFilter,
        page: PageRequest,
    ) -> Result<Page<AuditRecord>, OversightError> {
        actor.require_admin()?;
        Ok(self.store.read().audit().list(filter, page).await?)
    }

    /// A page of jobs in one state, newest first.
    ///
    /// # Errors
    /// [`OversightError::Access`] for anybody but administrators.
    pub async fn jobs(
        &self,
        actor: &Actor,
        state: JobState,
        page: PageRequest,
    ) -> Result<Page<JobRecord>, OversightError> {
        actor.require_admin()?;
        Ok(self.queue.list(state, page).await?)
    }

    /// Gives a dead job fresh tries.
    ///
    /// # Errors
    /// [`OversightError::JobNotFound`] when it is not a dead letter.
    pub async fn retry_job(&self, actor: &Actor, id: JobId) -> Result<JobRecord, OversightError> {
        actor.require_admin()?;
        let mut unit = self.store.begin().await?;
        if !unit.dead_letters().retry(id, self.clock.now()).await? {
            return Err(OversightError::JobNotFound(id));
        }
        self.finish(unit, actor, "job.retry", id, None).await
    }

    /// Puts a dead job aside for good, with a reason that is kept.
    ///
    /// # Errors
    /// [`OversightError::JobNotFound`] when it is not a dead letter; a missing reason is named.
    pub async fn discard_job(&self, actor: &Actor, id: JobId, reason: &str) -> Result<JobRecord, OversightError> {
        actor.require_admin()?;
        let reason = text::required("reason", reason, MAX_REASON_CHARS)?;
        let mut unit = self.store.begin().await?;
        if !unit.dead_letters().discard(id, self.clock.now()).await? {
            return Err(OversightError::JobNotFound(id));
        }
        self.finish(unit, actor, "job.discard", id, Some(reason)).await
    }

    async fn finish(
        &self,
        mut unit: Box<dyn OversightUnit>,
        actor: &Actor,
        action: &'static str,
        id: JobId,
        reason: Option<String>,
    ) -> Result<JobRecord, OversightError> {
        let event = AuditEvent {
            id: AuditId(self.ids.next()),
            actor: actor.label(),
            action,
            subject: format!("job:{id}"),
            detail: json!({ "reason": reason }),
            at: self.clock.now(),
        };
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        self.signal.wake();
        self.queue.find(id).await?.ok_or(OversightError::JobNotFound(id))
    }
}
