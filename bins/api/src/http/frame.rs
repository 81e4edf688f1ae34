//! What surrounds every request: its context, limits, CORS, error rendering, headers, trace and metrics.
//!
//! One endpoint instead of a stack of middlewares: everything here runs on each request and must be cheap.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use domain::FieldError;
use domain::id::IdSource;
use futures_util::StreamExt;
use ipnet::IpNet;
use poem::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use poem::http::{Method, StatusCode};
use poem::{Body, Endpoint, IntoResponse, Request, Response, Result};
use tracing::Instrument;

use crate::http::catalogue::code;
use crate::http::context::{Language, REQUEST_ID_HEADER, RequestContext, RequestId, client_ip};
use crate::http::framework_errors::to_api_error;
use crate::http::measure::RequestMetrics;
use crate::http::problem::ApiError;
use crate::http::shape::NO_NUL;
use crate::http::spec::Document;

/// Settings of the transport.
#[derive(Debug, Clone)]
pub struct FrameSettings {
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Largest body of a request that is not a multipart form.
    pub max_body_bytes: u64,
    /// Largest multipart form.
    pub max_upload_bytes: u64,
    /// A request that takes longer is answered with 503.
    pub request_timeout: Duration,
    /// Whether clients reach the server by https, so that browsers may be told to insist on it.
    pub is_https: bool,
}

/// Renders an error that left the router, for the surface the request was made to.
pub type RenderError = fn(&ApiError, &RequestContext) -> Response;

/// Wraps the router.
pub struct Frame<E> {
    inner: E,
    settings: FrameSettings,
    ids: Arc<dyn IdSource>,
    document: Arc<Document>,
    /// How errors look below `/1.1` and `/1.2`.
    render_leancloud: RenderError,
    metrics: RequestMetrics,
}

impl<E: Endpoint> Frame<E> {
    pub fn new(
        inner: E,
        settings: FrameSettings,
        ids: Arc<dyn IdSource>,
        document: Arc<Document>,
        render_leancloud: RenderError,
    ) -> Self {
        Self { inner, settings, ids, document, render_leancloud, metrics: RequestMetrics::default() }
    }

    async fn serve(&self, mut request: Request, context: &RequestContext) -> Result<Response> {
        refuse_nul(&request)?;
        let overflow = self.limit_body(&mut request)?;
        let answered = tokio::time::timeout(self.settings.request_timeout, self.inner.call(request)).await;
        let answered = answered.unwrap_or_else(|_| Err(ApiError::of(code::TIMEOUT).retry_after(1).into()));
        let has_overflown = overflow.is_some_and(|flag| flag.load(Ordering::Relaxed));
        if has_overflown && answered.is_err() {
            tracing::debug!(request_id = %context.request_id, "a body without length grew too large");
            return Err(ApiError::of(code::TOO_LARGE).into());
        }
        answered.map(IntoResponse::into_response)
    }

    /// Refuses bodies announced as too large, and cuts off those that come without a length.
    fn limit_body(&self, request: &mut Request) -> Result<Option<Arc<AtomicBool>>, ApiError> {
        let is_form = request.content_type().is_some_and(|kind| kind.starts_with("multipart/"));
        let is_upload = request.uri().path().starts_with("/1.1/upload");
        let limit = if is_form || is_upload { self.settings.max_upload_bytes } else { self.settings.max_body_bytes };
        let announced =
            request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if announced.is_some_and(|bytes: u64| bytes > limit) {
            return Err(ApiError::of(code::TOO_LARGE).detail(format!("at most {limit} bytes are accepted here")));
        }
        if announced.is_some() {
            return Ok(None);
        }
        let body = request.take_body();
        if body.is_empty() {
            return Ok(None);
        }
        let overflow = Arc::new(AtomicBool::new(false));
        request.set_body(cut_off(body, limit, Arc::clone(&overflow)));
        Ok(Some(overflow))
    }

    fn render(&self, error: poem::Error, path: &str, context: &RequestContext) -> Response {
        let data = RouteData::of(&error);
        let error = to_api_error(error, path, &self.document);
        error.log();
        let mut response =
            if is_leancloud(path) { (self.render_leancloud)(&error, context) } else { error.render(context) };
        data.keep_in(&mut response);
        response
    }
}

