//! Tasks of the desk on the wire.

use consultation::desk_task::DeskTask;
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
            state: task.state.into(),
            created_at: Instant(task.created_at),
            closed_at: task.closed_at.map(Instant),
            closed_by: task.closed_by,
            note: task.note,
        }
    }
}
