//! What people write in WeChat's customer-service session, on its way to the assistant's conversation.

use std::sync::Arc;

use async_trait::async_trait;
use consultation::ConsultationStore;
use domain::id::UserId;
use domain::{Coded, ErrorKind, StoreError};
use im::desk::service::{CustomerRole, InboundMessage};
use im::desk::{Desk, DeskError};
use im::{Content, ImStore, MessageKind};
use serde_json::json;
use wechat::ports::WechatStore;
use wechat::service_message::{AssistantInbox, InboundKind, ReceivedMessage, Relay};
use wechat::{Audience, Context};

/// Beginning of the client message ids of messages that came through WeChat.
pub(crate) const NAME_PREFIX: &str = "wechat-";

/// The assistant's desk, as WeChat's session reaches it.
#[derive(Clone)]
pub(crate) struct Assistant {
    pub(crate) desk: Desk,
    pub(crate) people: Arc<dyn ConsultationStore>,
    pub(crate) im: Arc<dyn ImStore>,
    pub(crate) context: Context,
}

#[async_trait]
impl AssistantInbox for Assistant {
    async fn receive(&self, message: ReceivedMessage) -> Result<bool, StoreError> {
        let Some((customer_id, role)) = self.customer(&message).await? else { return Ok(false) };
        let outcome = self.take_in(customer_id, role, &message).await;
        match outcome {
            Ok(()) => Ok(true),
            Err(DeskError::Store(error)) => Err(error),
            Err(error) if error.kind() == ErrorKind::Conflict && error.code() == "store.conflict" => {
                Err(StoreError::Conflict)
            }
            Err(error) => {
                // It stays in the administrators' list.
                tracing::warn!(code = error.code(), "the desk takes no message from this person");
                Ok(false)
            }
        }
    }
}

impl Assistant {
    async fn take_in(
        &self,
        customer_id: String,
        role: CustomerRole,
        message: &ReceivedMessage,
    ) -> Result<(), DeskError> {
        let conversation = self.desk.open_for(&customer_id, role).await?;
        let found = self.im.read().conversations().find(conversation).await?;
        let last_seq = found.map_or(0, |conversation| conversation.last_seq);
        // What the assistant said when the conversation was opened is for this person as well.
        let seq = if last_seq <= 1 { 0 } else { last_seq };
        let (app, openid) = (message.app.clone(), message.openid.clone());
        let store: &dyn WechatStore = &*self.context.store;
        let mut unit = store.begin().await?;
        unit.service().open_relay(&Relay { conversation: conversation.0, app, openid, seq, is_active: true }).await?;
        unit.commit().await?;
        let (kind, content) = read(message);
        let client_message_id = format!("{NAME_PREFIX}{}", message.id);
        self.desk.receive(InboundMessage { customer_id, role, client_message_id, kind, content }).await?;
        Ok(())
    }

    /// Who wrote: the patient or doctor of the account, as the app is for the one or the other.
    async fn customer(&self, message: &ReceivedMessage) -> Result<Option<(String, CustomerRole)>, StoreError> {
        let Some((user, app)) = message.user.zip(self.context.apps.find(&message.app)) else { return Ok(None) };
        match app.audience {
            Audience::Patient => self.patient(user).await,
            Audience::Doctor => self.doctor(user).await,
        }
    }

    async fn patient(&self, user: UserId) -> Result<Option<(String, CustomerRole)>, StoreError> {
        let found = self.people.read().patients().find_by_user(user).await?;
        Ok(found.map(|patient| (patient.id.to_string(), CustomerRole::Patient)))
    }

    async fn doctor(&self, user: UserId) -> Result<Option<(String, CustomerRole)>, StoreError> {
        let found = self.people.read().doctors().find_by_user(user).await?;
        Ok(found.map(|doctor| (doctor.id.to_string(), CustomerRole::Doctor)))
    }
}

/// The message as the desk shows it.
fn read(message: &ReceivedMessage) -> (MessageKind, Content) {
    let content = &message.content;
    match message.kind {
        InboundKind::Text => (MessageKind::Text, Content::of(&json!({ "text": content }))),
        // WeChat keeps the picture for a few days.
        InboundKind::Image => (MessageKind::Link, Content::of(&json!({ "url": content, "title": "微信发来的图片" }))),
        InboundKind::Other => (MessageKind::Text, Content::of(&json!({ "text": format!("[微信消息：{content}]") }))),
    }
}
