//! Session tokens of realtime clients: what a client shows to take a session up again after its socket was lost.

use account::session::SessionToken;
use domain::{StoreError, Timestamp};

use super::store::RealtimeUnit;

/// What is kept of a session token: the client and the device it stands for, and the token as a hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    pub token_hash: String,
    pub client_id: String,
    /// Of devices with the same tag one is connected at a time.
    pub tag: Option<String>,
    pub device_id: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// When another device took the tag.
    pub superseded_at: Option<Timestamp>,
}

/// The hash under which a token is kept.
pub fn hash_of(token: &str) -> String {
    SessionToken::shown(token).hash().0
}

/// What a token stands for, while it is good.
///
/// # Errors
/// [`StoreError`].
pub async fn find(unit: &mut dyn RealtimeUnit, token: &str, now: Timestamp) -> Result<Option<Ticket>, StoreError> {
    let found = unit.realtime().find_ticket(&hash_of(token)).await?;
    Ok(found.filter(|ticket| ticket.expires_at > now))
}
