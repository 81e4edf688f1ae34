//! Asks providers for receipts, looks again at receipts that came too early, and watches deliveries.

use std::time::Duration;

use ::sms::inbox::Inbox;
use ::sms::poll::Polls;
use async_trait::async_trait;
use domain::Coded;
use domain::time::span;

use crate::ScheduledTask;

/// Asks for what is due.
pub(crate) struct PollSms {
    pub(crate) polls: Polls,
    pub(crate) inbox: Inbox,
}

#[async_trait]
impl ScheduledTask for PollSms {
    fn name(&self) -> &'static str {
        "poll_sms"
    }

    fn every(&self) -> Duration {
        Duration::from_secs(15)
    }

    async fn run(&self) -> Result<(), String> {
        self.inbox.apply().await.map_err(|e| e.code().to_owned())?;
        self.polls.run().await.map_err(|e| e.code().to_owned())?;
        Ok(())
    }
}

/// Forgets old messages and receipts.
pub(crate) struct PurgeSms(pub(crate) Polls);

#[async_trait]
impl ScheduledTask for PurgeSms {
    fn name(&self) -> &'static str {
        "purge_sms"
    }

    fn every(&self) -> Duration {
        span::hours(1)
    }

    async fn run(&self) -> Result<(), String> {
        self.0.purge().await.map_err(|e| e.code().to_owned())
    }
}
