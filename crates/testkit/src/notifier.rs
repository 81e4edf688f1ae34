//! A notifier that keeps what it was handed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use consultation::notification::{Channel, Delivery, DeliveryError, Notifier};

/// Records each delivery once by its notification's id, as a channel would. Channels may be told to fail.
#[derive(Debug, Default)]
pub struct MemoryNotifier {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    delivered: Vec<Delivery>,
    failing: HashMap<Channel, DeliveryError>,
}

impl MemoryNotifier {
    /// From now on `channel` answers `error`.
    pub fn fail(&self, channel: Channel, error: DeliveryError) {
        self.lock().failing.insert(channel, error);
    }

    /// From now on `channel` delivers again.
    pub fn recover(&self, channel: Channel) {
        self.lock().failing.remove(&channel);
    }

    /// Everything delivered, in order.
    pub fn delivered(&self) -> Vec<Delivery> {
        self.lock().delivered.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Notifier for MemoryNotifier {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let mut state = self.lock();
        if let Some(error) = state.failing.get(&delivery.channel) {
            return Err(*error);
        }
        if !state.delivered.iter().any(|d| d.notification_id == delivery.notification_id) {
            state.delivered.push(delivery.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use consultation::notification::{Cause, Recipient};
    use domain::id::{DoctorId, NotificationId};

    use super::*;
    use crate::ids::object_id;

    fn delivery(channel: Channel) -> Delivery {
        Delivery {
            notification_id: NotificationId(object_id(1)),
            recipient: Recipient::Doctor(DoctorId(object_id(2))),
            channel,
            cause: Cause::Initiated,
            consultation_id: None,
        }
    }

    #[tokio::test]
    async fn one_notification_is_delivered_once() {
        let notifier = MemoryNotifier::default();
        assert_eq!(notifier.deliver(&delivery(Channel::Wechat)).await, Ok(()));
        assert_eq!(notifier.deliver(&delivery(Channel::Sms)).await, Ok(()));
        assert_eq!(notifier.delivered(), [delivery(Channel::Wechat)]);
    }

    #[tokio::test]
    async fn a_failing_channel_delivers_nothing_until_it_recovers() {
        let notifier = MemoryNotifier::default();
        notifier.fail(Channel::Wechat, DeliveryError::Refused);
        assert_eq!(notifier.deliver(&delivery(Channel::Wechat)).await, Err(DeliveryError::Refused));
        assert!(notifier.delivered().is_empty());
        notifier.recover(Channel::Wechat);
        assert_eq!(notifier.deliver(&delivery(Channel::Wechat)).await, Ok(()));
    }
}
