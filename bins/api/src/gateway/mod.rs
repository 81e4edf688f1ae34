//! Messaging over WebSockets at `/im/v1/ws`, as `openapi/im-protocol.md` documents it: one small task for each socket,
//! which moves frames between the socket, the state machine of `im::session`, and the log as this node passes it on.

mod greeting;
mod guests;
mod outlet;
mod presence;
mod receipts;
mod socket;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::Clock;
use im::ImStore;
use im::policy::ImPolicy;
use im::protocol::{Bye, ByeReason};
use im::service::{History, ImContext, MessageQueue, Messages, Reads};
use im::session::SessionLimits;
use metrics::{Counter, Gauge};
use poem::http::HeaderMap;
use poem::web::Data;
use poem::web::websocket::{BoxWebSocketUpgraded, WebSocket, WebSocketConfig};
use poem::{EndpointExt, Route, handler};
use runtime::{Config, LiveLog, Tasks};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, warn};

use crate::http::caller::Gatekeeper;
use crate::http::catalogue::code;
use crate::http::console_session;
use crate::http::problem::ApiError;
use presence::PresenceKeeper;
use receipts::ReceiptKeeper;
use socket::Socket;

/// Where the sockets are.
pub const PATH: &str = "/im/v1/ws";

/// The buffers of a socket; the defaults of the library would cost more than all else about an idle one. The one for
/// reading is there all the time, and grows for a longer frame.
const READ_BYTES: usize = 2048;
/// What gathers is sent when it is as much as this.
const WRITE_BYTES: usize = 4096;
/// A socket asks its client to come back after at least this long.
const RECONNECT: Duration = Duration::from_millis(250);

/// What sockets may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewaySettings {
    pub limits: SessionLimits,
    /// Of this process.
    pub max_sockets: usize,
    pub max_sockets_per_user: usize,
    /// Frames that may wait for one socket.
    pub queue_frames: usize,
    pub drain_spread: Duration,
}

impl GatewaySettings {
    pub fn of(config: &Config) -> Self {
        Self {
            limits: config.session_limits(),
            max_sockets: config.im.max_sockets.get(),
            max_sockets_per_user: config.im.max_sockets_per_user.get(),
            queue_frames: config.im.queue_frames.get(),
            drain_spread: config.im.drain_spread,
        }
    }
}

/// What the gateway stands on.
pub struct GatewayPorts {
    pub context: ImContext,
    pub live: Arc<LiveLog>,
    pub queue: Arc<dyn MessageQueue>,
    pub gatekeeper: Arc<dyn Gatekeeper>,
    /// Name of this process among the nodes.
    pub node: String,
}

/// All sockets of this process.
pub struct Gateway {
    settings: GatewaySettings,
    live: Arc<LiveLog>,
    store: Arc<dyn ImStore>,
    clock: Arc<dyn Clock>,
    policy: Arc<ImPolicy>,
    messages: Messages,
    reads: Reads,
    history: History,
    queue: Arc<dyn MessageQueue>,
    gatekeeper: Arc<dyn Gatekeeper>,
    presence: Arc<PresenceKeeper>,
    receipts: Arc<ReceiptKeeper>,
    open: AtomicUsize,
    draining: CancellationToken,
    sockets: TaskTracker,
    meters: Meters,
}

/// Counted often, so looked up once.
struct Meters {
    open: Gauge,
    frames_in: Counter,
    frames_out: Counter,
    acks: Counter,
}

impl Gateway {
    /// Starts what keeps presence and receipts.
    pub fn start(ports: GatewayPorts, settings: GatewaySettings, tasks: &Tasks) -> Arc<Self> {
        let GatewayPorts { context, live, queue, gatekeeper, node } = ports;
        let (store, clock) = (context.store.clone(), context.clock.clone());
        let lease = context.policy.presence_lease;
        Arc::new(Self {
            settings,
            presence: PresenceKeeper::start(node, store.clone(), clock.clone(), lease, tasks),
            receipts: ReceiptKeeper::start(store.clone(), live.clone(), tasks),
            live,
            store,
            clock,
            policy: context.policy.clone(),
            messages: Messages::new(context.clone()),
            reads: Reads::new(context.clone()),
            history: History::new(context),
            queue,
            gatekeeper,
            open: AtomicUsize::new(0),
            draining: CancellationToken::new(),
            sockets: TaskTracker::new(),
            meters: Meters {
                open: metrics::gauge!("im_sockets"),
                frames_in: metrics::counter!("im_frames_in"),
                frames_out: metrics::counter!("im_frames_out"),
                acks: metrics::counter!("im_acks"),
            },
        })
    }

    /// Sends everybody away and takes no more sockets, without waiting.
    pub fn begin_drain(&self) {
        self.draining.cancel();
        self.sockets.close();
    }

    /// Waits until all sockets are closed, at most `deadline`. Messages handed in are answered before.
    pub async fn drained(&self, deadline: Duration) {
        self.begin_drain();
        if tokio::time::timeout(deadline, self.sockets.wait()).await.is_err() {
            warn!(sockets = self.sockets.len(), "some sockets did not close in time");
        }
        self.receipts.flush().await;
        self.presence.leave().await;
    }

    /// A place for one more socket.
    fn admit(self: &Arc<Self>) -> Result<Place, ApiError> {
        if self.draining.is_cancelled() {
            return Err(ApiError::of(code::STOPPING).retry_after(1));
        }
        let place = Place(self.clone());
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        self.meters.open.increment(1.0);
        if before < self.settings.max_sockets { Ok(place) } else { Err(ApiError::of(code::BUSY).retry_after(1)) }
    }

    /// The farewell of a node that stops; sockets come back spread out.
    fn draining_bye(&self, socket: u64) -> Bye {
        let spread = self.settings.drain_spread.as_millis().max(1);
        let after = RECONNECT.as_millis() + u128::from(socket).wrapping_mul(7919) % spread;
        let reconnect_after_ms = Some(u64::try_from(after).unwrap_or(u64::MAX));
        Bye { reason: ByeReason::Draining, detail: None, reconnect_after_ms }
    }
}

/// One of the sockets that may be open.
struct Place(Arc<Gateway>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.meters.open.decrement(1.0);
    }
}

/// Adds the gateway to the routes.
pub fn add_to(route: Route, gateway: Arc<Gateway>) -> Route {
    route.at(PATH, poem::get(open_socket).data(gateway))
}

#[handler]
fn open_socket(
    upgrade: WebSocket,
    headers: &HeaderMap,
    Data(gateway): Data<&Arc<Gateway>>,
) -> Result<BoxWebSocketUpgraded, ApiError> {
    let place = gateway.admit()?;
    // Longer frames than allowed are still read up to here, so that the socket can be closed with the reason.
    let most = gateway.settings.limits.max_frame_bytes.saturating_mul(2).saturating_add(READ_BYTES);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        .write_buffer_size(WRITE_BYTES)
        .max_frame_size(Some(most))
        .max_message_size(Some(most));
    let console_token = console_session::socket_token(headers).map(Into::into);
    let (gateway, token) = (gateway.clone(), gateway.sockets.token());
    let upgraded = upgrade.config(config).on_upgrade(move |stream| {
        let id = gateway.live.next_id();
        let span = tracing::info_span!("socket", socket = id);
        async move {
            Socket::new(gateway, stream, id, console_token).run().await;
            drop((place, token));
        }
        .instrument(span)
    });
    Ok(upgraded.boxed())
}
