//! The log as this process passes it on: drives the feed, reads what it lacks, tells other nodes, and listens to them.

mod nats;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use domain::StoreError;
use im::ImStore;
use im::feed::{Ephemeral, Fanout, FanoutState, Feed, Gap, Hint, HintListener, Need, Outgoing, Outlet, Subscriber};
use im::log::{Committed, LogEntry, LogListener, LogWatch};
use im::protocol::Bye;
use tokio::sync::Notify;
use tracing::warn;

pub use nats::{NatsAddressError, NatsFanout};

use crate::{Secret, Tasks};

/// Entries read from the store at once.
const PAGE: u32 = 500;
/// Pause after the store did not answer.
const STORE_PAUSE: Duration = Duration::from_millis(200);
/// How often the head of the log is looked at, though nothing was heard.
const LOOK_ALONE: Duration = Duration::from_millis(500);
const LOOK_CONNECTED: Duration = Duration::from_secs(5);
const LOOK_LOST: Duration = Duration::from_millis(250);

/// Tells other processes of commits, without listening: for processes without sockets.
pub struct Announcer(pub Arc<dyn Fanout>);

impl LogListener for Announcer {
    fn committed(&self, committed: Committed) {
        self.0.publish(Hint::from(&committed));
    }

    fn moved(&self) {
        self.0.publish(Hint::Moved);
    }
}

/// There is nobody else.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

impl Fanout for Alone {
    fn publish(&self, _: Hint) {}

    fn listen(&self, _: Arc<dyn HintListener>) {}

    fn state(&self) -> FanoutState {
        FanoutState::Alone
    }
}

/// The way to the other nodes that the configuration names.
///
/// # Errors
/// [`NatsAddressError`].
pub async fn open(url: &Secret, tasks: &Tasks) -> Result<Arc<dyn Fanout>, NatsAddressError> {
    if url.expose().is_empty() { Ok(Arc::new(Alone)) } else { Ok(Arc::new(NatsFanout::connect(url, tasks).await?)) }
}

/// The feed of this process, and what keeps it fed.
pub struct LiveLog {
    feed: Feed,
    fanout: Arc<dyn Fanout>,
    next_id: AtomicU64,
}

impl LiveLog {
    /// Begins at the head of the log and follows it in the background.
    ///
    /// # Errors
    /// When the head cannot be read.
    pub async fn start(
        store: Arc<dyn ImStore>,
        fanout: Arc<dyn Fanout>,
        tasks: &Tasks,
    ) -> Result<Arc<Self>, StoreError> {
        let head = store.read().log().head().await?;
        let wake = Arc::new(Notify::new());
        let ring = wake.clone();
        let feed = Feed::new(head, move || ring.notify_one());
        let live = Arc::new(Self { feed, fanout: fanout.clone(), next_id: AtomicU64::new(1) });
        fanout.listen(live.clone());
        let (follower, stopping) = (Follower { live: live.clone(), store, wake }, tasks.stopping());
        tasks.spawn("follow the log", async move {
            tokio::select! {
                () = follower.follow() => {}
                () = stopping => {}
            }
        });
        Ok(live)
    }

    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// An id for a subscriber, not given before; also the origin of what comes through it.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Passes on something that is not stored, here and on the other nodes.
    pub fn ephemeral(&self, ephemeral: Ephemeral) {
        self.fanout.publish(Hint::Ephemeral(ephemeral.clone()));
        self.feed.ephemeral(ephemeral);
    }

    /// Whether other nodes can be told.
    pub fn fanout_state(&self) -> FanoutState {
        self.fanout.state()
    }
}

impl LogListener for LiveLog {
    fn committed(&self, committed: Committed) {
        self.feed.committed(&committed, Instant::now());
        self.fanout.publish(Hint::from(&committed));
    }

    fn moved(&self) {
        self.feed.moved();
        self.fanout.publish(Hint::Moved);
    }
}

impl HintListener for LiveLog {
    fn hear(&self, hint: Hint) {
        match hint {
            Hint::Committed(entries) => {
                let entries = entries.into_iter().map(|entry| (entry, None)).collect();
                self.feed.committed(&Committed { entries }, Instant::now());
            }
            Hint::Head(position) => self.feed.heard_of(position, Instant::now()),
            Hint::Moved => self.feed.moved(),
            Hint::Ephemeral(ephemeral) => self.feed.ephemeral(ephemeral),
        }
    }
}

#[async_trait]
impl LogWatch for LiveLog {
    async fn moved_for(&self, client_ids: &[String], after: i64) {
        let bell = Arc::new(WatchBell { rung: Notify::new(), after });
        let watch = Watch {
            feed: &self.feed,
            subscriber: Subscriber {
                id: self.next_id(),
                client_ids: client_ids.into(),
                session: None,
                outlet: bell.clone(),
            },
        };
        if self.feed.watch(&watch.subscriber) <= after {
            bell.rung.notified().await;
        }
    }
}

/// Rung by the first entry that counts.
struct WatchBell {
    rung: Notify,
    after: i64,
}

impl Outlet for WatchBell {
    fn push(&self, outgoing: Outgoing) {
        if let Outgoing::Entry { entry, .. } = outgoing
            && entry.position() > self.after
        {
            self.rung.notify_one();
        }
    }

    fn close(&self, _: Bye) {
        self.rung.notify_one();
    }
}

/// Somebody waits; dropped with the one who waits.
struct Watch<'a> {
    feed: &'a Feed,
    subscriber: Subscriber,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.feed.leave(&self.subscriber);
    }
}

/// Brings the feed what it needs.
struct Follower {
    live: Arc<LiveLog>,
    store: Arc<dyn ImStore>,
    wake: Arc<Notify>,
}

impl Follower {
    async fn follow(self) {
        let feed = &self.live.feed;
        let mut looked_at = Instant::now();
        loop {
            let look_every = match self.live.fanout.state() {
                FanoutState::Alone => LOOK_ALONE,
                FanoutState::Connected => LOOK_CONNECTED,
                FanoutState::Lost => LOOK_LOST,
            };
            let pause = match feed.needs(Instant::now()) {
                Need::Nothing => look_every.saturating_sub(looked_at.elapsed()),
                Need::Patience(pause) => pause,
                need => {
                    if need == Need::Head {
                        looked_at = Instant::now();
                    }
                    if let Err(error) = self.bring(&need).await {
                        warn!(error = &error as &dyn std::error::Error, "the log could not be read");
                        if need == Need::Head {
                            feed.moved();
                        }
                        tokio::time::sleep(STORE_PAUSE).await;
                    }
                    continue;
                }
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {
                    if looked_at.elapsed() >= look_every {
                        feed.moved();
                    }
                }
            }
        }
    }

    async fn bring(&self, need: &Need) -> Result<(), StoreError> {
        let feed = &self.live.feed;
        let mut unit = self.store.read();
        match need {
            Need::Nothing | Need::Patience(_) => {}
            Need::Head => feed.head_read(unit.log().head().await?, Instant::now()),
            Need::Entries(Gap { after, until }) => {
                let entries = unit.log().entries(*after, *until, PAGE).await?;
                let is_all = entries.len() < PAGE as usize;
                let read_to = entries.last().map(LogEntry::position).filter(|_| !is_all).unwrap_or(*until);
                metrics::counter!("im_log_entries_read").increment(entries.len() as u64);
                feed.entries_read(Gap { after: *after, until: read_to }, entries, Instant::now());
            }
            Need::Members { ids, as_of } => {
                let members = unit.conversations().members_of_all(ids).await?;
                feed.members_read(ids, *as_of, members);
            }
        }
        Ok(())
    }
}
