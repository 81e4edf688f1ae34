//! The stand-in over HTTP, with faults.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::api::{self, ApiReply, ApiRequest};
use crate::control;
use crate::faults::{self, FaultKind};
use crate::platform::Platform;
use crate::push;

/// Largest body that is read.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// It could not be started.
#[derive(Debug)]
pub struct StandinError(pub io::Error);

impl std::fmt::Display for StandinError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the stand-in of WeChat cannot listen")
    }
}

impl std::error::Error for StandinError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// A stand-in that listens.
pub struct Standin {
    listener: TcpListener,
    platform: Arc<Mutex<Platform>>,
}

/// The connection is to be closed without an answer.
#[derive(Debug)]
struct Hangup;

impl std::fmt::Display for Hangup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed on purpose")
    }
}

impl std::error::Error for Hangup {}

impl Standin {
    /// Listens at `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// [`StandinError`].
    pub async fn listen(address: SocketAddr, platform: Platform) -> Result<Self, StandinError> {
        let listener = TcpListener::bind(address).await.map_err(StandinError)?;
        Ok(Self { listener, platform: Arc::new(Mutex::new(platform)) })
    }

    /// The address to be used as `wechat.base_url`.
    ///
    /// # Errors
    /// [`StandinError`].
    pub fn base_url(&self) -> Result<String, StandinError> {
        let address = self.listener.local_addr().map_err(StandinError)?;
        Ok(format!("http://{address}"))
    }

    /// What it knows and did, to be looked at and changed.
    pub fn platform(&self) -> Arc<Mutex<Platform>> {
        Arc::clone(&self.platform)
    }

    /// Serves until the future is dropped.
    pub async fn serve(self) -> Infallible {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        connections.spawn(converse(stream, Arc::clone(&self.platform)));
                    }
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

async fn converse(stream: TcpStream, platform: Arc<Mutex<Platform>>) {
    // An answer of several writes must not wait for the other side's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| handle(Arc::clone(&platform), request));
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(error = &error as &dyn std::error::Error, "a connection of the stand-in ended");
    }
}

fn lock(platform: &Mutex<Platform>) -> MutexGuard<'_, Platform> {
    platform.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn handle(platform: Arc<Mutex<Platform>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Hangup> {
    let Some(request) = read(request).await else { return Ok(plain(StatusCode::BAD_REQUEST)) };
    if request.path.starts_with("/_standin") {
        return Ok(controlled(&platform, &request).await);
    }
    let fault = {
        let mut platform = lock(&platform);
        *platform.calls.entry(request.path.clone()).or_default() += 1;
        let mut faults = std::mem::take(&mut platform.faults);
        let fault = faults::take(&mut faults, &request.path);
        platform.faults = faults;
        fault
    };
    match fault {
        None => Ok(answer(&platform, &request)),
        Some(FaultKind::Refuse { code, message }) => Ok(json_answer(&json!({ "errcode": code, "errmsg": message }))),
        Some(FaultKind::Status(status)) => Ok(plain(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY))),
        Some(FaultKind::Slow(wait)) => {
            let _lane = Lane::enter(&platform, &request);
            tokio::time::sleep(wait).await;
            Ok(answer(&platform, &request))
        }
        Some(FaultKind::TimeoutAfter(wait)) => {
            let late = answer(&platform, &request);
            tokio::time::sleep(wait).await;
            Ok(late)
        }
        Some(FaultKind::ResetAfter) => {
            answer(&platform, &request);
            Err(Hangup)
        }
        Some(FaultKind::TruncateAfter) => {
            let whole = answer(&platform, &request).into_body().collect().await;
            let bytes = whole.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            Ok(Response::new(Full::new(bytes.slice(..bytes.len() / 2))))
        }
        Some(FaultKind::ResetBefore) => Err(Hangup),
    }
}

/// Counts sends to one person that are under way.
struct Lane {
    platform: Arc<Mutex<Platform>>,
    key: Option<(String, String)>,
}

impl Lane {
    fn enter(platform: &Arc<Mutex<Platform>>, request: &ApiRequest) -> Self {
        let person = request.body.get("touser").and_then(Value::as_str);
        let mut held = lock(platform);
        let token = request.query.get("access_token").cloned().unwrap_or_default();
        let is_of = |state: &crate::platform::AppState| state.stable.current.as_ref().is_some_and(|t| t.value == token);
        let appid = held.states.iter().find(|(_, state)| is_of(state)).map(|(appid, _)| appid.clone());
        let key = appid.zip(person.map(str::to_owned));
        if let Some(key) = &key {
            *held.sending.entry(key.clone()).or_default() += 1;
        }
        drop(held);
        Self { platform: Arc::clone(platform), key }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(key) = self.key.take()
            && let Some(count) = lock(&self.platform).sending.get_mut(&key)
        {
            *count = count.saturating_sub(1);
        }
    }
}

fn answer(platform: &Mutex<Platform>, request: &ApiRequest) -> Response<Full<Bytes>> {
    match api::answer(&mut lock(platform), request) {
        ApiReply::Json(value) => json_answer(&value),
        ApiReply::Png(bytes) => {
            let mut response = Response::new(Full::new(Bytes::from_static(bytes)));
            let kind = http::HeaderValue::from_static("image/png");
            response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
            response
        }
    }
}

async fn controlled(platform: &Mutex<Platform>, request: &ApiRequest) -> Response<Full<Bytes>> {
    let Some(done) = control::act(&mut lock(platform), request) else { return plain(StatusCode::BAD_REQUEST) };
    let mut answer = done.answer;
    if let Some(outgoing) = done.push {
        // As the platform: up to three tries, five seconds each.
        let mut status = push_once(outgoing.clone()).await;
        for _ in 0..2 {
            if status == Some(200) {
                break;
            }
            status = push_once(outgoing.clone()).await;
        }
        if let Some(map) = answer.as_object_mut() {
            map.insert("pushed".to_owned(), json!(status));
        }
    }
    json_answer(&answer)
}

async fn push_once(outgoing: push::Outgoing) -> Option<u16> {
    let sent = tokio::time::timeout(Duration::from_secs(5), push::send(outgoing)).await;
    sent.ok().flatten().map(|status| status.as_u16())
}

/// The platform says text/plain for JSON here and there; so does this everywhere.
fn json_answer(value: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain"));
    response
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"<html></html>")));
    *response.status_mut() = status;
    response
}

async fn read(request: Request<Incoming>) -> Option<ApiRequest> {
    let method = match *request.method() {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => return None,
    };
    let path = request.uri().path().to_owned();
    let query = request.uri().query().map(read_query).unwrap_or_default();
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await.ok()?.to_bytes();
    let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).ok()? };
    Some(ApiRequest { method, path, query, body })
}

fn read_query(query: &str) -> HashMap<String, String> {
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decoded(name), decoded(value))
    };
    query.split('&').map(pair).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let escaped = (byte == b'%').then(|| (rest.next(), rest.next()));
        match escaped {
            Some((Some(high), Some(low))) => {
                let mut one = [0];
                match hex::decode_to_slice([high, low], &mut one) {
                    Ok(()) => bytes.extend(one),
                    Err(_) => bytes.extend([b'%', high, low]),
                }
            }
            Some(_) => break,
            None => bytes.push(if byte == b'+' { b' ' } else { byte }),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
