//! What the desk is asked to look after, and closing it.

use domain::id::DeskTaskId;
use domain::page::{Page, PageRequest};
use domain::{Actor, text};
use serde_json::json;

use super::context::Context;
use crate::desk_task::{DeskTask, DeskTaskState};
use crate::error::ConsultationError;

/// Longest note on what was done.
const MAX_NOTE_CHARS: usize = 500;

/// Use cases on tasks, for agents and administrators.
#[derive(Clone)]
pub struct DeskTasks {
    context: Context,
}

impl DeskTasks {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Tasks of one state, newest first.
    ///
    /// # Errors
    /// [`ConsultationError::Access`] for anybody but agents and administrators.
    pub async fn list(
        &self,
        actor: &Actor,
        state: DeskTaskState,
        page: PageRequest,
    ) -> Result<Page<DeskTask>, ConsultationError> {
        actor.require(actor.staff().is_some())?;
        Ok(self.context.store.read().desk_tasks().list(state, page).await?)
    }

    /// Closes a task with what was done; audited.
    ///
    /// # Errors
    /// [`ConsultationError::Access`], [`ConsultationError::TaskNotFound`], [`ConsultationError::TaskClosed`].
    pub async fn close(&self, actor: &Actor, id: DeskTaskId, note: &str) -> Result<DeskTask, ConsultationError> {
        actor.require(actor.staff().is_some())?;
        let note = text::required("note", note, MAX_NOTE_CHARS)?;
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        let mut task = unit.desk_tasks().find_locked(id).await?.ok_or(ConsultationError::TaskNotFound(id))?;
        if task.state == DeskTaskState::Closed {
            return Err(ConsultationError::TaskClosed);
        }
        task.state = DeskTaskState::Closed;
        (task.closed_at, task.closed_by, task.note) = (Some(now), Some(actor.label()), Some(note.clone()));
        unit.desk_tasks().update(&task).await?;
        let detail = json!({ "consultationId": task.consultation_id, "note": note });
        let event = self.context.audit(actor, "desk_task.close", format!("desk_task:{id}"), detail);
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        Ok(task)
    }
}
