//! Voiding consultations.

use domain::id::ConsultationId;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;

use super::dto::ReasonRequest;
use crate::http::Area;
use crate::http::body::Body;
use crate::http::caller::{By, Staff};
use crate::http::consultations::dto::ConsultationView;
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Administrators' operations on consultations.
pub struct VoidApi;

#[OpenApi(tag = "Area::Admin")]
impl VoidApi {
    /// Void a consultation
    ///
    /// Ends it if it is open and marks it as not having counted. For administrators; audited.
    #[oai(path = "/admin/consultations/:id/void", method = "post", operation_id = "void_consultation")]
    async fn void_consultation(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the consultation.
        id: Path<Id>,
        request: Body<ReasonRequest>,
    ) -> Result<Json<ConsultationView>, ApiError> {
        let voided = app.consultations.void(&caller.actor, ConsultationId(id.0.0), &request.0.reason).await?;
        Ok(Json(voided.into()))
    }
}
