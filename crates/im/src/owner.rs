//! The owner of a conversation: whoever decides whether a member may write.
//!
//! A conversation may belong to something with rules of its own: a dialog to its consultation, a chat with the
//! assistant to the desk. Asking it about every message would cost a transaction each, so a member carries an
//! instant, [`Member::review_at`](crate::Member): before it, messages are simply appended; from it on the owner is
//! asked about the next one. An owner that says yes names the next instant, and whenever its own state changes
//! it sets the instant back, so that the very next message asks again.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Coded, ErrorKind, FieldError};

use crate::conversation::ConversationKind;
use crate::message::{Appended, NewMessage};
use crate::unit::ImStore;

/// The owner's no, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub code: &'static str,
    pub kind: ErrorKind,
    pub message: String,
    pub fields: Vec<FieldError>,
}

impl Refusal {
    pub fn of(error: &dyn Coded) -> Self {
        Self { code: error.code(), kind: error.kind(), message: error.to_string(), fields: error.fields() }
    }
}

/// Decides about messages.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ConversationOwner: Send + Sync {
    /// Decides about one message and, unless it refuses, appends it in one unit with everything that follows from it.
    /// Never answers [`Appended::AskOwner`].
    ///
    /// # Errors
    /// [`Refusal`].
    async fn accept(&self, message: &NewMessage) -> Result<Appended, Refusal>;
}

/// Asks the desk about conversations with the assistant, and somebody else about all others.
pub struct OwnerByKind {
    pub store: Arc<dyn ImStore>,
    pub desk: Arc<dyn ConversationOwner>,
    pub others: Arc<dyn ConversationOwner>,
}

#[async_trait]
impl ConversationOwner for OwnerByKind {
    async fn accept(&self, message: &NewMessage) -> Result<Appended, Refusal> {
        let found = self.store.read().conversations().find(message.conversation_id).await;
        match found.map_err(|error| Refusal::of(&error))? {
            Some(conversation) if conversation.kind == ConversationKind::Assistant => self.desk.accept(message).await,
            _ => self.others.accept(message).await,
        }
    }
}
