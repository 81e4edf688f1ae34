//! Passes answers of the desk on to people who wrote in WeChat's customer-service session.

use std::sync::Arc;

use async_trait::async_trait;
use domain::id::ConversationId;
use domain::outbox::ClaimedJob;
use domain::{Coded, StoreError, Timestamp};
use im::desk::service::RELAY_JOB;
use im::message::HistoryPage;
use im::{ImStore, Message, MessageKind, gate};
use serde::Deserialize;
use wechat::message::Messages;
use wechat::ports::WechatStore;
use wechat::service_message::Relay;
use wechat::{Context, WechatError};

use super::wechat::failure;
use crate::assistant::NAME_PREFIX;
use crate::{JobFailure, JobHandler};

/// Messages looked at in one go.
const MAX_MESSAGES: u32 = 100;

/// Follows a conversation whose answers go to WeChat too.
pub(crate) struct RelayAnswers {
    pub(crate) context: Context,
    pub(crate) messages: Messages,
    pub(crate) im: Arc<dyn ImStore>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    conversation_id: ConversationId,
}

#[async_trait]
impl JobHandler for RelayAnswers {
    fn kind(&self) -> &'static str {
        RELAY_JOB
    }

    async fn run(&self, job: &ClaimedJob) -> Result<Option<Timestamp>, JobFailure> {
        let Ok(Payload { conversation_id }) = Payload::deserialize(&job.payload) else {
            return Err(JobFailure::Final("the payload has no conversationId".to_owned()));
        };
        let passing = |error: &dyn Coded| JobFailure::Passing(error.code().to_owned());
        let relay = self.store().read().service().find_relay(conversation_id.0).await;
        if let Some(relay) = relay.map_err(|error| passing(&error))? {
            self.follow(relay).await.map_err(|error| failure(&error))?;
        }
        Ok(None)
    }
}

impl RelayAnswers {
    fn store(&self) -> &dyn WechatStore {
        &*self.context.store
    }

    /// Passes on what came since the last time, in order, while the person writes through WeChat and the window is open.
    async fn follow(&self, mut relay: Relay) -> Result<(), WechatError> {
        let id = ConversationId(relay.conversation);
        let members = self.im.read().conversations().members(id).await?;
        let is_customer = |message: &Message| {
            let kind = members.iter().find(|m| Some(&m.client_id) == message.sender.as_ref()).map(|m| m.kind);
            matches!(kind, Some(im::MemberKind::Patient | im::MemberKind::Doctor))
        };
        let after = HistoryPage::After(relay.seq);
        for message in self.im.read().messages().history(id, after, MAX_MESSAGES).await? {
            relay.seq = message.seq;
            if is_customer(&message) {
                let name = message.client_message_id.as_deref();
                relay.is_active = name.is_some_and(|name| name.starts_with(NAME_PREFIX));
            } else if let Some(words) = words(&message).filter(|_| relay.is_active) {
                match self.messages.relay(&relay, message.id.0, &words).await {
                    Err(WechatError::WindowClosed | WechatError::AppNotFound) => relay.is_active = false,
                    passed_on => {
                        passed_on?;
                        continue;
                    }
                }
            }
            self.move_on(&relay).await?;
        }
        Ok(())
    }

    async fn move_on(&self, relay: &Relay) -> Result<(), StoreError> {
        let mut unit = self.store().begin().await?;
        unit.service().save_relay(relay).await?;
        unit.commit().await
    }
}

/// What a text-only session is told of a message.
fn words(message: &Message) -> Option<String> {
    if message.is_recalled() {
        return None;
    }
    match message.kind {
        MessageKind::Image => Some("[图片] 请打开小程序查看".to_owned()),
        MessageKind::Voice => Some("[语音] 请打开小程序收听".to_owned()),
        MessageKind::File => Some("[文件] 请打开小程序查看".to_owned()),
        MessageKind::System => None,
        _ => gate::words_of(&message.kind, &message.content),
    }
}
