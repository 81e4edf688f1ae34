//! Answers in LeanCloud's shape.

use domain::{Coded, ErrorKind, FieldError};
use leancloud::wire::ErrorBody;
use poem::http::{StatusCode, header};
use poem::{Request, Response};
use serde::Serialize;

use crate::http::context::RequestContext;
use crate::http::problem::ApiError;

/// An answer with a JSON body.
pub(super) fn json<T: Serialize>(status: StatusCode, body: &T) -> Response {
    // The bodies given here are plain data, which always serialise.
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    Response::builder().status(status).header(header::CONTENT_TYPE, "application/json;charset=utf-8").body(bytes)
}

/// An error as the SDKs read it.
pub(super) fn error(body: &ErrorBody) -> Response {
    json(StatusCode::from_u16(body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body)
}

/// An error that left the router, for requests to this surface.
pub fn render_error(error: &ApiError, _: &RequestContext) -> Response {
    self::error(&ErrorBody::from(&Seen(error) as &dyn Coded))
}

/// There is nothing under this path.
pub(super) fn unknown_path(_: Request) -> Response {
    error(&ErrorBody::unknown_path())
}

/// An [`ApiError`] as the `leancloud` crate looks at errors.
#[derive(Debug)]
struct Seen<'a>(&'a ApiError);

impl std::fmt::Display for Seen<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.detail_text())
    }
}

impl std::error::Error for Seen<'_> {}

impl Coded for Seen<'_> {
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
