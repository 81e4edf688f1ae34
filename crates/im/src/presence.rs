//! Who is connected, and what they have open in front. Rows of a node count only while its lease is fresh, so what a
//! node leaves behind when it dies is gone with its lease.

use std::time::Duration;

use async_trait::async_trait;
use domain::id::ConversationId;
use domain::{StoreError, Timestamp};

/// One connected socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Unique among the sockets of the node.
    pub socket: u64,
    pub node: String,
    pub client_id: String,
    /// The conversation the person has open in front.
    pub viewing: Option<ConversationId>,
}

/// What a member has seen of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attention {
    /// Has it open in front, on any device.
    pub is_viewing: bool,
    /// When the first message was written that is not read; `None` when everything is.
    pub unread_since: Option<Timestamp>,
}

impl Attention {
    /// When the run of messages began that is not read yet; the next message begins one if there is none.
    pub fn run_since(self, now: Timestamp) -> Timestamp {
        self.unread_since.unwrap_or(now)
    }
}

/// Keeps presence.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PresenceRepository: Send {
    /// Renews the lease of a node and forgets nodes whose lease ended before `now`.
    async fn renew(&mut self, node: &str, now: Timestamp, lease: Duration) -> Result<(), StoreError>;
    /// Sets what sockets show; a socket that is new is added.
    async fn put(&mut self, sockets: &[Presence]) -> Result<(), StoreError>;
    /// Forgets sockets of a node.
    async fn remove(&mut self, node: &str, sockets: &[u64]) -> Result<(), StoreError>;
    /// Forgets a node with all its sockets.
    async fn remove_node(&mut self, node: &str) -> Result<(), StoreError>;
    /// Whether a client has this conversation open in front, on any node.
    async fn is_viewing(
        &mut self,
        client_id: &str,
        conversation: ConversationId,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// What members have seen of conversations, one answer for each, in order. Who is no member has read everything.
    async fn attention(
        &mut self,
        seats: &[(ConversationId, String)],
        now: Timestamp,
    ) -> Result<Vec<Attention>, StoreError>;
    /// Those of the clients that are connected, on any node.
    async fn connected(&mut self, client_ids: &[String], now: Timestamp) -> Result<Vec<String>, StoreError>;
}
