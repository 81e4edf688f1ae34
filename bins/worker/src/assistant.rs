//! What people write in WeChat's customer-service session, on its way to the assistant's conversation.

use async_trait::async_trait;
use domain::StoreError;
use wechat::service_message::{AssistantInbox, ReceivedMessage};

/// The assistant's desk.
pub(crate) struct Assistant;

#[async_trait]
impl AssistantInbox for Assistant {
    async fn receive(&self, _: ReceivedMessage) -> Result<bool, StoreError> {
        Ok(false)
    }
}
