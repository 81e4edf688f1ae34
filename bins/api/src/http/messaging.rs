//! The messaging use cases, put together for the handlers.

use std::sync::Arc;
use std::time::Duration;

use domain::Actor;
use im::ImError;
use im::log::LogWatch;
use im::service::{
    Conversations, History, ImContext, LogSync, MessageQueue, Messages, Reads, Recalls, Search, SyncRequest, Synced,
};
use tokio_util::sync::CancellationToken;

/// Everything a handler may do with conversations.
pub struct MessagingUseCases {
    pub conversations: Conversations,
    pub history: History,
    pub messages: Messages,
    /// Where prepared messages go.
    pub queue: Arc<dyn MessageQueue>,
    pub reads: Reads,
    pub recalls: Recalls,
    pub search: Search,
    sync: LogSync,
    waits: Waits,
}

/// What ends the waiting of a request, though nothing happened.
#[derive(Clone)]
pub struct Waits {
    /// The longest a request may take.
    pub longest: Duration,
    /// Cancelled when the server is to stop.
    pub stop: CancellationToken,
}

/// A request that waits is answered so long before it would have taken too long.
const MARGIN: Duration = Duration::from_secs(2);

impl MessagingUseCases {
    pub fn new(context: &ImContext, queue: Arc<dyn MessageQueue>, watch: Arc<dyn LogWatch>, waits: Waits) -> Self {
        Self {
            conversations: Conversations::new(context.clone()),
            history: History::new(context.clone()),
            messages: Messages::new(context.clone()),
            queue,
            reads: Reads::new(context.clone()),
            recalls: Recalls::new(context.clone()),
            search: Search::new(context.clone()),
            sync: LogSync::new(context.clone(), watch),
            waits,
        }
    }

    /// What the caller has missed; waits for it up to `wait`.
    ///
    /// # Errors
    /// [`ImError`] as the use case tells.
    pub async fn missed(&self, actor: &Actor, request: SyncRequest, wait: Duration) -> Result<Synced, ImError> {
        let synced = self.sync.missed(actor, &request).await?;
        if synced.is_news() || wait.is_zero() {
            return Ok(synced);
        }
        let (cursor, epoch) = (Some(synced.cursor), Some(synced.epoch.clone()));
        let next = self.sync.next(actor, SyncRequest { cursor, epoch, ..request });
        tokio::select! {
            found = next => found,
            () = tokio::time::sleep(wait.min(self.waits.longest.saturating_sub(MARGIN))) => Ok(synced),
            () = self.waits.stop.cancelled() => Ok(synced),
        }
    }
}
