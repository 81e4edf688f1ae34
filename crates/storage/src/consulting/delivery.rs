//! The notifier that records: until a channel is connected, a delivery is a row and a line in the log.

use std::slice;
use std::sync::Arc;

use ::consultation::notification::{Delivery, DeliveryError, Notifier};
use async_trait::async_trait;
use domain::{Clock, StoreError};
use serde_json::{Value, json};
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

    /// Records those that are new and answers how many were.
    async fn record(&self, deliveries: &[Delivery]) -> Result<u64, StoreError> {
        if deliveries.is_empty() {
            return Ok(0);
        }
        let now = self.clock.now().as_millis();
        let row = |delivery: &Delivery| {
            let (kind, recipient) = recipient_columns(delivery.recipient);
            json!([
                text(&delivery.notification_id),
                kind,
                recipient,
                delivery.channel.as_str(),
                delivery.cause.as_str(),
                text_opt(delivery.consultation_id.as_ref()),
                now
            ])
        };
        let unit = self.store.unit().await?;
        let sql = format!(
            "INSERT INTO delivery (notification_id, recipient_kind, recipient_id, channel, cause, consultation_id, \
             delivered_at) SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, \
             CAST(value ->> 6 AS bigint) FROM {} WHERE true ON CONFLICT (notification_id) DO NOTHING",
            unit.backend.each(1)
        );
        let rows: Vec<Value> = deliveries.iter().map(row).collect();
        let recorded = unit.execute(&sql, [Value::from(rows).to_string().into()]).await?;
        unit.finish().await?;
        Ok(recorded)
    }
}

#[async_trait]
impl Notifier for RecordingNotifier {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        self.deliver_all(slice::from_ref(delivery)).await.pop().unwrap_or(Err(DeliveryError::Unavailable))
    }

    async fn deliver_all(&self, deliveries: &[Delivery]) -> Vec<Result<(), DeliveryError>> {
        match self.record(deliveries).await {
            Ok(new) => {
                for delivery in deliveries {
                    let (kind, cause) = (recipient_columns(delivery.recipient).0, delivery.cause.as_str());
                    info!(notification.id = %delivery.notification_id, recipient = kind, cause, channel = delivery.channel.as_str(), "notification delivered");
                }
                let known = deliveries.len() as u64 - new;
                if known > 0 {
                    info!(known, "some of them had been delivered before");
                }
                vec![Ok(()); deliveries.len()]
            }
            Err(error) => {
                warn!(error = &error as &dyn std::error::Error, "deliveries could not be recorded");
                vec![Err(DeliveryError::Unavailable); deliveries.len()]
            }
        }
    }
}
