//! `/healthz`, `/readyz` and `/metrics` for a process that serves nothing else.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tracing::{info, warn};

use crate::telemetry::Metrics;
use crate::{StartError, Tasks};

/// Longest a client may take over the head of its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Tries whether the process can do its work.
pub type ReadyProbe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// Listens until the tasks are told to stop.
///
/// # Errors
/// [`StartError::Listen`] when the address is taken.
pub async fn listen(
    address: SocketAddr,
    metrics: Metrics,
    ready: ReadyProbe,
    tasks: &Tasks,
) -> Result<SocketAddr, StartError> {
    let listener = TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })?;
    let address = listener.local_addr().map_err(|source| StartError::Listen { address, source })?;
    info!(%address, "health and metrics are served");
    let stopping = tasks.stopping();
    let connections = tasks.clone();
    tasks.spawn("ops listener", async move {
        let mut stopping = pin!(stopping);
        loop {
            let accepted = tokio::select! {
                () = &mut stopping => return,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "a connection could not be accepted");
                    // Out of descriptors: trying at once would only burn time.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (metrics, ready, stop) = (metrics.clone(), ready.clone(), connections.stopping());
            connections.spawn("ops connection", async move {
                let answer = service_fn(|request| answer(request, metrics.clone(), ready.clone()));
                let mut http = http1::Builder::new();
                http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
                // A client that goes away is no news; one that stays does not hold the process up.
                tokio::select! {
                    () = stop => {}
                    _ = http.serve_connection(TokioIo::new(stream), answer) => {}
                }
            });
        }
    });
    Ok(address)
}

async fn answer(
    request: Request<Incoming>,
    metrics: Metrics,
    ready: ReadyProbe,
) -> Result<Response<Full<Bytes>>, Infallible> {
    const JSON: &str = "application/json";
    const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
    let (status, kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/healthz") => (StatusCode::OK, JSON, r#"{"status":"alive"}"#.to_owned()),
        (&Method::GET, "/readyz") if ready().await => (StatusCode::OK, JSON, r#"{"status":"ready"}"#.to_owned()),
        (&Method::GET, "/readyz") => (StatusCode::SERVICE_UNAVAILABLE, JSON, r#"{"status":"not ready"}"#.to_owned()),
        (&Method::GET, "/metrics") => (StatusCode::OK, TEXT, metrics.render()),
        _ => (StatusCode::NOT_FOUND, JSON, r#"{"status":"unknown"}"#.to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}
