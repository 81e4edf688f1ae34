//! Destroys records whose time is over.

use std::time::Duration;

use async_trait::async_trait;
use consultation::retention::Retention;
use domain::time::span;
use domain::{Actor, Coded};

use crate::ScheduledTask;

/// Runs [`Retention`] once a day.
pub(crate) struct PurgeRecords(pub(crate) Retention);

#[async_trait]
impl ScheduledTask for PurgeRecords {
    fn name(&self) -> &'static str {
        "purge_records"
    }

    fn every(&self) -> Duration {
        span::days(1)
    }

    async fn run(&self) -> Result<(), String> {
        self.0.run(&Actor::System).await.map_err(|error| error.code().to_owned())?;
        Ok(())
    }
}
