//! `POST /1.1/functions/:name` and `POST /1.1/call/:name`.

use account::AppAccess;
use consultation::consultation::OpenConsultation;
use consultation::service::{Initiate, Initiated};
use domain::Actor;
use leancloud::functions::{
    FunctionResult, INITIATE_CONSULTATION, InitiateConsultationParams, InitiateConsultationView, ParamsError,
    parse_params,
};
use leancloud::wire::ErrorBody;
use poem::{Request, Response, Result};
use serde_json::{Map, Value};

use super::answer;
use crate::http::caller::{app_headers, session_token};
use crate::http::catalogue::code;
use crate::http::problem::ApiError;
use crate::http::services::Services;

/// Calls the function named in the path. The body may be empty, `null` or of any content type.
pub(super) async fn call(services: &Services, mut request: Request) -> Result<Response> {
    let access = services.gatekeeper.check_app(app_headers(request.headers()).unwrap_or_default())?;
    let name = request.raw_path_param("name").unwrap_or_default().to_owned();
    let body = request.take_body().into_bytes().await?;
    let params = match parse_params(&body) {
        Ok(params) => params,
        Err(ParamsError::Malformed) => return Ok(answer::error(&ErrorBody::malformed_json())),
        Err(refused) => return Err(ApiError::from(refused).into()),
    };
    match name.as_str() {
        INITIATE_CONSULTATION => {
            let actor = resolve(services, access, &request).await?;
            Ok(initiate_consultation(services, actor, &params).await?)
        }
        _ => Ok(answer::error(&ErrorBody::unknown_function())),
    }
}

/// Who calls. A session that was sent must be a valid one; beside the master key it says nothing.
async fn resolve(services: &Services, access: AppAccess, request: &Request) -> Result<Actor, ApiError> {
    match (access, session_token(request.headers())) {
        (AppAccess::Client, Some(token)) => {
            let known = services.gatekeeper.find_session(token).await?;
            known.map(|known| known.actor).ok_or_else(|| ApiError::of(code::SESSION_NOT_VALID))
        }
        _ => Ok(access.actor()),
    }
}

async fn initiate_consultation(
    services: &Services,
    actor: Actor,
    params: &Map<String, Value>,
) -> Result<Response, ApiError> {
    let params = InitiateConsultationParams::from_map(params)?;
    let call = Initiate { actor, doctor: params.doctor_id, patient: params.patient_id, kind: params.kind };
    let Initiated { consultation_id, is_old, status, started_at } = services.initiate.call(call).await?;
    let open = OpenConsultation { id: consultation_id, status, started_at };
    Ok(answer::ok(&FunctionResult { result: InitiateConsultationView::new(open, is_old) }))
}
