//! Looks at receipts that were pushed.

use ::sms::inbox::{APPLY_SMS_RECEIPTS, Inbox};
use async_trait::async_trait;
use domain::outbox::ClaimedJob;
use domain::{Coded, Timestamp};

use crate::{JobFailure, JobHandler};

/// Handler of [`APPLY_SMS_RECEIPTS`].
pub(crate) struct ApplySmsReceipts(pub(crate) Inbox);

#[async_trait]
impl JobHandler for ApplySmsReceipts {
    fn kind(&self) -> &'static str {
        APPLY_SMS_RECEIPTS
    }

    async fn run(&self, _: &ClaimedJob) -> Result<Option<Timestamp>, JobFailure> {
        self.0.apply().await.map_err(|error| JobFailure::Passing(error.code().to_owned()))?;
        Ok(None)
    }
}
