//! Reviewing certifications.

use consultation::certification::Verdict;
use domain::id::DoctorId;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use super::dto::ReasonRequest;
use crate::http::Area;
use crate::http::body::Body;
use crate::http::caller::{By, Staff};
use crate::http::certification::dto::CertificationView;
use crate::http::page::{PageOf, page_request};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;
use crate::http::words::CertificationState;

/// Operations of the review queue.
pub struct ReviewApi;

#[OpenApi(tag = "Area::Admin")]
impl ReviewApi {
    /// List certifications
    ///
    /// Those under review unless another state is asked for, newest first. For administrators.
    #[oai(path = "/admin/certifications", method = "get", operation_id = "list_certifications")]
    async fn list_certifications(
        &self,
        app: App,
        caller: By<Staff>,
        /// State of certification, "2" unless said.
        state: Query<Option<CertificationState>>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<CertificationView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let state = state.0.unwrap_or(CertificationState::UnderReview).into();
        let found = app.certifications.list(&caller.actor, state, page).await?;
        Ok(Json(PageOf::of(found, |doctor| CertificationView::of(doctor, app.links()))))
    }

    /// Get a certification for review
    ///
    /// For administrators.
    #[oai(path = "/admin/certifications/:id", method = "get", operation_id = "get_certification_for_review")]
    async fn get_certification_for_review(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the doctor.
        id: Path<Id>,
    ) -> Result<Json<CertificationView>, ApiError> {
        let doctor = app.certifications.get(&caller.actor, DoctorId(id.0.0)).await?;
        Ok(Json(CertificationView::of(doctor, app.links())))
    }

    /// Approve a certification
    ///
    /// From under review to certified. For administrators; audited, and the doctor is told.
    #[oai(path = "/admin/certifications/:id/approve", method = "post", operation_id = "approve_certification")]
    async fn approve_certification(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the doctor.
        id: Path<Id>,
    ) -> Result<Json<CertificationView>, ApiError> {
        review(&app, &caller, id.0, Verdict::Approve).await
    }

    /// Reject a certification
    ///
    /// From under review to rejected. For administrators; audited, and the doctor is told why.
    #[oai(path = "/admin/certifications/:id/reject", method = "post", operation_id = "reject_certification")]
    async fn reject_certification(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the doctor.
        id: Path<Id>,
        request: Body<ReasonRequest>,
    ) -> Result<Json<CertificationView>, ApiError> {
        review(&app, &caller, id.0, Verdict::Reject { reason: request.0.reason }).await
    }

    /// Revoke a certification
    ///
    /// From certified to not certified: consultations that nobody has answered end. For administrators; audited.
    #[oai(path = "/admin/certifications/:id/revoke", method = "post", operation_id = "revoke_certification")]
    async fn revoke_certification(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the doctor.
        id: Path<Id>,
        request: Body<ReasonRequest>,
    ) -> Result<Json<CertificationView>, ApiError> {
        review(&app, &caller, id.0, Verdict::Revoke { reason: request.0.reason }).await
    }
}

async fn review(
    app: &App,
    caller: &By<Staff>,
    doctor: Id,
    verdict: Verdict,
) -> Result<Json<CertificationView>, ApiError> {
    let doctor = app.certifications.review(&caller.actor, DoctorId(doctor.0), verdict).await?;
    Ok(Json(CertificationView::of(doctor, app.links())))
}
