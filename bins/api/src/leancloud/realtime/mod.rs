//! The realtime protocol of LeanCloud clients: where its servers are, its sockets, and what servers ask of it over HTTP.

mod outlet;
mod rest;
mod socket;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leancloud::realtime::Realtime;
use leancloud::realtime::frame::{SUBPROTOCOLS, Subprotocol, subprotocol};
use poem::http::header::SEC_WEBSOCKET_PROTOCOL;
use poem::web::Data;
use poem::web::websocket::{BoxWebSocketUpgraded, WebSocket, WebSocketConfig};
use poem::{EndpointExt, Request, Response, Route, get, handler};
use runtime::LiveLog;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, warn};

use super::answer;
use crate::gateway::Gateway;
use crate::http::catalogue::code;
use crate::http::problem::ApiError;
use socket::SocketTask;

pub use outlet::OpenClients;
pub(super) use rest::{on_conversations, serve_1_1, serve_1_2};

/// Where the sockets are.
const PATH: &str = "/ws";
/// The buffers of a socket; the defaults of the library would cost more than all else about an idle one.
const BUFFER_BYTES: usize = 4096;
/// For how long clients may remember where the servers are, in seconds.
const ROUTE_TTL_S: u32 = 3600;

/// All sockets of this process.
pub struct RealtimeGateway {
    realtime: Arc<Realtime>,
    live: Arc<LiveLog>,
    /// Keeps presence and receipts for all protocols.
    gateway: Arc<Gateway>,
    max_sockets: usize,
    queue_frames: usize,
    drain_spread: Duration,
    open: AtomicUsize,
    clients: Arc<OpenClients>,
    draining: CancellationToken,
    sockets: TaskTracker,
}

/// How many sockets there may be, and how much may wait for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RealtimeLimits {
    pub max_sockets: usize,
    pub queue_frames: usize,
    pub drain_spread: Duration,
}

impl RealtimeGateway {
    pub fn new(
        realtime: Arc<Realtime>,
        live: Arc<LiveLog>,
        gateway: Arc<Gateway>,
        clients: Arc<OpenClients>,
        limits: RealtimeLimits,
    ) -> Arc<Self> {
        Arc::new(Self {
            realtime,
            live,
            gateway,
            max_sockets: limits.max_sockets,
            queue_frames: limits.queue_frames,
            drain_spread: limits.drain_spread,
            open: AtomicUsize::new(0),
            clients,
            draining: CancellationToken::new(),
            sockets: TaskTracker::new(),
        })
    }

    /// The use cases.
    pub const fn realtime(&self) -> &Arc<Realtime> {
        &self.realtime
    }

    /// Tells every client to go elsewhere and takes no more sockets, without waiting.
    pub fn begin_drain(&self) {
        self.draining.cancel();
        self.sockets.close();
    }

    /// Waits until all sockets are closed, at most `deadline`.
    pub async fn drained(&self, deadline: Duration) {
        self.begin_drain();
        if tokio::time::timeout(deadline, self.sockets.wait()).await.is_err() {
            warn!(sockets = self.sockets.len(), "some sockets of LeanCloud clients did not close in time");
        }
    }
}

/// One of the sockets that may be open.
struct Place(Arc<RealtimeGateway>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        metrics::gauge!("leancloud_sockets").decrement(1.0);
    }
}

/// Adds the sockets and the way to them.
pub(super) fn add_to(route: Route, gateway: &Arc<RealtimeGateway>, public_url: &str) -> Route {
    let socket_url = format!("{}{PATH}", public_url.replacen("http", "ws", 1));
    route
        .at("/v1/route", get(route_servers.data(SocketUrl(socket_url))))
        .at(PATH, get(open_socket.data(gateway.clone())))
}

#[derive(Clone)]
struct SocketUrl(String);

/// Where a client connects to; on a reconnect it tries the second address first.
#[handler]
fn route_servers(Data(url): Data<&SocketUrl>) -> Response {
    answer::ok(&json!({ "groupId": "g0", "server": url.0, "secondary": url.0, "ttl": ROUTE_TTL_S }))
}

#[handler]
fn open_socket(
    request: &Request,
    upgrade: WebSocket,
    Data(gateway): Data<&Arc<RealtimeGateway>>,
) -> Result<BoxWebSocketUpgraded, ApiError> {
    if gateway.draining.is_cancelled() {
        return Err(ApiError::of(code::STOPPING).retry_after(1));
    }
    let place = Place(gateway.clone());
    metrics::gauge!("leancloud_sockets").increment(1.0);
    if gateway.open.fetch_add(1, Ordering::Relaxed) >= gateway.max_sockets {
        return Err(ApiError::of(code::BUSY).retry_after(1));
    }
    let spoken = spoken(request);
    let most = gateway.realtime.policy().max_frame_bytes;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_frame_size(Some(most))
        .max_message_size(Some(most));
    let (gateway, token) = (gateway.clone(), gateway.sockets.token());
    let upgraded = upgrade.protocols([spoken.name]).config(config).on_upgrade(move |stream| {
        let span = tracing::info_span!("leancloud socket", socket = gateway.live.next_id());
        async move {
            SocketTask::new(gateway, stream, spoken).run().await;
            drop((place, token));
        }
        .instrument(span)
    });
    Ok(upgraded.boxed())
}

/// What a client wants to speak: by the header, which browsers insist on, or by the address, as mini-programs do.
fn spoken(request: &Request) -> Subprotocol {
    let header = request.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|value| value.to_str().ok());
    let named = header.and_then(subprotocol).or_else(|| {
        let pairs = request.uri().query().unwrap_or_default().split('&');
        pairs.filter_map(|pair| pair.strip_prefix("subprotocol=")).find_map(subprotocol)
    });
    let [usual, ..] = SUBPROTOCOLS;
    named.unwrap_or(usual)
}
