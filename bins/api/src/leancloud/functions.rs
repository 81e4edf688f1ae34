//! Cloud functions: `/1.1/functions/<name>` and `/1.1/call/<name>` run the same use cases as the native API.

use std::sync::Arc;

use bytes::Bytes;
use consultation::consultation::OpenConsultation;
use consultation::service::{Initiate, Initiated};
use domain::Actor;
use domain::actor::AccessError;
use leancloud::functions::{
    FunctionResult, INITIATE_CONSULTATION, InitiateConsultationParams, InitiateConsultationView, parse_params,
};
use leancloud::wire::ErrorBody;
use poem::http::StatusCode;
use poem::web::{Data, Path};
use poem::{Request, Response, handler};

use super::answer;
use crate::http::caller::Caller;
use crate::http::problem::ApiError;
use crate::http::services::Services;

/// Runs one function. The body may be empty or `null` for a call without parameters, with any content type.
#[handler]
pub(super) async fn run(
    request: &Request,
    Path(name): Path<String>,
    Data(services): Data<&Arc<Services>>,
    body: Bytes,
) -> poem::Result<Response> {
    let caller = Caller::resolve(request, services.gatekeeper.as_ref()).await?;
    if caller.app.is_none() {
        return Err(ApiError::from(AccessError::Unauthenticated).into());
    }
    match name.as_str() {
        INITIATE_CONSULTATION => Ok(initiate_consultation(services, caller.actor, &body).await?),
        _ => Ok(answer::error(&ErrorBody::unknown_function())),
    }
}

async fn initiate_consultation(services: &Services, actor: Actor, body: &Bytes) -> Result<Response, ApiError> {
    let params = InitiateConsultationParams::from_map(&parse_params(body)?)?;
    let call = Initiate { actor, doctor: params.doctor_id, patient: params.patient_id, kind: params.kind };
    let Initiated { consultation_id, is_old, status, started_at } = services.initiate.call(call).await?;
    let open = OpenConsultation { id: consultation_id, status, started_at };
    let result = InitiateConsultationView::new(open, is_old);
    Ok(answer::json(StatusCode::OK, &FunctionResult { result }))
}
