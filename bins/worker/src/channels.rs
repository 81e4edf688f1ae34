//! Hands each notification to the notifier of its channel.

use std::sync::Arc;

use async_trait::async_trait;
use consultation::notification::{Channel, Delivery, DeliveryError, Notifier};
use futures_util::future::join;

/// One notifier for each channel.
pub(crate) struct Channels {
    pub(crate) wechat: Arc<dyn Notifier>,
    pub(crate) sms: Arc<dyn Notifier>,
}

#[async_trait]
impl Notifier for Channels {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        match delivery.channel {
            Channel::Wechat => self.wechat.deliver(delivery).await,
            Channel::Sms => self.sms.deliver(delivery).await,
        }
    }

    async fn deliver_all(&self, deliveries: &[Delivery]) -> Vec<Result<(), DeliveryError>> {
        let (by_wechat, by_sms): (Vec<Delivery>, Vec<Delivery>) =
            deliveries.iter().cloned().partition(|delivery| delivery.channel == Channel::Wechat);
        let (wechat, sms) = join(self.wechat.deliver_all(&by_wechat), self.sms.deliver_all(&by_sms)).await;
        let (mut wechat, mut sms) = (wechat.into_iter(), sms.into_iter());
        let answer = |delivery: &Delivery| match delivery.channel {
            Channel::Wechat => wechat.next(),
            Channel::Sms => sms.next(),
        };
        deliveries.iter().map(answer).map(|answer| answer.unwrap_or(Err(DeliveryError::Unavailable))).collect()
    }
}
