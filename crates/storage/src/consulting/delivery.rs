//! The notifier that records: until a channel is connected, a delivery is a row and a line in the log.

use std::sync::Arc;

use ::consultation::notification::{Delivery, DeliveryError, Notifier};
use async_trait::async_trait;
use domain::Clock;
use tracing::{info, warn};

use super::notification::recipient_columns;
use crate::convert::{text, text_opt};
use crate::store::SeaStore;

/// Records each delivery once, keyed by its notification, and logs it.
pub struct RecordingNotifier {
    store: SeaStore,
    clock: Arc<dyn Clock>,
}

impl RecordingNotifier {
    pub fn new(store: SeaStore, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    async fn record(&self, delivery: &Delivery) -> Result<bool, domain::StoreError> {
        let (kind, recipient) = recipient_columns(delivery.recipient);
        let unit = self.store.unit().await?;
        let sql = "INSERT INTO delivery (notification_id, recipient_kind, recipient_id, channel, cause, \
                   consultation_id, delivered_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                   ON CONFLICT (notification_id) DO NOTHING";
        let values = [
            text(&delivery.notification_id).into(),
            kind.into(),
            recipient.into(),
            delivery.channel.as_str().into(),
            delivery.cause.as_str().into(),
            text_opt(delivery.consultation_id.as_ref()).into(),
            self.clock.now().as_millis().into(),
        ];
        let is_new = unit.execute(sql, values).await? == 1;
        unit.finish().await?;
        Ok(is_new)
    }
}

#[async_trait]
impl Notifier for RecordingNotifier {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        match self.record(delivery).await {
            Ok(true) => {
                let (kind, cause) = (recipient_columns(delivery.recipient).0, delivery.cause.as_str());
                info!(notification.id = %delivery.notification_id, recipient = kind, cause, channel = delivery.channel.as_str(), "notification delivered");
                Ok(())
            }
            Ok(false) => Ok(()),
            Err(error) => {
                warn!(notification.id = %delivery.notification_id, error = &error as &dyn std::error::Error, "delivery could not be recorded");
                Err(DeliveryError::Unavailable)
            }
        }
    }
}
