//! The one place where an error becomes a status and an `application/problem+json` body (RFC 9457).
//!
//! A handler returns [`ApiError`]; [`crate::http::frame`] renders it, where the request id and the
//! language are known, and the chain of causes is logged exactly once.

use std::error::Error as StdError;
use std::fmt;

use domain::{Coded, ErrorKind, FieldError};
use poem::error::ResponseError;
use poem::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use poem::http::{HeaderValue, StatusCode};
use poem::{Body, Response};
use poem_openapi::registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;

use crate::http::catalogue::{self, code};
use crate::http::context::{Language, RequestContext};

/// Media type of every error of the native API.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error of the native API (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct Problem {
    /// Names the kind of problem: `urn:zhaoguan:error:` and the code.
    #[serde(rename = "type")]
    #[oai(rename = "type")]
    pub type_uri: String,
    /// What went wrong in a few words, in the language of `Accept-Language`.
    pub title: String,
    /// The HTTP status.
    #[oai(validator(minimum(value = "400"), maximum(value = "599")))]
    pub status: u16,
    /// Stable code; see the list of error codes.
    pub code: String,
    /// One sentence for developers. Never quotes the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Names this request in the server's log.
    pub request_id: String,
    /// The fields at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<FieldProblem>>,
}

/// One field of a request that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Object, Serialize)]
pub struct FieldProblem {
    /// Path of the field as it was sent, e.g. `weeklyHours[2].end`.
    pub field: String,
    /// What would be right.
    pub message: String,
}

/// Why a request was not served. Anything [`Coded`] converts into it with `?`.
#[derive(Debug)]
pub struct ApiError(Box<Failure>);

/// Boxed, because most results are not errors.
#[derive(Debug)]
struct Failure {
    code: &'static str,
    status: StatusCode,
    detail: Option<String>,
    fields: Vec<FieldError>,
    retry_after_s: Option<u64>,
    /// The `Allow` header of a 405.
    allow: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl ApiError {
    /// An error of the transport itself, by its code in the catalogue.
    pub fn of(code: &'static str) -> Self {
        let kind = catalogue::find(code).map_or(ErrorKind::Internal, |entry| entry.kind);
        Self(Box::new(Failure {
            code,
            status: status(kind),
            detail: None,
            fields: Vec::new(),
            retry_after_s: None,
            allow: None,
            source: None,
        }))
    }

    /// A request whose shape is wrong, with the fields at fault.
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        Self::of(code::INVALID).detail("some fields are not as they should be").with_fields(fields)
    }

    /// A request with one field at fault.
    pub fn field(fault: FieldError) -> Self {
        Self::invalid(vec![fault])
    }

    /// Something that must not happen; `source` goes to the log only.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let mut error = Self::of(code::INTERNAL);
        error.0.source = Some(source.into());
        error
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    #[must_use]
    pub fn with_fields(mut self, fields: Vec<FieldError>) -> Self {
        self.0.fields = fields;
        self
    }

    /// A status of HTTP's own that no kind of error stands for.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }

    /// 405, with the methods that are served there.
    pub fn method_not_allowed(allow: String) -> Self {
        let mut error = Self::of(code::METHOD_NOT_ALLOWED).with_status(StatusCode::METHOD_NOT_ALLOWED);
        error.0.allow = Some(allow);
        error
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    pub fn code(&self) -> &'static str {
        self.0.code
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The kind that the catalogue has for the code.
    pub fn kind(&self) -> ErrorKind {
        catalogue::find(self.0.code).map_or(ErrorKind::Internal, |entry| entry.kind)
    }

    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    pub fn retry_after_s(&self) -> Option<u64> {
        self.0.retry_after_s
    }

    /// What went wrong in one English sentence.
    pub fn sentence(&self) -> &str {
        let title = || catalogue::find(self.0.code).map_or(self.0.code, |entry| entry.en);
        self.0.detail.as_deref().unwrap_or_else(title)
    }

    /// The answer for this request.
    pub fn render(&self, context: &RequestContext) -> Response {
        let body = serde_json::to_vec(&self.problem(context)).unwrap_or_default();
        let mut response = Response::builder().status(self.0.status).content_type(PROBLEM_JSON).body(Body::from(body));
        let headers = response.headers_mut();
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(Ok(allow)) = self.0.allow.as_deref().map(HeaderValue::from_str) {
            headers.insert(ALLOW, allow);
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    fn problem(&self, context: &RequestContext) -> Problem {
        let title = catalogue::find(self.0.code).map_or(self.0.code, |entry| match context.language {
            Language::Chinese => entry.zh,
            Language::English => entry.en,
        });
        let is_internal = self.0.status == StatusCode::INTERNAL_SERVER_ERROR;
        let errors = self.0.fields.iter().map(|f| FieldProblem { field: f.field.clone(), message: f.message.clone() });
        Problem {
            type_uri: format!("urn:zhaoguan:error:{}", self.0.code),
            title: title.to_owned(),
            status: self.0.status.as_u16(),
            code: self.0.code.to_owned(),
            detail: self.0.detail.clone().filter(|_| !is_internal),
            request_id: context.request_id.as_str().to_owned(),
            errors: (!self.0.fields.is_empty()).then(|| errors.collect()),
        }
    }

    /// Writes the chain of causes to the log, for failures that are the server's.
    pub fn log(&self) {
        if self.0.status.is_server_error() {
            let causes = self.0.source.as_deref().map(|source| Chain(source).to_string());
            tracing::error!(error.code = self.0.code, causes, "a request failed");
        }
    }
}

/// The status of a kind of error.
fn status(kind: ErrorKind) -> StatusCode {
    StatusCode::from_u16(catalogue::status_of(kind)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// An error with everything that caused it, outermost first.
struct Chain<'a>(&'a (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl<E: Coded + Send + Sync + 'static> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self(Box::new(Failure {
            code: error.code(),
            status: status(error.kind()),
            detail: Some(error.to_string()),
            fields: error.fields(),
            retry_after_s: error.retry_after_s(),
            allow: None,
            source: Some(Box::new(error)),
        }))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code)
    }
}

