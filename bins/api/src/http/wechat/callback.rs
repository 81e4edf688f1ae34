//! `/wechat/{app}/callback`: what the platform pushes. Answered before it is taken in.

use std::sync::Arc;
use std::time::Duration;

use poem::endpoint::make;
use poem::error::ReadBodyError;
use poem::http::StatusCode;
use poem::{Request, Response, Route, get};
use runtime::Tasks;
use serde::Deserialize;
use tokio::time::timeout;
use wechat::inbox::{Inbox, PushError};
use wechat::push::{MAX_PUSH_BYTES, PushQuery, PushRefusal};

/// The platform waits five seconds; when writing takes longer it is told to try again, and the writing goes on.
const ANSWER_WITHIN: Duration = Duration::from_millis(3_500);
/// Pushes being written at once; beyond that the platform is told to come back.
const MAX_PENDING: usize = 256;

/// The query as it comes; what it says about encryption does not count.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RawQuery {
    signature: Option<String>,
    msg_signature: Option<String>,
    timestamp: Option<String>,
    nonce: Option<String>,
    echostr: Option<String>,
}

impl From<RawQuery> for PushQuery {
    fn from(raw: RawQuery) -> Self {
        let RawQuery { signature, msg_signature, timestamp, nonce, echostr } = raw;
        Self { signature, msg_signature, timestamp, nonce, echostr }
    }
}

/// What the gateway works with.
#[derive(Clone)]
struct Gateway {
    inbox: Inbox,
    tasks: Tasks,
    pending: Arc<tokio::sync::Semaphore>,
}

/// Adds the callback address of every app.
pub fn add_to(router: Route, inbox: Inbox, tasks: &Tasks) -> Route {
    let gateway = Gateway { inbox, tasks: tasks.clone(), pending: Arc::new(tokio::sync::Semaphore::new(MAX_PENDING)) };
    let (greeted, pushed) = (gateway.clone(), gateway);
    let greet = make(move |request| {
        let gateway = greeted.clone();
        async move { gateway.greet(&request) }
    });
    let push = make(move |request| {
        let gateway = pushed.clone();
        async move { gateway.push(request).await }
    });
    router.at("/wechat/:app/callback", get(greet).post(push))
}

impl Gateway {
    /// The platform's first request, when the address is entered in its console.
    fn greet(&self, request: &Request) -> Response {
        let Ok(query) = request.params::<RawQuery>() else { return refuse(StatusCode::BAD_REQUEST) };
        let app = request.raw_path_param("app").unwrap_or_default();
        match self.inbox.handshake(app, &query.into()) {
            Ok(echo) => Response::builder().content_type("text/plain").body(echo),
            Err(error) => refuse(status_of(&error)),
        }
    }

    async fn push(&self, mut request: Request) -> Response {
        let Ok(query) = request.params::<RawQuery>() else { return refuse(StatusCode::BAD_REQUEST) };
        let app = request.raw_path_param("app").unwrap_or_default().to_owned();
        let body = match request.take_body().into_bytes_limit(MAX_PUSH_BYTES).await {
            Ok(body) => body,
            Err(ReadBodyError::PayloadTooLarge) => return refuse(StatusCode::PAYLOAD_TOO_LARGE),
            Err(_) => return refuse(StatusCode::BAD_REQUEST),
        };
        let opened = match self.inbox.open(&app, &query.into(), &body) {
            Ok(opened) => opened,
            Err(error) => return refuse(status_of(&error)),
        };
        let Ok(permit) = Arc::clone(&self.pending).try_acquire_owned() else {
            return refuse(StatusCode::SERVICE_UNAVAILABLE);
        };
        // Of its own, so that it is written down even when the answer had to be given before.
        let inbox = self.inbox.clone();
        let writing = self.tasks.spawn("wechat.push", async move {
            let _permit = permit;
            inbox.store(opened).await
        });
        match timeout(ANSWER_WITHIN, writing).await {
            Ok(Ok(Ok(()))) => Response::builder().content_type("text/plain").body("success"),
            Ok(Ok(Err(error))) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a push could not be written down");
                refuse(StatusCode::SERVICE_UNAVAILABLE)
            }
            Ok(Err(_)) | Err(_) => refuse(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

fn status_of(error: &PushError) -> StatusCode {
    match error {
        PushError::NotConfigured => StatusCode::NOT_FOUND,
        PushError::Refused(PushRefusal::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
        PushError::Refused(PushRefusal::Malformed) => StatusCode::BAD_REQUEST,
        PushError::Refused(_) => StatusCode::FORBIDDEN,
        PushError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn refuse(status: StatusCode) -> Response {
    Response::builder().status(status).finish()
}
