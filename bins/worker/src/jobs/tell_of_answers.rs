//! Tells customers who are not looking that the desk has answered.

use std::time::Duration;

use async_trait::async_trait;
use consultation::service::Answers;
use domain::Coded;
use tracing::info;

use crate::ScheduledTask;

/// Decides about answers that were left unread.
pub(crate) struct TellOfAnswers {
    pub(crate) answers: Answers,
    pub(crate) every: Duration,
}

#[async_trait]
impl ScheduledTask for TellOfAnswers {
    fn name(&self) -> &'static str {
        "tell_of_answers"
    }

    fn every(&self) -> Duration {
        self.every
    }

    async fn run(&self) -> Result<(), String> {
        let decided = self.answers.run().await.map_err(|e| e.code().to_owned())?;
        if decided > 0 {
            info!(decided, "decided about answers of the desk that were left unread");
        }
        Ok(())
    }
}
