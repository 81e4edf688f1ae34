//! Patients: what integrators set of them.

pub mod dto;

use domain::id::{PatientId, ReportId};
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;

use self::dto::{LatestReportRequest, PatientView};
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
        Ok(Json(app.reports.set_latest(&caller.actor, patient, report).await?.into()))
    }
}
