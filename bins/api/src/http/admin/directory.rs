//! Doctors in any state, and who was told of anything.

use consultation::notification::{NotificationFilter, Recipient};
use domain::doctor::DoctorSearch;
use domain::id::{ConsultationId, DoctorId, PatientId};
use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;

use crate::http::Area;
use crate::http::caller::{By, Staff};
use crate::http::consultations::dto::NotificationView;
use crate::http::doctors::dto::DoctorView;
use crate::http::page::{PageOf, page_request};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;
use crate::http::words::{CertificationState, NotificationState};

/// Operations of the directory and the trail.
pub struct DirectoryApi;

#[OpenApi(tag = "Area::Admin")]
impl DirectoryApi {
    /// List all doctors
    ///
    /// In any state of certification, newest first, phone numbers masked. For administrators.
    #[oai(path = "/admin/doctors", method = "get", operation_id = "list_all_doctors")]
    async fn list_all_doctors(
        &self,
        app: App,
        caller: By<Staff>,
        /// Part of name, hospital, department or title.
        #[oai(validator(max_length = 50))]
        q: Query<Option<String>>,
        /// Only those in this state of certification.
        certification: Query<Option<CertificationState>>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<DoctorView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let search = DoctorSearch { text: q.0.map(|text| text.trim().to_owned()) };
        let state = certification.0.map(Into::into);
        let found = app.doctors.search_all(&caller.actor, search, state, page).await?;
        Ok(Json(PageOf::of(found, |doctor| DoctorView::of(doctor, &caller.actor, app.links()))))
    }

    /// List who was told, and why or why not
    ///
    /// Every decision about a notification, newest first. For administrators.
    #[oai(path = "/admin/notifications", method = "get", operation_id = "list_notifications")]
    #[expect(clippy::too_many_arguments, reason = "one argument for each parameter of the query")]
    async fn list_notifications(
        &self,
        app: App,
        caller: By<Staff>,
        /// Only those about this consultation.
        #[oai(name = "consultationId")]
        consultation_id: Query<Option<Id>>,
        /// Only those for this doctor.
        #[oai(name = "doctorId")]
        doctor_id: Query<Option<Id>>,
        /// Only those for this patient. Not together with `doctorId`.
        #[oai(name = "patientId")]
        patient_id: Query<Option<Id>>,
        /// Only those in this state.
        state: Query<Option<NotificationState>>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<NotificationView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let doctor = doctor_id.0.map(|id| Recipient::Doctor(DoctorId(id.0)));
        let patient = patient_id.0.map(|id| Recipient::Patient(PatientId(id.0)));
        let filter = NotificationFilter {
            consultation: consultation_id.0.map(|id| ConsultationId(id.0)),
            recipient: doctor.or(patient),
            state: state.0.map(Into::into),
        };
        let found = app.consultations.notifications(&caller.actor, filter, page).await?;
        Ok(Json(PageOf::of(found, NotificationView::from)))
    }
}
