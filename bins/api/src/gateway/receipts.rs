//! Keeps how far messages have reached devices: written in batches, then told to the other members.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::StoreError;
use domain::id::ConversationId;
use im::ImStore;
use im::conversation::ReadMove;
use im::feed::{Ephemeral, EphemeralKind};
use runtime::{LiveLog, Tasks};
use tokio::sync::Notify;
use tracing::warn;

/// Receipts gather for this long.
const GATHER: Duration = Duration::from_millis(300);
/// Receipts that may wait; more are dropped, later ones say the same and more.
const MAX_WAITING: usize = 10_000;

/// Gathers receipts and writes them down.
pub(super) struct ReceiptKeeper {
    store: Arc<dyn ImStore>,
    live: Arc<LiveLog>,
    waiting: Mutex<HashMap<(ConversationId, Box<str>), i64>>,
    wake: Notify,
}

impl ReceiptKeeper {
    pub(super) fn start(store: Arc<dyn ImStore>, live: Arc<LiveLog>, tasks: &Tasks) -> Arc<Self> {
        let keeper = Arc::new(Self { store, live, waiting: Mutex::default(), wake: Notify::new() });
        let (keeping, stopping) = (keeper.clone(), tasks.stopping());
        tasks.spawn("receipts", async move {
            let keep = async {
                loop {
                    keeping.wake.notified().await;
                    tokio::time::sleep(GATHER).await;
                    keeping.flush().await;
                }
            };
            tokio::select! {
                () = keep => {}
                () = stopping => {}
            }
        });
        keeper
    }

    /// Notes that everything up to `seq` has reached a device of this person.
    pub(super) fn note(&self, conversation: ConversationId, client_ids: &[String], seq: i64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= MAX_WAITING {
            return;
        }
        for client_id in client_ids {
            let noted = waiting.entry((conversation, client_id.as_str().into())).or_insert(seq);
            *noted = seq.max(*noted);
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// Writes down what has gathered. What cannot be written is lost: the next receipt says it again.
    pub(super) async fn flush(&self) {
        let taken = mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        if taken.is_empty() {
            return;
        }
        let moves = taken.into_iter().map(|((conversation_id, client_id), seq)| ReadMove {
            conversation_id,
            client_id: client_id.into(),
            seq,
        });
        let moves: Vec<ReadMove> = moves.collect();
        if let Err(error) = self.write(&moves).await {
            warn!(error = &error as &dyn Error, "receipts could not be written");
        }
    }

    async fn write(&self, moves: &[ReadMove]) -> Result<(), StoreError> {
        let mut unit = self.store.begin().await?;
        unit.conversations().mark_delivered(moves).await?;
        unit.commit().await?;
        let ids: Vec<_> = moves.iter().map(|m| m.conversation_id).collect::<BTreeSet<_>>().into_iter().collect();
        let members = self.store.read().conversations().members_of_all(&ids).await?;
        let noted: BTreeSet<_> = moves.iter().map(|m| (m.conversation_id, m.client_id.as_str())).collect();
        for member in members.iter().filter(|m| noted.contains(&(m.conversation_id, m.client_id.as_str()))) {
            self.live.ephemeral(Ephemeral {
                conversation_id: member.conversation_id,
                client_ids: vec![member.client_id.clone()],
                kind: EphemeralKind::Delivered { seq: member.delivered_seq },
            });
        }
        Ok(())
    }
}
