//! Escalation: a doctor who was told of a patient, and has neither read nor answered, is told again by text message,
//! once for each time the patient waits. When that does not help either, the desk gets a task. What counts are the
//! messages of the dialog and how far the doctor has read.
//!
//! "Told" is a notification that was sent, so the time outside of office hours, when notifications wait, does not
//! count; whether the text message may leave now is decided like that of any notification.

use std::time::Duration;

use domain::Timestamp;
use domain::id::{ConsultationId, DeskTaskId};
use domain::time::span;

use super::context::Context;
use super::notify;
use crate::desk_task::DeskTask;
use crate::error::ConsultationError;
use crate::notification::{Cause, Side};

/// Consultations looked at by one run; the next one takes the rest.
const MAX_BATCH: u32 = 200;
/// Who was told longer ago than this, say before an outage, is not reminded any more.
const TOLD_WITHIN: Duration = span::hours(24);

/// Reminds doctors of patients who wait.
#[derive(Clone)]
pub struct Escalations {
    context: Context,
}

impl Escalations {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Escalates what is due; answers how many consultations that were.
    ///
    /// # Errors
    /// [`ConsultationError::Store`] when the database does not answer.
    pub async fn run(&self) -> Result<u64, ConsultationError> {
        let mut escalated = 0;
        let (after, before) = self.told();
        let due = self.context.store.read().notifications().find_unanswered(None, after, before, MAX_BATCH).await?;
        for id in due {
            escalated += u64::from(self.escalate(id).await?);
        }
        self.ask_the_desk().await?;
        Ok(escalated)
    }

    /// Makes tasks of those whose doctor did not answer the text message either, and closes those that settled.
    async fn ask_the_desk(&self) -> Result<(), ConsultationError> {
        let now = self.context.clock.now();
        let (after, before) = self.told();
        let due = self.context.store.read().desk_tasks().find_unattended(None, after, before, MAX_BATCH).await?;
        for id in due {
            let mut unit = self.context.store.begin().await?;
            let Some(consultation) = unit.consultations().find(id).await? else { continue };
            unit.relations().find_locked(consultation.relation_id).await?;
            if unit.desk_tasks().find_unattended(Some(id), after, before, 1).await?.is_empty() {
                continue;
            }
            let task = DeskTask::open(DeskTaskId(self.context.ids.next()), id, now);
            unit.desk_tasks().insert(&task).await?;
            unit.commit().await?;
            tracing::warn!(consultation.id = %id, desk_task.id = %task.id, "a doctor does not answer; the desk is asked");
        }
        let mut unit = self.context.store.begin().await?;
        if unit.desk_tasks().close_settled(now).await? > 0 {
            unit.commit().await?;
        }
        Ok(())
    }

    /// Who was told between these two times should have answered by now.
    fn told(&self) -> (Timestamp, Timestamp) {
        let before = self.context.clock.now() - self.context.policy.escalate_after;
        (before - TOLD_WITHIN, before)
    }

    /// Plans the text message, unless another worker or the doctor was faster.
    async fn escalate(&self, id: ConsultationId) -> Result<bool, ConsultationError> {
        let mut unit = self.context.store.begin().await?;
        let Some(consultation) = unit.consultations().find(id).await? else { return Ok(false) };
        unit.relations().find_locked(consultation.relation_id).await?;
        let (after, before) = self.told();
        let still = unit.notifications().find_unanswered(Some(id), after, before, 1).await?;
        if still.is_empty() {
            return Ok(false);
        }
        let doctor = Side::Doctor.of(consultation.pair);
        notify::plan(&self.context, &mut *unit, Some(&consultation), doctor, Cause::Escalation).await?;
        unit.commit().await?;
        self.context.signal.wake();
        Ok(true)
    }
}
