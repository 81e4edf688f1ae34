//! What stands where nothing is connected: no apps, and no conversations yet that WeChat's messages belong to.

use async_trait::async_trait;
use domain::{ObjectId, StoreError};
use wechat::content::CheckedContent;
use wechat::service_message::{AssistantInbox, ReceivedMessage};
use wechat::wire::{Wire, WireError, WireRequest, WireResponse};

/// Without apps there is nobody to call.
pub(crate) struct NoWire;

#[async_trait]
impl Wire for NoWire {
    async fn exchange(&self, _: WireRequest) -> Result<WireResponse, WireError> {
        Err(WireError::NotSent)
    }
}

/// Takes no message in and knows the words of none: what people write waits in the administrators' list, and what
/// has no verdict goes before a person.
pub(crate) struct Unconnected;

#[async_trait]
impl AssistantInbox for Unconnected {
    async fn receive(&self, _: ReceivedMessage) -> Result<bool, StoreError> {
        Ok(false)
    }
}

#[async_trait]
impl CheckedContent for Unconnected {
    async fn text_of(&self, _: ObjectId) -> Result<Option<String>, StoreError> {
        Ok(None)
    }

    async fn withdraw(&self, message: ObjectId) -> Result<(), StoreError> {
        tracing::warn!(message.id = %message, "a message is to be taken back, and no conversation holds it");
        Ok(())
    }

    async fn release(&self, message: ObjectId) -> Result<(), StoreError> {
        tracing::warn!(message.id = %message, "a message is to be passed on, and no conversation holds it");
        Ok(())
    }
}
