//! Giving waiting chats out at a time that was known before: when an agent comes into their hours.

use async_trait::async_trait;
use domain::Coded;
use domain::outbox::ClaimedJob;
use im::desk::Desk;
use im::desk::service::ASSIGN_JOB;

use crate::{JobFailure, JobHandler, JobResult};

/// Looks at the queue of the desk.
pub(crate) struct AssignChats(pub(crate) Desk);

#[async_trait]
impl JobHandler for AssignChats {
    fn kind(&self) -> &'static str {
        ASSIGN_JOB
    }

    async fn run(&self, _: &ClaimedJob) -> JobResult {
        self.0.assign().await.map_err(|error| JobFailure::Passing(error.code().to_owned()))?;
        Ok(None)
    }
}
