//! Hints over NATS. Without a connection they are dropped, and it comes back by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_nats::{Client, ConnectOptions, Event, ServerAddr};
use futures_util::StreamExt;
use im::feed::{Fanout, FanoutState, Hint, HintListener};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Secret, Tasks};

/// The subject all nodes of one database share.
const SUBJECT: &str = "zhaoguan.log";
/// Hints that may wait to be sent.
const QUEUE: usize = 4096;

/// `fanout.url` does not name a server.
#[derive(Debug, thiserror::Error)]
#[error("fanout.url does not name a NATS server")]
pub struct NatsAddressError(#[source] std::io::Error);

const CONNECTING: u8 = 0;
const CONNECTED: u8 = 1;
const LOST: u8 = 2;

/// What is known of the connection.
struct Line {
    state: AtomicU8,
    /// Rung when there is a connection again.
    connected: Notify,
}

impl Line {
    fn on_event(&self, event: &Event) {
        match event {
            Event::Connected => {
                self.state.store(CONNECTED, Ordering::Release);
                metrics::gauge!("fanout_connected").set(1.0);
                info!("connected to NATS");
                self.connected.notify_one();
            }
            Event::Disconnected | Event::Closed => {
                if self.state.swap(LOST, Ordering::AcqRel) != LOST {
                    metrics::gauge!("fanout_connected").set(0.0);
                    metrics::counter!("fanout_lost").increment(1);
                    warn!("NATS is lost: other nodes are followed by looking into the database");
                }
            }
            Event::SlowConsumer(_) => metrics::counter!("fanout_hints_missed").increment(1),
            Event::LameDuckMode | Event::Draining | Event::ServerError(_) | Event::ClientError(_) => {}
        }
    }
}

/// Hints to and from the other nodes over NATS.
pub struct NatsFanout {
    client: Client,
    line: Arc<Line>,
    queue: mpsc::Sender<Hint>,
    tasks: Tasks,
}

impl NatsFanout {
    /// Connects in the background, for as long as the process runs. `url` may name several servers, separated by commas.
    ///
    /// # Errors
    /// [`NatsAddressError`].
    pub async fn connect(url: &Secret, tasks: &Tasks) -> Result<Self, NatsAddressError> {
        let servers: Result<Vec<ServerAddr>, _> = url.expose().split(',').map(|url| url.trim().parse()).collect();
        let servers = servers.map_err(NatsAddressError)?;
        let line = Arc::new(Line { state: AtomicU8::new(CONNECTING), connected: Notify::new() });
        metrics::gauge!("fanout_connected").set(0.0);
        let told = line.clone();
        let options = ConnectOptions::new()
            .name("zhaoguan")
            .no_echo()
            .retry_on_initial_connect()
            .max_reconnects(None)
            .reconnect_delay_callback(|tries| {
                std::time::Duration::from_millis(u64::try_from(tries.min(20)).unwrap_or(20) * 50)
            })
            .event_callback(move |event| {
                told.on_event(&event);
                std::future::ready(())
            });
        // With retries in the background this fails for malformed options only.
        let client = options.connect(servers).await.map_err(|error| NatsAddressError(std::io::Error::other(error)))?;
        let (queue, hints) = mpsc::channel(QUEUE);
        tasks.spawn("tell other nodes", send(client.clone(), hints, tasks.stop_token()));
        Ok(Self { client, line, queue, tasks: tasks.clone() })
    }
}

impl Fanout for NatsFanout {
    fn publish(&self, hint: Hint) {
        if self.queue.try_send(hint).is_err() {
            metrics::counter!("fanout_hints_dropped").increment(1);
        }
    }

    fn listen(&self, listener: Arc<dyn HintListener>) {
        let (client, line, stopping) = (self.client.clone(), self.line.clone(), self.tasks.stop_token());
        self.tasks.spawn("hear other nodes", async move {
            tokio::select! {
                () = hear(&client, &line, &*listener) => {}
                () = stopping.cancelled() => {}
            }
        });
    }

    fn state(&self) -> FanoutState {
        match self.line.state.load(Ordering::Acquire) {
            CONNECTED => FanoutState::Connected,
            _ => FanoutState::Lost,
        }
    }
}

async fn send(client: Client, mut hints: mpsc::Receiver<Hint>, stopping: CancellationToken) {
    loop {
        let hint = tokio::select! {
            hint = hints.recv() => hint,
            () = stopping.cancelled() => return,
        };
        let Some(hint) = hint else { return };
        let mut payload = hint.encode();
        if payload.len() > client.max_payload() {
            payload = hint.shortened().encode();
        }
        // While there is no connection the client keeps some and then waits; the queue drops what is more.
        let sent = tokio::select! {
            sent = client.publish(SUBJECT, payload.into()) => sent,
            () = stopping.cancelled() => return,
        };
        if sent.is_err() {
            metrics::counter!("fanout_hints_dropped").increment(1);
        }
    }
}

async fn hear(client: &Client, line: &Line, listener: &dyn HintListener) {
    let Ok(mut subscription) = client.subscribe(SUBJECT).await else {
        warn!("other nodes cannot be heard; they are followed by looking into the database");
        return;
    };
    loop {
        tokio::select! {
            // What was told meanwhile was missed.
            () = line.connected.notified() => listener.hear(Hint::Moved),
            message = subscription.next() => match message {
                Some(message) => match Hint::decode(&message.payload) {
                    Ok(hint) => listener.hear(hint),
                    Err(_unreadable) => listener.hear(Hint::Moved),
                },
                None => return,
            },
        }
    }
}
