//! The messages of conversations as content checks see them.

use account::AccountKeys;
use account::files::FileLink;
use async_trait::async_trait;
use domain::id::{ConversationId, FileId};
use domain::time::span;
use domain::{Actor, Coded, StoreError};
use im::service::{ImContext, Messages, Recalls};
use im::{ImError, Message, gate};
use wechat::content::{CheckedContent, Subject};

/// How long the platform may fetch a picture: verdicts come within half an hour.
const LINK_LIFETIME: std::time::Duration = span::hours(1);

/// Messages that are looked at again, taken back, or passed on late.
#[derive(Clone)]
pub(crate) struct ChatContent {
    im: ImContext,
    keys: AccountKeys,
    /// Address of the native API as the platform reaches it.
    api: String,
}

impl ChatContent {
    pub(crate) fn new(im: ImContext, keys: AccountKeys, public_url: &str) -> Self {
        Self { im, keys, api: format!("{public_url}/api/v1") }
    }

    /// A signed address under which the platform fetches a file.
    pub(crate) fn link(&self, file: FileId) -> String {
        FileLink::sign(&self.keys, file, self.im.clock.now() + LINK_LIFETIME).address(&self.api)
    }

    /// The message, unless it was taken back or never stored.
    pub(crate) async fn find(&self, subject: &Subject) -> Result<Option<Message>, StoreError> {
        let conversation = ConversationId(subject.conversation);
        let mut unit = self.im.store.read();
        let found = unit.messages().find_named(conversation, &subject.sender, &subject.client_message_id).await?;
        Ok(found.filter(|message| !message.is_recalled()))
    }
}

#[async_trait]
impl CheckedContent for ChatContent {
    async fn text_of(&self, subject: &Subject) -> Result<Option<String>, StoreError> {
        Ok(self.find(subject).await?.and_then(|message| gate::words_of(&message.kind, &message.content)))
    }

    async fn withdraw(&self, subject: &Subject) -> Result<(), StoreError> {
        let Some(message) = self.find(subject).await? else { return Ok(()) };
        match Recalls::new(self.im.clone()).recall(&Actor::System, message.conversation_id, message.id).await {
            Ok(_) | Err(ImError::MessageNotFound | ImError::ConversationNotFound) => Ok(()),
            Err(error) => Err(store_error(error)),
        }
    }

    async fn release(&self, subject: &Subject, body: &str) -> Result<(), StoreError> {
        let Some(message) = gate::read_held(body, self.im.clock.now()) else {
            tracing::error!(conversation.id = %subject.conversation, "a message that was kept back cannot be read");
            return Ok(());
        };
        for outcome in Messages::new(self.im.clone()).commit(vec![message]).await {
            match outcome {
                Ok(_) | Err(ImError::ClientMessageIdConflict) => {}
                // The consultation has ended meanwhile, or the sender has left.
                Err(error @ (ImError::Refused(_) | ImError::ConversationNotFound)) => {
                    let code = error.code();
                    tracing::warn!(conversation.id = %subject.conversation, code, "a message came too late");
                }
                Err(error) => return Err(store_error(error)),
            }
        }
        Ok(())
    }
}

fn store_error(error: ImError) -> StoreError {
    match error {
        ImError::Store(error) => error,
        ImError::Conflict => StoreError::Conflict,
        other => StoreError::backend(other),
    }
}
