//! Patients: the own profile, and what integrators set of it.

pub mod dto;

use domain::id::{PatientId, ReportId};
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;

use self::dto::{LatestReportRequest, PatientProfilePatch, PatientView};
use crate::http::Area;
use crate::http::body::Body;
use crate::http::caller::{By, SignedIn};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Operations on patients.
pub struct PatientsApi;

#[OpenApi(tag = "Area::Patients")]
impl PatientsApi {
    /// Get a patient's profile
    ///
    /// For the patient; staff and integrators read it audited. Doctors read their patients through their relations.
    #[oai(path = "/patients/:id", method = "get", operation_id = "get_patient")]
    async fn get_patient(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the patient.
        id: Path<Id>,
    ) -> Result<Json<PatientView>, ApiError> {
        let patient = app.accounts.read_patient(&caller.actor, PatientId(id.0.0)).await?;
        Ok(Json(PatientView::of(patient, &caller.actor, app.links())))
    }

    /// Change the own patient's profile
    ///
    /// Absent fields stay, `null` clears.
    #[oai(path = "/patients/:id", method = "patch", operation_id = "update_patient")]
    async fn update_patient(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the patient.
        id: Path<Id>,
        patch: Body<PatientProfilePatch>,
    ) -> Result<Json<PatientView>, ApiError> {
        caller.actor.require_visible(caller.actor.is_patient(PatientId(id.0.0)))?;
        let patient = app.accounts.patch_own_patient(&caller.actor, patch.0.into()).await?;
        Ok(Json(PatientView::of(patient, &caller.actor, app.links())))
    }

    /// Set a patient's newest report
    ///
    /// For integrators and administrators. The patient's relations and open consultations show it as well.
    #[oai(path = "/patients/:id/latest-report", method = "put", operation_id = "set_latest_report")]
    async fn set_latest_report(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the patient.
        id: Path<Id>,
        request: Body<LatestReportRequest>,
    ) -> Result<Json<PatientView>, ApiError> {
        let (patient, report) = (PatientId(id.0.0), ReportId(request.0.report_id.0));
        let patient = app.reports.set_latest(&caller.actor, patient, report).await?;
        Ok(Json(PatientView::of(patient, &caller.actor, app.links())))
    }
}
