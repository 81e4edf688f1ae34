//! Answers in LeanCloud's shape: plain JSON, and errors as `{"code", "error"}`.

use std::fmt;

use domain::{Coded, ErrorKind, FieldError};
use leancloud::rest::RestError;
use leancloud::wire::ErrorBody;
use poem::http::StatusCode;
use poem::http::header::RETRY_AFTER;
use poem::{Body, Response};
use serde::Serialize;

use crate::http::catalogue::code;
use crate::http::context::RequestContext;
use crate::http::problem::ApiError;

/// 200 with JSON.
pub(super) fn ok(body: &impl Serialize) -> Response {
    with_status(200, body)
}

/// An error that the wire crate has words for.
pub(super) fn error(body: &ErrorBody) -> Response {
    with_status(body.status, body)
}

/// JSON with a status.
pub(super) fn with_status(status: u16, body: &impl Serialize) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(body).map_or_else(|_| Body::empty(), Body::from);
    Response::builder().status(status).content_type("application/json;charset=utf-8").body(body)
}

/// A refusal that comes before a call is even read.
pub(super) fn as_api_error(error: RestError) -> ApiError {
    match error {
        RestError::Store(error) => error.into(),
        other => ApiError::internal(other),
    }
}

/// Any error of the server, for clients below `/1.1` and `/1.2`.
pub fn render(refused: &ApiError, _: &RequestContext) -> Response {
    let body = match refused.code() {
        code::MALFORMED_JSON => ErrorBody::malformed_json(),
        code::SESSION_NOT_VALID => ErrorBody::session_not_valid(),
        _ => ErrorBody::from(&Told(refused) as &dyn Coded),
    };
    let mut response = error(&body);
    if let Some(seconds) = refused.retry_after_s() {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

/// An error of the transport as the wire crate reads errors.
#[derive(Debug)]
struct Told<'a>(&'a ApiError);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.sentence())
    }
}

impl std::error::Error for Told<'_> {}

impl Coded for Told<'_> {
    fn code(&self) -> &'static str {
        self.0.code()
    }

    fn kind(&self) -> ErrorKind {
        self.0.kind()
    }

    fn fields(&self) -> Vec<FieldError> {
        self.0.fields().to_vec()
    }
}
