//! Looks for a text message whose answer was lost.

use ::sms::reconcile::{Progress, RECONCILE_SMS, Reconciler};
use async_trait::async_trait;
use domain::id::SmsMessageId;
use domain::outbox::ClaimedJob;
use domain::{Coded, Timestamp};
use serde::Deserialize;

use crate::{JobFailure, JobHandler};

/// Handler of [`RECONCILE_SMS`].
pub(crate) struct ReconcileSms(pub(crate) Reconciler);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    message_id: SmsMessageId,
    attempt: u32,
}

#[async_trait]
impl JobHandler for ReconcileSms {
    fn kind(&self) -> &'static str {
        RECONCILE_SMS
    }

    async fn run(&self, job: &ClaimedJob) -> Result<Option<Timestamp>, JobFailure> {
        let Ok(payload) = Payload::deserialize(&job.payload) else {
            return Err(JobFailure::Final("the payload has no messageId and attempt".to_owned()));
        };
        match self.0.run(payload.message_id, payload.attempt).await {
            Ok(Progress::Settled) => Ok(None),
            Ok(Progress::NotYet(at)) => Ok(Some(at)),
            Err(error) => Err(JobFailure::Passing(error.code().to_owned())),
        }
    }
}
