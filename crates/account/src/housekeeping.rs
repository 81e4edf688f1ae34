//! Deleting what has served its purpose: expired sessions, codes, counts and idempotency keys.

use std::sync::Arc;
use std::time::Duration;

use domain::time::span;
use domain::{Actor, Clock};

use crate::AccountError;
use crate::unit::AccountStore;

/// Ended sessions and expired challenges stay this long, to answer questions with.
pub const KEEP_ENDED: Duration = span::days(30);
/// Counts not touched for this long are of no use to any window.
pub const KEEP_COUNTS: Duration = span::hours(25);

/// How many rows were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purged {
    pub sessions: u64,
    pub challenges: u64,
    pub counters: u64,
    pub idempotency_keys: u64,
}

/// The use case; needs no more of the outside than rows and the time, so that any worker can run it.
#[derive(Clone)]
pub struct Housekeeping {
    pub store: Arc<dyn AccountStore>,
    pub clock: Arc<dyn Clock>,
}

impl Housekeeping {
    /// Deletes what has expired. Safe to run at any time and from several workers at once.
    ///
    /// # Errors
    /// [`AccountError::Store`]; [`AccountError::Access`] for anybody but the system.
    pub async fn purge_expired(&self, actor: &Actor) -> Result<Purged, AccountError> {
        actor.require(matches!(actor, Actor::System))?;
        let now = self.clock.now();
        let mut purged = Purged::default();
        // One unit each: a long one would hold up sign-ins.
        let mut unit = self.store.begin().await?;
        purged.sessions = unit.sessions().purge(now - KEEP_ENDED).await?;
        unit.commit().await?;
        let mut unit = self.store.begin().await?;
        purged.challenges = unit.challenges().purge(now - KEEP_ENDED).await?;
        unit.commit().await?;
        let mut unit = self.store.begin().await?;
        purged.counters = unit.counters().purge(now - KEEP_COUNTS, now).await?;
        unit.commit().await?;
        let mut unit = self.store.begin().await?;
        purged.idempotency_keys = unit.idempotency().purge(now).await?;
        unit.commit().await?;
        Ok(purged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::fixture;

    #[tokio::test]
    async fn what_has_expired_goes_and_the_rest_stays() {
        let f = fixture();
        let housekeeping = Housekeeping { store: f.accounts.store.clone(), clock: f.accounts.clock.clone() };
        f.sign_in("13900000000").await;
        f.accounts.start_idempotent(&Actor::Integrator, "create", "k", "asked").await.unwrap();
        f.clock.advance(span::hours(24));
        let early = housekeeping.purge_expired(&Actor::System).await.unwrap();
        assert_eq!(early, Purged { idempotency_keys: 1, ..Purged::default() });
        // The session ends 30 days after its last use and is kept for another 30.
        f.clock.advance(span::days(60));
        let late = housekeeping.purge_expired(&Actor::System).await.unwrap();
        assert_eq!((late.sessions, late.challenges), (1, 1));
        assert!(housekeeping.purge_expired(&f.admin().await).await.is_err());
    }
}
