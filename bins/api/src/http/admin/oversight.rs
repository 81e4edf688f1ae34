//! The audit log and the jobs that workers gave up.

use domain::audit::AuditFilter;
use domain::id::JobId;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use super::dto::{AuditEventView, JobView, ReasonRequest};
use crate::http::Area;
use crate::http::body::Body;
use crate::http::caller::{By, Staff};
use crate::http::page::{PageOf, page_request};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;
use crate::http::words::JobState;

/// Operations of oversight.
pub struct OversightApi;

#[OpenApi(tag = "Area::Admin")]
impl OversightApi {
    /// List the audit log
    ///
    /// Newest first. For administrators.
    #[oai(path = "/admin/audit-events", method = "get", operation_id = "list_audit_events")]
    #[expect(clippy::too_many_arguments, reason = "one argument for each parameter of the query")]
    async fn list_audit_events(
        &self,
        app: App,
        caller: By<Staff>,
        /// Only acts of this actor, e.g. `admin:5dae…` or `system`.
        #[oai(validator(max_length = 64))]
        actor: Query<Option<String>>,
        /// Only this act, e.g. `certification.approve`.
        #[oai(validator(max_length = 64))]
        action: Query<Option<String>>,
        /// Only acts on this, e.g. `doctor:5dae…`.
        #[oai(validator(max_length = 64))]
        subject: Query<Option<String>>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<AuditEventView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let filter = AuditFilter { actor: actor.0, action: action.0, subject: subject.0 };
        let found = app.oversight.audit_log(&caller.actor, &filter, page).await?;
        Ok(Json(PageOf::of(found, AuditEventView::from)))
    }

    /// List background jobs
    ///
    /// Those that were given up unless another state is asked for, newest first. For administrators.
    #[oai(path = "/admin/jobs", method = "get", operation_id = "list_jobs")]
    async fn list_jobs(
        &self,
        app: App,
        caller: By<Staff>,
        /// State of the jobs, `dead` unless said.
        state: Query<Option<JobState>>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<JobView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let state = state.0.unwrap_or(JobState::Dead).into();
        Ok(Json(PageOf::of(app.oversight.jobs(&caller.actor, state, page).await?, JobView::from)))
    }

    /// Retry a job that was given up
    ///
    /// It gets fresh tries. For administrators; audited.
    #[oai(path = "/admin/jobs/:id/retry", method = "post", operation_id = "retry_job")]
    async fn retry_job(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the job.
        id: Path<Id>,
    ) -> Result<Json<JobView>, ApiError> {
        Ok(Json(app.oversight.retry_job(&caller.actor, JobId(id.0.0)).await?.into()))
    }

    /// Discard a job that was given up
    ///
    /// It is put aside for good, with the reason. For administrators; audited.
    #[oai(path = "/admin/jobs/:id/discard", method = "post", operation_id = "discard_job")]
    async fn discard_job(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the job.
        id: Path<Id>,
        request: Body<ReasonRequest>,
    ) -> Result<Json<JobView>, ApiError> {
        let discarded = app.oversight.discard_job(&caller.actor, JobId(id.0.0), &request.0.reason).await?;
        Ok(Json(discarded.into()))
    }
}
