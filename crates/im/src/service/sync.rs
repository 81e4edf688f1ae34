//! Catching up with the log: everything that concerns the caller, in order, from a cursor on.

use std::sync::Arc;

use domain::{Actor, FieldError};

use super::context::{ImContext, listener_ids};
use super::history::{MAX_PAGE, check_limit};
use crate::error::ImError;
use crate::log::{LogEntry, LogWatch};

/// How far a client has got.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncRequest {
    /// `None`: begin with what comes from now on.
    pub cursor: Option<i64>,
    /// The epoch the cursor is of.
    pub epoch: Option<String>,
    /// Most entries of the answer, [`MAX_PAGE`] unless said.
    pub limit: Option<u32>,
}

/// What a client has missed.
#[derive(Debug, Clone, PartialEq)]
pub struct Synced {
    /// Ascending.
    pub entries: Vec<LogEntry>,
    /// The cursor to go on from.
    pub cursor: i64,
    pub epoch: String,
    /// There is more; ask again at once.
    pub has_more: bool,
    /// The cursor meant nothing here: load everything anew, and go on from this one.
    pub resync: bool,
}

impl Synced {
    /// Whether there is something to tell.
    pub const fn is_news(&self) -> bool {
        self.resync || !self.entries.is_empty()
    }
}

/// The use case of catching up.
#[derive(Clone)]
pub struct LogSync {
    context: ImContext,
    watch: Arc<dyn LogWatch>,
}

impl LogSync {
    pub const fn new(context: ImContext, watch: Arc<dyn LogWatch>) -> Self {
        Self { context, watch }
    }

    /// What the caller has missed, at most `limit` entries.
    ///
    /// # Errors
    /// [`ImError::Access`] for callers nothing concerns; [`ImError::Invalid`] naming the field.
    pub async fn missed(&self, actor: &Actor, request: &SyncRequest) -> Result<Synced, ImError> {
        let ids = listener_ids(actor, &self.context.policy)?;
        let limit = request.limit.unwrap_or(MAX_PAGE);
        check_limit(limit)?;
        self.look(&ids, request, limit).await
    }

    /// Like [`Self::missed`], but answers only once there is something to tell. Dropping the future is fine.
    ///
    /// # Errors
    /// As [`Self::missed`].
    pub async fn next(&self, actor: &Actor, mut request: SyncRequest) -> Result<Synced, ImError> {
        let ids = listener_ids(actor, &self.context.policy)?;
        let limit = request.limit.unwrap_or(MAX_PAGE);
        check_limit(limit)?;
        loop {
            let synced = self.look(&ids, &request, limit).await?;
            if synced.is_news() {
                return Ok(synced);
            }
            self.watch.moved_for(&ids, synced.cursor).await;
            request.cursor = Some(synced.cursor);
            request.epoch = Some(synced.epoch);
        }
    }

    async fn look(&self, ids: &[String], request: &SyncRequest, limit: u32) -> Result<Synced, ImError> {
        if request.cursor.is_some_and(|cursor| cursor < 0) {
            return Err(FieldError::new("cursor", "is not a cursor this server gave out").into());
        }
        let mut unit = self.context.store.read();
        // Before the entries: up to here everything is there when they are read; beyond, they may have holes.
        let head = unit.log().head().await?;
        let is_foreign = request.epoch.as_ref().is_some_and(|epoch| *epoch != head.epoch);
        let after = request.cursor.unwrap_or(head.position);
        if is_foreign || after > head.position {
            let (cursor, epoch) = (head.position, head.epoch);
            return Ok(Synced { entries: Vec::new(), cursor, epoch, has_more: false, resync: true });
        }
        let mut entries = unit.log().entries_of(ids, after, limit.saturating_add(1)).await?;
        entries.retain(|entry| entry.position() <= head.position);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = entries.len() > limit;
        entries.truncate(limit);
        let last = entries.last().filter(|_| has_more).map(LogEntry::position);
        let cursor = last.unwrap_or(head.position);
        Ok(Synced { entries, cursor, epoch: head.epoch, has_more, resync: false })
    }
}
