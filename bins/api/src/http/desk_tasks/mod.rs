//! What the desk is asked to look after: patients whose doctor no message reached.

pub mod dto;

use domain::id::DeskTaskId;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use self::dto::{CloseDeskTaskRequest, DeskTaskView};
use crate::http::Area;
use crate::http::body::Body;
use crate::http::caller::{By, Staff};
use crate::http::page::{PageOf, page_request};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;
use crate::http::words::DeskTaskState;

/// Operations on tasks of the desk.
pub struct DeskTasksApi;

#[OpenApi(tag = "Area::Admin")]
impl DeskTasksApi {
    /// List tasks of the desk
    ///
    /// A task is made when a doctor was told of a waiting patient, reminded by text message, and still has not
    /// answered. Newest first. For agents and administrators.
    #[oai(path = "/desk/tasks", method = "get", operation_id = "list_desk_tasks")]
    async fn list_desk_tasks(
        &self,
        app: App,
        caller: By<Staff>,
        /// State of the tasks, `open` unless said.
        state: Query<Option<DeskTaskState>>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<DeskTaskView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let state = state.0.unwrap_or(DeskTaskState::Open).into();
        Ok(Json(PageOf::of(app.desk_tasks.list(&caller.actor, state, page).await?, DeskTaskView::from)))
    }

    /// Close a task of the desk
    ///
    /// With a note on what was done. A task also closes by itself when the doctor answers or the consultation ends.
    /// For agents and administrators; audited.
    #[oai(path = "/desk/tasks/:id/close", method = "post", operation_id = "close_desk_task")]
    async fn close_desk_task(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the task.
        id: Path<Id>,
        request: Body<CloseDeskTaskRequest>,
    ) -> Result<Json<DeskTaskView>, ApiError> {
        Ok(Json(app.desk_tasks.close(&caller.actor, DeskTaskId(id.0.0), &request.0.note).await?.into()))
    }
}
