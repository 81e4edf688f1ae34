//! What time asks of the desk: warnings, closes, offers nobody took, agents who are gone, chats still waiting.

use std::time::Duration;

use async_trait::async_trait;
use domain::Coded;
use im::desk::Desk;
use tracing::info;

use crate::ScheduledTask;

/// The safety net behind everything that happens at once.
const EVERY: Duration = Duration::from_secs(5);

/// Sweeps the desk.
pub(crate) struct SweepDesk(pub(crate) Desk);

#[async_trait]
impl ScheduledTask for SweepDesk {
    fn name(&self) -> &'static str {
        "sweep_desk"
    }

    fn every(&self) -> Duration {
        EVERY
    }

    async fn run(&self) -> Result<(), String> {
        let swept = self.0.sweep().await.map_err(|error| error.code().to_owned())?;
        if swept.warned_or_closed + swept.requeued + swept.given > 0 {
            info!(swept.warned_or_closed, swept.requeued, swept.given, "chats of the desk moved");
        }
        Ok(())
    }
}
