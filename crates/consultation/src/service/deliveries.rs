//! Delivering a queued notification: decide again, hand over outside any unit, keep the outcome.

use std::sync::Arc;

use domain::Timestamp;
use domain::id::NotificationId;

use super::context::Context;
use super::notify::{self, Facts};
use crate::decision::Decision;
use crate::error::ConsultationError;
use crate::notification::{Channel, Delivery, DeliveryError, Notification, NotificationState, Notifier, Reason};

/// Kind of the outbox job that delivers one notification; its payload is `{"notificationId": …}`.
pub const DELIVER_NOTIFICATION: &str = "deliver_notification";

/// What a delivery job came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryProgress {
    /// Sent, suppressed, cancelled or failed for good: nothing left to do.
    Settled,
    /// Not yet: look again at this instant.
    Deferred(Timestamp),
    /// The channel is down: try again with back-off.
    Unavailable,
}

/// The use case behind the delivery job.
#[derive(Clone)]
pub struct Deliveries {
    context: Context,
    notifier: Arc<dyn Notifier>,
}

impl Deliveries {
    pub fn new(context: Context, notifier: Arc<dyn Notifier>) -> Self {
        Self { context, notifier }
    }

    /// Takes one queued notification as far as it goes. Running it twice delivers once: a settled notification
    /// is left alone, and the notifier drops a second delivery under the same id.
    ///
    /// # Errors
    /// [`ConsultationError::Store`] when the database does not answer.
    pub async fn run(&self, id: NotificationId) -> Result<DeliveryProgress, ConsultationError> {
        let Some((notification, mut facts)) = self.load(id).await? else { return Ok(DeliveryProgress::Settled) };
        let mut was_refused = false;
        loop {
            match facts.decide(&self.context, notification.recipient, notification.cause) {
                Decision::Send { channel, reason } => match self.hand_over(&notification, channel).await {
                    Ok(()) => {
                        let sent = (NotificationState::Sent, reason, Some(channel));
                        self.note_sent(id, |n| (n.state, n.reason, n.channel) = sent).await?;
                        return Ok(DeliveryProgress::Settled);
                    }
                    // The next channel is decided on anew: not every cause may take every one.
                    Err(DeliveryError::Refused) => {
                        facts.state.channels.retain(|c| *c != channel);
                        was_refused = true;
                    }
                    Err(DeliveryError::Unavailable) => return Ok(DeliveryProgress::Unavailable),
                },
                Decision::Defer { until, reason } => {
                    self.settle(id, |n| (n.due_at, n.reason) = (until, reason)).await?;
                    return Ok(DeliveryProgress::Deferred(until));
                }
                Decision::Suppress(reason) => {
                    let state = match reason {
                        Reason::ConsultationClosed => NotificationState::Cancelled,
                        Reason::NoChannel if was_refused => NotificationState::Failed,
                        _ => NotificationState::Suppressed,
                    };
                    self.settle(id, |n| (n.state, n.reason) = (state, reason)).await?;
                    return Ok(DeliveryProgress::Settled);
                }
            }
        }
    }

    /// The notification if it is still queued, with what the decision looks at.
    async fn load(&self, id: NotificationId) -> Result<Option<(Notification, Facts)>, ConsultationError> {
        let mut unit = self.context.store.read();
        let queued = unit.notifications().find(id).await?.filter(|n| n.state == NotificationState::Queued);
        let Some(notification) = queued else { return Ok(None) };
        let consultation = match notification.consultation_id {
            Some(id) => unit.consultations().find(id).await?,
            None => None,
        };
        let facts = notify::facts(&self.context, &mut *unit, consultation, notification.recipient, Some(id)).await?;
        Ok(Some((notification, facts)))
    }

    async fn hand_over(&self, notification: &Notification, channel: Channel) -> Result<(), DeliveryError> {
        let delivery = Delivery {
            notification_id: notification.id,
            recipient: notification.recipient,
            channel,
            cause: notification.cause,
            consultation_id: notification.consultation_id,
        };
        self.notifier.deliver(&delivery).await
    }

    /// Changes the notification if it is still queued.
    async fn settle(
        &self,
        id: NotificationId,
        change: impl FnOnce(&mut Notification),
    ) -> Result<(), ConsultationError> {
        self.write_if(id, |state| state == NotificationState::Queued, change).await
    }

    /// Notes that it was sent, also when it was cancelled between the decision and the delivery: what reached
    /// somebody is not to look as if it had not.
    async fn note_sent(
        &self,
        id: NotificationId,
        change: impl FnOnce(&mut Notification),
    ) -> Result<(), ConsultationError> {
        let is_open = |state| matches!(state, NotificationState::Queued | NotificationState::Cancelled);
        self.write_if(id, is_open, change).await
    }

    async fn write_if(
        &self,
        id: NotificationId,
        may_change: fn(NotificationState) -> bool,
        change: impl FnOnce(&mut Notification),
    ) -> Result<(), ConsultationError> {
        let mut unit = self.context.store.begin().await?;
        let found = unit.notifications().find_locked(id).await?.filter(|n| may_change(n.state));
        let Some(mut notification) = found else { return Ok(()) };
        change(&mut notification);
        notification.updated_at = self.context.clock.now();
        unit.notifications().update(&notification).await?;
        unit.commit().await?;
        Ok(())
    }
}
