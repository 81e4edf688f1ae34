//! Delivers queued notifications.

use std::slice;

use async_trait::async_trait;
use consultation::ConsultationError;
use consultation::service::{DELIVER_NOTIFICATION, Deliveries, DeliveryProgress};
use domain::id::NotificationId;
use domain::outbox::ClaimedJob;
use domain::{Coded, ErrorKind};
use serde::Deserialize;

use crate::{JobFailure, JobHandler, JobResult};

/// Most notifications delivered in one go: all have to leave within the lease of their jobs.
const AT_ONCE: usize = 256;

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

    async fn run(&self, job: &ClaimedJob) -> JobResult {
        let results = self.run_all(slice::from_ref(job)).await;
        results.into_iter().next().unwrap_or(Ok(None))
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn run_all(&self, jobs: &[ClaimedJob]) -> Vec<JobResult> {
        let ids: Vec<Option<NotificationId>> = jobs.iter().map(notification_of).collect();
        let known: Vec<NotificationId> = ids.iter().flatten().copied().collect();
        let progress = match self.0.run(&known).await {
            Ok(progress) => progress.into_iter().map(result).collect(),
            Err(error) => vec![Err(failure(&error)); known.len()],
        };
        let mut results = progress.into_iter();
        let unreadable = || Err(JobFailure::Final("the payload has no notificationId".to_owned()));
        ids.iter().map(|id| id.map_or_else(unreadable, |_| results.next().unwrap_or(Ok(None)))).collect()
    }
}

fn notification_of(job: &ClaimedJob) -> Option<NotificationId> {
    Payload::deserialize(&job.payload).ok().map(|payload| payload.notification_id)
}

fn result(progress: Result<DeliveryProgress, ConsultationError>) -> JobResult {
    match progress {
        Ok(DeliveryProgress::Settled) => Ok(None),
        Ok(DeliveryProgress::Deferred(until)) => Ok(Some(until)),
        Ok(DeliveryProgress::Unavailable) => Err(JobFailure::Passing("the channel is not available".to_owned())),
        Err(error) => Err(failure(&error)),
    }
}

fn failure(error: &ConsultationError) -> JobFailure {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Conflict => JobFailure::Passing(error.code().to_owned()),
        _ => JobFailure::Final(error.code().to_owned()),
    }
}
