//! Consultations: starting, looking, ending and reopening, and the trail of each.

pub mod dto;
pub mod export;

use consultation::consultation::ConsultationFilter;
use consultation::service::Initiate;
use domain::id::{ConsultationId, DoctorId, PatientId};
use poem::http::header::CONTENT_SECURITY_POLICY;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::{Html, Json, Response};

use self::dto::{
    ConsultationEventView, ConsultationView, EndConsultationRequest, InitiateConsultationRequest, InitiatedAnswer,
    NotificationView,
};
use self::export::ConsultationExportView;
use crate::http::Area;
use crate::http::body::Body;
use crate::http::caller::{Application, By, SignedIn};
use crate::http::page::{PageOf, page_request};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;
use crate::http::words::ConsultationStatus;

/// Operations on consultations.
pub struct ConsultationsApi;

#[OpenApi(tag = "Area::Consultations")]
impl ConsultationsApi {
    /// Start a consultation
    ///
    /// Answers the open consultation of the two if there is one, whatever the doctor's present state. A session, if
    /// sent, must be that patient's, that doctor's or an integrator's.
    #[oai(path = "/consultations", method = "post", operation_id = "initiate_consultation")]
    async fn initiate_consultation(
        &self,
        app: App,
        caller: By<Application>,
        request: Body<InitiateConsultationRequest>,
    ) -> Result<InitiatedAnswer, ApiError> {
        let call = Initiate {
            actor: caller.actor.clone(),
            doctor: DoctorId(request.0.doctor_id.0),
            patient: PatientId(request.0.patient_id.0),
            kind: request.0.kind.map(consultation::ConsultationType::from).unwrap_or_default(),
        };
        Ok(app.initiate.call(call).await?.into())
    }

    /// List consultations
    ///
    /// Newest first. Patients and doctors list their own and say whose; administrators and integrators list any.
    #[oai(path = "/consultations", method = "get", operation_id = "list_consultations")]
    #[expect(clippy::too_many_arguments, reason = "one argument for each parameter of the query")]
    async fn list_consultations(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Only those of this doctor.
        #[oai(name = "doctorId")]
        doctor_id: Query<Option<Id>>,
        /// Only those of this patient.
        #[oai(name = "patientId")]
        patient_id: Query<Option<Id>>,
        /// Only those with this status.
        status: Query<Option<ConsultationStatus>>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<ConsultationView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let filter = ConsultationFilter {
            doctor: doctor_id.0.map(|id| DoctorId(id.0)),
            patient: patient_id.0.map(|id| PatientId(id.0)),
            status: status.0.map(consultation::Status::from),
        };
        let found = app.consultations.list(&caller.actor, filter, page).await?;
        Ok(Json(PageOf::of(found, ConsultationView::from)))
    }

    /// Get a consultation
    ///
    /// For its two parties; an administrator's look is audited.
    #[oai(path = "/consultations/:id", method = "get", operation_id = "get_consultation")]
    async fn get_consultation(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the consultation.
        id: Path<Id>,
    ) -> Result<Json<ConsultationView>, ApiError> {
        Ok(Json(app.consultations.get(&caller.actor, ConsultationId(id.0.0)).await?.into()))
    }

    /// End a consultation
    ///
    /// For either party. Ending an ended consultation changes nothing.
    #[oai(path = "/consultations/:id/end", method = "post", operation_id = "end_consultation")]
    async fn end_consultation(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the consultation.
        id: Path<Id>,
        request: Body<EndConsultationRequest>,
    ) -> Result<Json<ConsultationView>, ApiError> {
        let ended = app.consultations.end(&caller.actor, ConsultationId(id.0.0), request.0.reason).await?;
        Ok(Json(ended.into()))
    }

    /// Reopen a consultation
    ///
    /// For its doctor, within 24 hours of the end, unless a newer one is open.
    #[oai(path = "/consultations/:id/reopen", method = "post", operation_id = "reopen_consultation")]
    async fn reopen_consultation(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the consultation.
        id: Path<Id>,
    ) -> Result<Json<ConsultationView>, ApiError> {
        Ok(Json(app.consultations.reopen(&caller.actor, ConsultationId(id.0.0)).await?.into()))
    }

    /// List the transitions of a consultation
    ///
    /// All of them, oldest first.
    #[oai(path = "/consultations/:id/events", method = "get", operation_id = "list_consultation_events")]
    async fn list_consultation_events(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the consultation.
        id: Path<Id>,
    ) -> Result<Json<PageOf<ConsultationEventView>>, ApiError> {
        let trail = app.consultations.trail(&caller.actor, ConsultationId(id.0.0)).await?;
        Ok(Json(PageOf::whole(trail.events, ConsultationEventView::from)))
    }

    /// Export a consultation
    ///
    /// The consultation, who took part, its transitions and every message, recalled ones without their content. For
    /// its two parties; an administrator's export is audited. Addresses of files are good for an hour.
    #[oai(path = "/consultations/:id/export", method = "get", operation_id = "export_consultation")]
    async fn export_consultation(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the consultation.
        id: Path<Id>,
    ) -> Result<Json<ConsultationExportView>, ApiError> {
        let (record, messages) = export::load(&app, &caller.actor, ConsultationId(id.0.0)).await?;
        Ok(Json(ConsultationExportView::of(record, messages, app.links())))
    }

    /// Export a consultation as a page
    ///
    /// The same, in Chinese, to be read, printed or saved as PDF; it loads nothing but its pictures.
    #[oai(path = "/consultations/:id/export.html", method = "get", operation_id = "export_consultation_page")]
    async fn export_consultation_page(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the consultation.
        id: Path<Id>,
    ) -> Result<Response<Html<String>>, ApiError> {
        let (record, messages) = export::load(&app, &caller.actor, ConsultationId(id.0.0)).await?;
        let page = export::page(&record, messages, app.links());
        Ok(Response::new(Html(page)).header(CONTENT_SECURITY_POLICY, export::PAGE_CSP))
    }

    /// List who was told of a consultation, and why or why not
    ///
    /// Every decision, oldest first.
    #[oai(path = "/consultations/:id/notifications", method = "get", operation_id = "list_consultation_notifications")]
    async fn list_consultation_notifications(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the consultation.
        id: Path<Id>,
    ) -> Result<Json<PageOf<NotificationView>>, ApiError> {
        let trail = app.consultations.trail(&caller.actor, ConsultationId(id.0.0)).await?;
        Ok(Json(PageOf::whole(trail.notifications, NotificationView::from)))
    }
}
