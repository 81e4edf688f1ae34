//! Messaging while it runs: the log followed, messages committed, sockets served.

use std::sync::Arc;
use std::time::Duration;

use domain::StoreError;
use domain::id::IdSource;
use im::ImStore;
use im::service::{ImContext, MessageQueue, Messages};
use runtime::fanout::{self, NatsAddressError};
use runtime::{GatedQueue, LiveLog, MessageLanes, Tasks};
use tokio_util::sync::CancellationToken;
use wechat::content::Contents;

use crate::app::App;
use crate::content_gate::ChatGate;
use crate::gateway::{Gateway, GatewayPorts, GatewaySettings};
use crate::http::messaging::{MessagingUseCases, Waits};

/// Messaging could not begin.
#[derive(Debug, thiserror::Error)]
pub enum MessagingError {
    #[error(transparent)]
    Fanout(#[from] NatsAddressError),
    #[error("the log of messaging could not be read")]
    Log(#[from] StoreError),
}

/// The running parts of messaging.
pub struct Messaging {
    pub gateway: Arc<Gateway>,
    pub live: Arc<LiveLog>,
    context: ImContext,
    lanes: Arc<MessageLanes>,
    /// Where messages are handed in: the lanes, behind the content checks if there are any.
    queue: Arc<dyn MessageQueue>,
    /// Ends the waiting of requests for the log to move.
    stop_waiting: CancellationToken,
}

impl Messaging {
    /// Begins at the end of the log.
    ///
    /// # Errors
    /// [`MessagingError`].
    pub async fn start(app: &App, tasks: &Tasks) -> Result<Self, MessagingError> {
        let (config, ground) = (&app.config, &app.ground);
        let fanout = fanout::open(&config.fanout.url, tasks).await?;
        let store: Arc<dyn ImStore> = Arc::new(ground.store.clone());
        name_epoch(&*store, &*ground.ids).await?;
        let live = LiveLog::start(store.clone(), fanout, tasks).await?;
        ground.store.announce_to(live.clone());
        let context = ground.messaging(config, live.clone());
        let messages = Messages::new(context.clone());
        let lanes = Arc::new(MessageLanes::start(&messages, config.message_lanes(), config.database.batch_max.get()));
        let contents = Contents::new(ground.wechat.clone(), config.content_settings());
        let queue: Arc<dyn MessageQueue> = if contents.is_enabled() {
            let gate = ChatGate { contents, people: ground.context.store.clone(), im: store };
            Arc::new(GatedQueue::new(lanes.clone(), Arc::new(gate), tasks.clone()))
        } else {
            lanes.clone()
        };
        let ports = GatewayPorts {
            context: context.clone(),
            live: live.clone(),
            queue: queue.clone(),
            gatekeeper: app.gatekeeper(),
            node: format!("api-{}", ground.ids.next()),
        };
        let gateway = Gateway::start(ports, GatewaySettings::of(config), tasks);
        Ok(Self { gateway, live, context, lanes, queue, stop_waiting: tasks.stop_token() })
    }

    /// What the use cases of messaging are given.
    pub const fn context(&self) -> &ImContext {
        &self.context
    }

    /// The queue every message goes through.
    pub fn queue(&self) -> Arc<dyn MessageQueue> {
        self.queue.clone()
    }

    pub fn use_cases(&self, request_timeout: Duration) -> MessagingUseCases {
        let waits = Waits { longest: request_timeout, stop: self.stop_waiting.clone() };
        MessagingUseCases::new(&self.context, self.queue.clone(), self.live.clone(), waits)
    }

    /// What is to be done as soon as the process is asked to stop: sockets are sent away, waiting requests answered.
    pub fn begin_drain(&self) -> impl FnOnce() + Send + use<> {
        let (gateway, stop_waiting) = (self.gateway.clone(), self.stop_waiting.clone());
        move || {
            gateway.begin_drain();
            stop_waiting.cancel();
        }
    }

    /// Sends the sockets away, then finishes the messages that were handed in.
    pub async fn stop(&self, deadline: Duration) {
        self.gateway.drained(deadline).await;
        self.lanes.close().await;
    }
}

/// Gives a new log its epoch.
async fn name_epoch(store: &dyn ImStore, ids: &dyn IdSource) -> Result<(), StoreError> {
    if !store.read().log().head().await?.epoch.is_empty() {
        return Ok(());
    }
    let mut unit = store.begin().await?;
    unit.log().renew_epoch(&ids.next().to_string()).await?;
    unit.commit().await
}
