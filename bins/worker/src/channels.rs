//! Hands each notification to the notifier of its channel.

use std::sync::Arc;

use async_trait::async_trait;
use consultation::notification::{Channel, Delivery, DeliveryError, Notifier};

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
}