impl StdError for ApiError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl ResponseError for ApiError {
    fn status(&self) -> StatusCode {
        self.0.status
    }
}

/// The statuses every operation documents; [`crate::http::spec`] drops those an operation cannot give.
const DOCUMENTED: &[(u16, &str)] = &[
    (400, "The request is not valid; `errors` names the fields at fault."),
    (401, "Nobody is signed in, or the credentials are wrong or expired."),
    (403, "Signed in, but not allowed to do this."),
    (404, "It does not exist, or the caller must not learn that it does."),
    (409, "The present state does not allow it, or somebody else was faster."),
    (413, "The request is too large."),
    (415, "The content type is not supported."),
    (429, "Too many attempts; `Retry-After` says how many seconds to wait."),
    (500, "The server failed; `request_id` names the request in its log."),
    (503, "Something the server needs is down; trying again later may work."),
];

impl ApiResponse for ApiError {
    fn meta() -> MetaResponses {
        let documented = DOCUMENTED.iter().map(|(status, description)| MetaResponse {
            description,
            status: Some(*status),
            status_range: None,
            content: vec![MetaMediaType { content_type: PROBLEM_JSON, schema: Problem::schema_ref() }],
            headers: if matches!(status, 429 | 503) { vec![retry_after_header()] } else { Vec::new() },
        });
        MetaResponses { responses: documented.collect() }
    }

    fn register(registry: &mut Registry) {
        Problem::register(registry);
    }
}

fn retry_after_header() -> MetaHeader {
    MetaHeader {
        name: "Retry-After".into(),
        description: Some("Seconds to wait before trying again.".into()),
        required: false,
        deprecated: false,
        schema: u32::schema_ref(),
    }
}

#[cfg(test)]
mod tests {
    use domain::StoreError;
    use domain::actor::AccessError;
    use serde_json::{Value, json};

    use super::*;
    use crate::http::testing::context;

    async fn body(error: ApiError, language: Language) -> Value {
        let response = error.render(&context(language));
        assert_eq!(response.content_type(), Some(PROBLEM_JSON));
        response.into_body().into_json().await.unwrap()
    }

    #[tokio::test]
    async fn a_problem_has_all_its_members() {
        let fault = FieldError::new("birthday", "must not be in the future");
        let shown = body(ApiError::invalid(vec![fault]), Language::English).await;
        assert_eq!(
            shown,
            json!({
                "type": "urn:zhaoguan:error:request.invalid",
                "title": "The request is not valid",
                "status": 400,
                "code": "request.invalid",
                "detail": "some fields are not as they should be",
                "request_id": "000000010000000000000001",
                "errors": [{"field": "birthday", "message": "must not be in the future"}],
            })
        );
    }

    #[tokio::test]
    async fn titles_follow_the_language() {
        assert_eq!(body(AccessError::Unauthenticated.into(), Language::Chinese).await["title"], "请先登录");
        assert_eq!(body(AccessError::Unauthenticated.into(), Language::English).await["title"], "Sign in first");
    }

    #[tokio::test]
    async fn internal_problems_tell_nothing() {
        let shown = body(StoreError::Corrupt("doctors.phone".into()).into(), Language::English).await;
        assert_eq!(shown["status"], 500);
        assert_eq!(shown.get("detail"), None);
        assert!(!shown.to_string().contains("phone"));
    }

    #[test]
    fn a_refusal_for_want_of_credentials_says_which_scheme() {
        let response = ApiError::from(AccessError::Unauthenticated).render(&context(Language::Chinese));
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
        let limited = ApiError::of(code::TIMEOUT).retry_after(7).render(&context(Language::Chinese));
        assert_eq!(limited.header("retry-after"), Some("7"));
    }

    #[test]
    fn the_chain_names_every_cause_once() {
        let inner = std::io::Error::other("connection refused");
        let error = ApiError::from(StoreError::backend(inner));
        let source = error.0.source.as_deref().unwrap();
        assert_eq!(Chain(source).to_string(), "the database did not answer as it should: connection refused");
    }
}