/// Refuses an address with the one character that PostgreSQL cannot store; bodies are looked at by their shape.
fn refuse_nul(request: &Request) -> Result<(), ApiError> {
    const ESCAPED: &str = "%00";
    let has_nul = |part: &str| part.contains(ESCAPED);
    let fault = |field: &str| Err(ApiError::field(FieldError::new(field, NO_NUL)));
    if has_nul(request.uri().path()) {
        return fault("path");
    }
    let parameters = request.uri().query().unwrap_or_default().split('&');
    match parameters.map(|parameter| parameter.split_once('=').unwrap_or((parameter, ""))).find(|(_, v)| has_nul(v)) {
        Some((name, _)) if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => fault(name),
        Some(_) => fault("query"),
        None => Ok(()),
    }
}

/// What the router noted on an error for the metrics.
struct RouteData {
    operation: Option<&'static str>,
    pattern: Option<poem::PathPattern>,
}

impl RouteData {
    fn of(error: &poem::Error) -> Self {
        Self {
            operation: error.data::<poem_openapi::OperationId>().map(|id| id.0),
            pattern: error.data::<poem::PathPattern>().cloned(),
        }
    }

    fn keep_in(self, response: &mut Response) {
        if let Some(operation) = self.operation {
            response.set_data(poem_openapi::OperationId(operation));
        }
        if let Some(pattern) = self.pattern {
            response.set_data(pattern);
        }
    }
}

/// A body that fails, and sets the flag, once more than `limit` bytes have come.
fn cut_off(body: Body, limit: u64, overflow: Arc<AtomicBool>) -> Body {
    let mut left = limit;
    Body::from_bytes_stream(body.into_bytes_stream().map(move |chunk| {
        let chunk = chunk?;
        let Some(rest) = left.checked_sub(chunk.len() as u64) else {
            overflow.store(true, Ordering::Relaxed);
            return Err(std::io::Error::other("the body is too large"));
        };
        left = rest;
        Ok(chunk)
    }))
}

/// Whether errors below this path have LeanCloud's shape.
fn is_leancloud(path: &str) -> bool {
    path.starts_with("/1.1/") || path.starts_with("/1.2/")
}

/// Whether browsers of other sites may call this. They may, since no answer lets them send cookies along; the one of the
/// console counts only beside a header they could not send with it either.
fn is_shared(path: &str) -> bool {
    is_leancloud(path) || path.starts_with("/api/")
}

/// The answer to a browser's question before the real request.
fn preflight(headers: &HeaderMap) -> Response {
    const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE, OPTIONS");
    const HEADERS: HeaderValue = HeaderValue::from_static(
        "Authorization, Content-Type, Idempotency-Key, X-Device-Id, X-Request-Id, X-LC-Id, X-LC-Key, X-LC-Sign, \
         X-LC-Session, X-LC-Prod, X-LC-UA, X-LC-Hook-Key, X-LC-IM-Session-Token",
    );
    let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response = StatusCode::NO_CONTENT.into_response();
    let answer = response.headers_mut();
    answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked.unwrap_or(HEADERS));
    answer.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

fn add_headers(response: &mut Response, path_is_shared: bool, context: &RequestContext, is_https: bool) {
    const EXPOSED: HeaderValue = HeaderValue::from_static("X-Request-Id, Retry-After, Location");
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(context.request_id.as_str()) {
        headers.insert(HeaderName::from_static(REQUEST_ID_HEADER), value);
    }
    if path_is_shared {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    let defaults = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ];
    for (name, value) in defaults {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if is_https {
        let value = HeaderValue::from_static("max-age=31536000");
        headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(value);
    }
}

impl<E: Endpoint> Endpoint for Frame<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        let started = Instant::now();
        let peer = request.remote_addr().as_socket_addr().map(std::net::SocketAddr::ip);
        let context = RequestContext {
            request_id: RequestId::accept(request.headers(), self.ids.as_ref()),
            language: Language::of(request.headers()),
            ip: client_ip(peer, request.headers(), &self.settings.trusted_proxies),
            document: Arc::clone(&self.document),
        };
        request.set_data(context.clone());
        let method = request.method().clone();
        let uri = request.uri().clone();
        let path_is_shared = is_shared(uri.path());
        let is_preflight = method == Method::OPTIONS
            && path_is_shared
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let span = tracing::info_span!("request", %method, request_id = %context.request_id);
        let mut response = async {
            if is_preflight {
                return preflight(request.headers());
            }
            match self.serve(request, &context).await {
                Ok(response) => response,
                Err(error) => self.render(error, uri.path(), &context),
            }
        }
        .instrument(span.clone())
        .await;
        add_headers(&mut response, path_is_shared, &context, self.settings.is_https);
        let elapsed = started.elapsed();
        let route = self.metrics.record(&self.document, &method, &response, elapsed);
        let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let status = response.status().as_u16();
        span.in_scope(|| tracing::debug!(%route, status, duration_ms, "request served"));
        Ok(response)
    }
}
