//! Takes up messages that nobody was told of because their recipient was looking, and then did not read them.

use std::time::Duration;

use async_trait::async_trait;
use consultation::service::Unseen;
use domain::Coded;
use tracing::info;

use crate::ScheduledTask;

/// Decides again about what was left unseen.
pub(crate) struct TellUnseen {
    pub(crate) unseen: Unseen,
    pub(crate) every: Duration,
}

#[async_trait]
impl ScheduledTask for TellUnseen {
    fn name(&self) -> &'static str {
        "tell_unseen"
    }

    fn every(&self) -> Duration {
        self.every
    }

    async fn run(&self) -> Result<(), String> {
        let decided = self.unseen.run().await.map_err(|e| e.code().to_owned())?;
        if decided > 0 {
            info!(decided, "decided again about what was left unseen");
        }
        Ok(())
    }
}
