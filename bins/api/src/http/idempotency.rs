//! `Idempotency-Key`: a creating call that is sent twice is done once and answered twice.
//!
//! Callers without a session have no keys of their own, and starting a consultation is repeatable anyway, so the
//! header is ignored there. Answers that hold a token or password are never kept.

use std::borrow::Cow;
use std::sync::Arc;

use account::Accounts;
use account::idempotency::{IdempotencyLease, IdempotencyStart, StoredResponse, fingerprint};
use bytes::Bytes;
use domain::Actor;
use poem::http::header::CONTENT_TYPE;
use poem::http::{HeaderName, HeaderValue, Method, StatusCode};
use poem::{Endpoint, IntoResponse, Request, Response, Result};

use crate::http::caller::{Caller, StaleSession};
use crate::http::problem::ApiError;
use crate::http::services::Services;
use crate::http::spec::{Document, PREFIX};

/// The request header.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Marks an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Operations that take the header.
pub const OPERATIONS: &[&str] = &[
    "initiate_consultation",
    "create_invitation",
    "upload_file",
    "submit_certification",
    "request_sms_code",
    "create_test_sms",
    "create_desk_note",
    "create_canned_reply",
];

/// Wraps the native API, below its prefix.
pub struct Idempotent<E> {
    pub inner: E,
    pub services: Arc<Services>,
    pub document: Arc<Document>,
}

impl<E: Endpoint> Endpoint for Idempotent<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> Result<Response> {
        let is_keyed = request.method() == Method::POST && request.headers().contains_key(IDEMPOTENCY_KEY);
        let path = if is_keyed { format!("{PREFIX}{}", request.uri().path()) } else { String::new() };
        let operation = if is_keyed { self.document.operation_at("post", &path) } else { None };
        match operation.filter(|operation| OPERATIONS.contains(operation)) {
            Some(operation) => self.once(operation, request).await,
            None => self.inner.call(request).await.map(IntoResponse::into_response),
        }
    }
}

impl<E: Endpoint> Idempotent<E> {
    async fn once(&self, operation: &str, mut request: Request) -> Result<Response> {
        let caller = Caller::resolve(&request, self.services.gatekeeper.as_ref(), StaleSession::Refused).await?;
        if matches!(caller.actor, Actor::Nobody | Actor::App) {
            return self.inner.call(request).await.map(IntoResponse::into_response);
        }
        let body = request.take_body().into_bytes().await?;
        let target = request.uri().path_and_query().map_or("", |target| target.as_str());
        let print = fingerprint(request.method().as_str(), target, &comparable(request.content_type(), &body));
        let key = request.header(IDEMPOTENCY_KEY).unwrap_or_default().to_owned();
        let accounts = &self.services.accounts;
        let start = accounts.start_idempotent(&caller.actor, operation, &key, &print).await.map_err(ApiError::from)?;
        let lease = match start {
            IdempotencyStart::Replay(stored) => return Ok(replay(stored)),
            IdempotencyStart::Work(lease) => lease,
        };
        request.set_body(body);
        match self.inner.call(request).await.map(IntoResponse::into_response) {
            Ok(response) if response.is_success() => keep(accounts, &lease, response).await,
            refused => {
                log_failure(accounts.release_idempotent(&lease).await);
                refused
            }
        }
    }
}

/// The body as it is compared: clients choose a new boundary each time they send the same form.
fn comparable<'a>(content_type: Option<&str>, body: &'a [u8]) -> Cow<'a, [u8]> {
    let form = content_type.filter(|kind| kind.starts_with("multipart/"));
    let boundary = form.and_then(|kind| kind.split("boundary=").nth(1)).unwrap_or_default();
    let boundary = boundary.split(';').next().unwrap_or_default().trim_matches('"').as_bytes();
    if boundary.is_empty() {
        return Cow::Borrowed(body);
    }
    let mut kept = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some((first, behind)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(boundary) {
            rest = behind;
        } else {
            kept.push(*first);
            rest = behind;
        }
    }
    Cow::Owned(kept)
}

/// Stores the answer and gives it. That it could not be stored does not undo what was done.
async fn keep(accounts: &Accounts, lease: &IdempotencyLease, mut response: Response) -> Result<Response> {
    let body: Bytes = response.take_body().into_bytes().await?;
    let stored = StoredResponse {
        status: response.status().as_u16(),
        content_type: response.content_type().map(str::to_owned),
        body: body.to_vec(),
    };
    log_failure(accounts.complete_idempotent(lease, &stored).await);
    response.set_body(body);
    Ok(response)
}

fn replay(stored: StoredResponse) -> Response {
    let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    let mut response = Response::builder().status(status).body(stored.body);
    let headers = response.headers_mut();
    if let Some(Ok(content_type)) = stored.content_type.map(HeaderValue::try_from) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn log_failure(outcome: Result<(), account::AccountError>) {
    if let Err(error) = outcome {
        tracing::warn!(error = &error as &dyn std::error::Error, "an idempotency key could not be settled");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_form_is_the_same_under_another_boundary() {
        let form = |boundary: &str, content: &str| {
            let kind = format!("multipart/form-data; boundary={boundary}");
            let body = format!("--{boundary}\r\nname=file\r\n\r\n{content}\r\n--{boundary}--\r\n");
            comparable(Some(&kind), body.as_bytes()).into_owned()
        };
        assert_eq!(form("abc", "x"), form("----WebKit123", "x"));
        assert_ne!(form("abc", "x"), form("abc", "y"));
        assert_eq!(comparable(Some("application/json"), b"{}").as_ref(), b"{}");
    }
}
