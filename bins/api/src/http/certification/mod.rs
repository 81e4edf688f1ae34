//! A doctor's own certification. Reviewing it is in [`crate::http::admin`].

pub mod dto;

use domain::id::DoctorId;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;

use self::dto::CertificationView;
use crate::http::Area;
use crate::http::caller::{By, SignedIn};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Operations on the own certification.
pub struct CertificationApi;

#[OpenApi(tag = "Area::Certification")]
impl CertificationApi {
    /// Get the own certification
    ///
    /// For the doctor and administrators.
    #[oai(path = "/doctors/:id/certification", method = "get", operation_id = "get_certification")]
    async fn get_certification(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the doctor.
        id: Path<Id>,
    ) -> Result<Json<CertificationView>, ApiError> {
        Ok(Json(app.certifications.get(&caller.actor, DoctorId(id.0.0)).await?.into()))
    }
}
