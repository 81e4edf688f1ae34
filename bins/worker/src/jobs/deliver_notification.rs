//! Delivers one queued notification.

use async_trait::async_trait;
use consultation::ConsultationError;
use consultation::service::{DELIVER_NOTIFICATION, Deliveries, DeliveryProgress};
use domain::id::NotificationId;
use domain::outbox::ClaimedJob;
use domain::{Coded, ErrorKind, Timestamp};
use serde::Deserialize;

use crate::{JobFailure, JobHandler};

/// Handler of [`DELIVER_NOTIFICATION`].
pub(crate) struct DeliverNotification(pub(crate) Deliveries);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    notification_id: NotificationId,
}

#[async_trait]
impl JobHandler for DeliverNotification {
    fn kind(&self) -> &'static str {
        DELIVER_NOTIFICATION
    }

    async fn run(&self, job: &ClaimedJob) -> Result<Option<Timestamp>, JobFailure> {
        let Ok(payload) = Payload::deserialize(&job.payload) else {
            return Err(JobFailure::Final("the payload has no notificationId".to_owned()));
        };
        match self.0.run(payload.notification_id).await {
            Ok(DeliveryProgress::Settled) => Ok(None),
            Ok(DeliveryProgress::Deferred(until)) => Ok(Some(until)),
            Ok(DeliveryProgress::Unavailable) => Err(JobFailure::Passing("the channel is not available".to_owned())),
            Err(error) => Err(failure(&error)),
        }
    }
}

fn failure(error: &ConsultationError) -> JobFailure {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Conflict => JobFailure::Passing(error.code().to_owned()),
        _ => JobFailure::Final(error.code().to_owned()),
    }
}
