//! What the desk is asked to look after: the last step of an escalation, when nothing that was sent made the doctor answer.

use async_trait::async_trait;
use domain::id::{ConsultationId, DeskTaskId};
use domain::page::{Page, PageRequest};
use domain::{StoreError, Timestamp};

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeskTaskState {
    Open,
    /// Somebody looked after it, or it settled itself.
    Closed,
}

impl DeskTaskState {
    pub const ALL: [Self; 2] = [Self::Open, Self::Closed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A patient waits for a doctor whom no message reached: somebody has to call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeskTask {
    pub id: DeskTaskId,
    pub consultation_id: ConsultationId,
    pub state: DeskTaskState,
    pub created_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    /// The label of whoever closed it; `system` when the doctor answered or the consultation ended.
    pub closed_by: Option<String>,
    /// What was done.
    pub note: Option<String>,
}

impl DeskTask {
    pub const fn open(id: DeskTaskId, consultation_id: ConsultationId, now: Timestamp) -> Self {
        let state = DeskTaskState::Open;
        Self { id, consultation_id, state, created_at: now, closed_at: None, closed_by: None, note: None }
    }
}

/// Stores tasks.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait DeskTaskRepository: Send {
    async fn insert(&mut self, task: &DeskTask) -> Result<(), StoreError>;
    async fn find_locked(&mut self, id: DeskTaskId) -> Result<Option<DeskTask>, StoreError>;
    async fn update(&mut self, task: &DeskTask) -> Result<(), StoreError>;
    /// Newest first.
    async fn list(&mut self, state: DeskTaskState, page: PageRequest) -> Result<Page<DeskTask>, StoreError>;
    /// Open consultations whose doctor was escalated to between the two times, has not answered since, and for which
    /// no task was made since; only `only` where it is set. At most `limit`.
    async fn find_unattended(
        &mut self,
        only: Option<ConsultationId>,
        escalated_after: Timestamp,
        escalated_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ConsultationId>, StoreError>;
    /// Closes the open tasks of consultations that ended or whose doctor answered; returns how many.
    async fn close_settled(&mut self, now: Timestamp) -> Result<u64, StoreError>;
}
