//! Tasks of the desk on the wire.

use consultation::desk_task::DeskTask;
use consultation::service::ListedTask;
use poem_openapi::Object;

use crate::http::values::{Id, Instant};
use crate::http::words::DeskTaskState;

/// A patient waits for a doctor whom no message reached.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct DeskTaskView {
    /// Id of the task.
    pub object_id: Id,
    /// The consultation nobody answers.
    pub consultation_id: Id,
    /// The doctor to be called; in lists only.
    pub doctor_id: Option<Id>,
    /// Name of the doctor; in lists only.
    pub doctor_name: Option<String>,
    /// The doctor's phone number with its middle hidden; in lists only.
    pub doctor_phone: Option<String>,
    /// The patient who waits; in lists only.
    pub patient_id: Option<Id>,
    /// Name of the patient; in lists only.
    pub patient_name: Option<String>,
    /// Whether it is still to be looked after.
    pub state: DeskTaskState,
    /// When it was made.
    pub created_at: Instant,
    /// When it was closed.
    pub closed_at: Option<Instant>,
    /// Who closed it, e.g. `agent:5dae…`; `system` when it settled itself.
    pub closed_by: Option<String>,
    /// What was done.
    pub note: Option<String>,
}

/// Closing a task.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloseDeskTaskRequest {
    /// What was done, e.g. "called the doctor".
    #[oai(validator(min_length = 1, max_length = 500))]
    pub note: String,
}

impl From<DeskTask> for DeskTaskView {
    fn from(task: DeskTask) -> Self {
        Self {
            object_id: task.id.into(),
            consultation_id: task.consultation_id.into(),
            doctor_id: None,
            doctor_name: None,
            doctor_phone: None,
            patient_id: None,
            patient_name: None,
            state: task.state.into(),
            created_at: Instant(task.created_at),
            closed_at: task.closed_at.map(Instant),
            closed_by: task.closed_by,
            note: task.note,
        }
    }
}

impl From<ListedTask> for DeskTaskView {
    fn from(ListedTask { task, doctor, patient }: ListedTask) -> Self {
        Self {
            doctor_id: doctor.as_ref().map(|doctor| doctor.id.into()),
            doctor_phone: doctor.as_ref().and_then(|doctor| doctor.phone.as_ref()).map(domain::Phone::masked),
            doctor_name: doctor.and_then(|doctor| doctor.name),
            patient_id: patient.as_ref().map(|patient| patient.id.into()),
            patient_name: patient.and_then(|patient| patient.name),
            ..task.into()
        }
    }
}
