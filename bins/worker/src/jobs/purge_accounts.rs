//! Forgets expired sessions, codes, counts and idempotency keys.

use std::time::Duration;

use account::housekeeping::Housekeeping;
use async_trait::async_trait;
use domain::time::span;
use domain::{Actor, Coded};

use crate::ScheduledTask;

/// Deletes what accounts no longer need.
pub(crate) struct PurgeAccounts(pub(crate) Housekeeping);

#[async_trait]
impl ScheduledTask for PurgeAccounts {
    fn name(&self) -> &'static str {
        "purge_accounts"
    }

    fn every(&self) -> Duration {
        span::hours(1)
    }

    async fn run(&self) -> Result<(), String> {
        self.0.purge_expired(&Actor::System).await.map_err(|e| e.code().to_owned())?;
        Ok(())
    }
}
