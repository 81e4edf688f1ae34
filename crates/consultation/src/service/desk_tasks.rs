//! What the desk is asked to look after, and closing it.

use domain::doctor::Doctor;
use domain::id::{ConsultationId, DeskTaskId, DoctorId, PatientId};
use domain::page::{Page, PageRequest};
use domain::patient::Patient;
use domain::{Actor, text};
use serde_json::json;

use super::context::Context;
use crate::desk_task::{DeskTask, DeskTaskState};
use crate::error::ConsultationError;

/// Longest note on what was done.
const MAX_NOTE_CHARS: usize = 500;

/// A task with whom it is about: the doctor to be called, and the patient who waits.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedTask {
    pub task: DeskTask,
    pub doctor: Option<Doctor>,
    pub patient: Option<Patient>,
}

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
    ) -> Result<Page<ListedTask>, ConsultationError> {
        actor.require(actor.staff().is_some())?;
        let mut unit = self.context.store.read();
        let found = unit.desk_tasks().list(state, page).await?;
        let ids: Vec<ConsultationId> = found.items.iter().map(|task| task.consultation_id).collect();
        let consultations = unit.consultations().find_all(&ids).await?;
        let doctors: Vec<DoctorId> = consultations.iter().map(|one| one.pair.doctor).collect();
        let patients: Vec<PatientId> = consultations.iter().map(|one| one.pair.patient).collect();
        let doctors = unit.doctors().find_all(&doctors).await?;
        let patients = unit.patients().find_all(&patients).await?;
        Ok(found.map(|task| {
            let pair = consultations.iter().find(|one| one.id == task.consultation_id).map(|one| one.pair);
            let doctor = pair.and_then(|pair| doctors.iter().find(|doctor| doctor.id == pair.doctor).cloned());
            let patient = pair.and_then(|pair| patients.iter().find(|patient| patient.id == pair.patient).cloned());
            ListedTask { task, doctor, patient }
        }))
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
