//! Ending what a person had begun whose account was closed.

use async_trait::async_trait;
use consultation::service::Closures;
use domain::closure::{ACCOUNT_CLOSED, ClosedAccount};
use domain::outbox::ClaimedJob;
use domain::{Actor, Coded};
use im::desk::Desk;
use wechat::identity::Logins;

use crate::{JobFailure, JobHandler, JobResult};

/// Sets WeChat identities free, and ends open consultations and the chat with the assistant.
pub(crate) struct AccountClosed {
    pub(crate) logins: Logins,
    pub(crate) closures: Closures,
    pub(crate) desk: Desk,
}

#[async_trait]
impl JobHandler for AccountClosed {
    fn kind(&self) -> &'static str {
        ACCOUNT_CLOSED
    }

    async fn run(&self, job: &ClaimedJob) -> JobResult {
        let closed: ClosedAccount = serde_json::from_value(job.payload.clone())
            .or(Err(JobFailure::Final("the payload names no account".to_owned())))?;
        let passing = |error: &dyn Coded| JobFailure::Passing(error.code().to_owned());
        if let Some(user) = closed.user {
            self.logins.release(&Actor::System, user).await.map_err(|error| passing(&error))?;
        }
        self.closures.end_open(&Actor::System, closed).await.map_err(|error| passing(&error))?;
        let patient = closed.patient.map(|id| id.to_string());
        for customer in patient.into_iter().chain(closed.doctor.map(|id| id.to_string())) {
            self.desk.end_for_gone(&customer).await.map_err(|error| passing(&error))?;
        }
        Ok(None)
    }
}
