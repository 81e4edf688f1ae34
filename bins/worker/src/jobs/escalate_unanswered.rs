//! Reminds doctors of patients who wait.

use std::time::Duration;

use async_trait::async_trait;
use consultation::service::Escalations;
use domain::Coded;
use tracing::info;

use crate::ScheduledTask;

/// Escalates what is due.
pub(crate) struct EscalateUnanswered {
    pub(crate) escalations: Escalations,
    pub(crate) every: Duration,
}

#[async_trait]
impl ScheduledTask for EscalateUnanswered {
    fn name(&self) -> &'static str {
        "escalate_unanswered"
    }

    fn every(&self) -> Duration {
        self.every
    }

    async fn run(&self) -> Result<(), String> {
        let escalated = self.escalations.run().await.map_err(|e| e.code().to_owned())?;
        if escalated > 0 {
            info!(escalated, "doctors reminded of patients who wait");
        }
        Ok(())
    }
}
