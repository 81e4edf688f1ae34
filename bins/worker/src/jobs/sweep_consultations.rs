//! Warnings, expiry and idleness of consultations.

use std::time::Duration;

use async_trait::async_trait;
use consultation::service::Sweeps;
use domain::Coded;
use tracing::info;

use crate::ScheduledTask;

/// Runs the sweeps over deadlines.
pub(crate) struct SweepConsultations {
    pub(crate) sweeps: Sweeps,
    pub(crate) every: Duration,
}

#[async_trait]
impl ScheduledTask for SweepConsultations {
    fn name(&self) -> &'static str {
        "sweep_consultations"
    }

    fn every(&self) -> Duration {
        self.every
    }

    async fn run(&self) -> Result<(), String> {
        let changed = self.sweeps.run().await.map_err(|e| e.code().to_owned())?;
        if changed > 0 {
            info!(changed, "consultations moved by their deadlines");
        }
        Ok(())
    }
}
