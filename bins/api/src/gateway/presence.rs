//! Keeps the presence of this node's sockets in the store: changes in batches, and a lease that says the node is alive.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::id::ConversationId;
use domain::{Clock, StoreError, Timestamp};
use im::ImStore;
use im::presence::Presence;
use runtime::Tasks;
use tokio::sync::Notify;
use tracing::warn;

/// Changes gather for this long.
const GATHER: Duration = Duration::from_millis(100);
/// Pause after the store did not answer.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// Rows written at once.
const BATCH: usize = 500;

/// What one socket shows.
#[derive(Debug, Clone)]
struct Shown {
    client_ids: Arc<[String]>,
    viewing: Option<ConversationId>,
}

#[derive(Default)]
struct State {
    sockets: HashMap<u64, Shown>,
    /// Differ from what is stored.
    changed: HashSet<u64>,
    /// No longer in front on some socket: whether somebody is to be told of the next message is decided anew.
    left: HashSet<ConversationId>,
}

/// What is to be written at once.
struct Changes {
    sockets: Vec<u64>,
    rows: Vec<Presence>,
    gone: Vec<u64>,
    left: Vec<ConversationId>,
}

/// Knows what the sockets of this node show, and writes it down.
pub(super) struct PresenceKeeper {
    node: String,
    store: Arc<dyn ImStore>,
    clock: Arc<dyn Clock>,
    lease: Duration,
    state: Mutex<State>,
    wake: Notify,
}

impl PresenceKeeper {
    pub(super) fn start(
        node: String,
        store: Arc<dyn ImStore>,
        clock: Arc<dyn Clock>,
        lease: Duration,
        tasks: &Tasks,
    ) -> Arc<Self> {
        let keeper = Self { node, store, clock, lease, state: Mutex::default(), wake: Notify::new() };
        let keeper = Arc::new(keeper);
        let (keeping, stopping) = (keeper.clone(), tasks.stopping());
        tasks.spawn("presence", async move {
            tokio::select! {
                () = keeping.keep() => {}
                () = stopping => {}
            }
        });
        keeper
    }

    /// Sets what a socket shows.
    pub(super) fn show(&self, socket: u64, client_ids: &Arc<[String]>, viewing: Option<ConversationId>) {
        let mut state = self.lock();
        let before = state.sockets.insert(socket, Shown { client_ids: client_ids.clone(), viewing });
        let left = before.and_then(|before| before.viewing).filter(|left| Some(*left) != viewing);
        state.left.extend(left);
        state.changed.insert(socket);
        drop(state);
        self.wake.notify_one();
    }

    pub(super) fn remove(&self, socket: u64) {
        let mut state = self.lock();
        let before = state.sockets.remove(&socket);
        state.left.extend(before.and_then(|before| before.viewing));
        state.changed.insert(socket);
        drop(state);
        self.wake.notify_one();
    }

    /// Those of the clients that have a socket here, once for each socket.
    pub(super) fn connected(&self, client_ids: &[String]) -> Vec<String> {
        let asked: HashSet<&String> = client_ids.iter().collect();
        let state = self.lock();
        let here = state.sockets.values().flat_map(|shown| shown.client_ids.iter());
        here.filter(|client| asked.contains(client)).cloned().collect()
    }

    /// Forgets this node in the store.
    pub(super) async fn leave(&self) {
        if let Err(error) = self.remove_node().await {
            // Its lease ends by itself.
            warn!(error = &error as &dyn Error, "the presence of this node was left behind");
        }
    }

    async fn remove_node(&self) -> Result<(), StoreError> {
        let mut unit = self.store.begin().await?;
        unit.presence().remove_node(&self.node).await?;
        unit.commit().await
    }

    async fn keep(&self) {
        let renew_every = self.lease / 3;
        let mut renewed: Option<Timestamp> = None;
        loop {
            let now = self.clock.now();
            let is_due = renewed.is_none_or(|at| now.since(at) >= renew_every);
            if is_due {
                // Others may have cleared away what this node left for longer than its lease.
                if renewed.is_none_or(|at| now.since(at) >= self.lease) {
                    let mut state = self.lock();
                    let all: Vec<u64> = state.sockets.keys().copied().collect();
                    state.changed.extend(all);
                }
                match self.renew(now).await {
                    Ok(()) => renewed = Some(now),
                    Err(error) => {
                        warn!(error = &error as &dyn Error, "presence could not be renewed");
                        tokio::time::sleep(STORE_PAUSE).await;
                        continue;
                    }
                }
            }
            if let Err(error) = self.write_changes().await {
                warn!(error = &error as &dyn Error, "presence could not be written");
                tokio::time::sleep(STORE_PAUSE).await;
                continue;
            }
            let until_renewal =
                renewed.map_or(Duration::ZERO, |at| renew_every.saturating_sub(self.clock.now().since(at)));
            tokio::select! {
                () = self.wake.notified() => tokio::time::sleep(GATHER).await,
                () = tokio::time::sleep(until_renewal) => {}
            }
        }
    }

    async fn renew(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut unit = self.store.begin().await?;
        unit.presence().renew(&self.node, now, self.lease).await?;
        unit.commit().await
    }

    async fn write_changes(&self) -> Result<(), StoreError> {
        loop {
            let changes = self.take_changes();
            if changes.sockets.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.write(&changes).await {
                let mut state = self.lock();
                state.changed.extend(changes.sockets);
                state.left.extend(changes.left);
                return Err(error);
            }
        }
    }

    fn take_changes(&self) -> Changes {
        let mut state = self.lock();
        let sockets: Vec<u64> = state.changed.iter().copied().take(BATCH).collect();
        let (mut rows, mut gone) = (Vec::new(), Vec::new());
        for socket in &sockets {
            state.changed.remove(socket);
            match state.sockets.get(socket) {
                Some(shown) => rows.extend(shown.client_ids.iter().map(|client_id| Presence {
                    socket: *socket,
                    node: self.node.clone(),
                    client_id: client_id.clone(),
                    viewing: shown.viewing,
                })),
                None => gone.push(*socket),
            }
        }
        // With the last of the changes, so that none of them is written later.
        let left = if state.changed.is_empty() { state.left.drain().collect() } else { Vec::new() };
        Changes { sockets, rows, gone, left }
    }

    async fn write(&self, changes: &Changes) -> Result<(), StoreError> {
        let mut unit = self.store.begin().await?;
        if !changes.gone.is_empty() {
            unit.presence().remove(&self.node, &changes.gone).await?;
        }
        if !changes.rows.is_empty() {
            unit.presence().put(&changes.rows).await?;
        }
        if !changes.left.is_empty() {
            unit.conversations().reset_review(&changes.left).await?;
        }
        unit.commit().await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
