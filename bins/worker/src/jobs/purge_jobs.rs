//! Forgets jobs that were settled long ago.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::outbox::JobQueue;
use domain::time::span;
use domain::{Clock, Coded};

use crate::ScheduledTask;

/// Done jobs are kept this long, so that a late duplicate is still recognised by its key.
const KEEP: Duration = span::days(7);

/// Deletes old done and discarded jobs.
pub(crate) struct PurgeJobs {
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) clock: Arc<dyn Clock>,
}

#[async_trait]
impl ScheduledTask for PurgeJobs {
    fn name(&self) -> &'static str {
        "purge_jobs"
    }

    fn every(&self) -> Duration {
        span::hours(1)
    }

    async fn run(&self) -> Result<(), String> {
        self.queue.purge(self.clock.now() - KEEP).await.map_err(|e| e.code().to_owned())?;
        Ok(())
    }
}
