//! Reading what was written: pages in both directions, and the whole of a dialog.

use domain::id::{ConversationId, MessageId};
use domain::{Actor, FieldError};

use super::access::Reader;
use super::context::ImContext;
use crate::error::ImError;
use crate::message::{HistoryPage, Message};

/// Most messages of one page.
pub const MAX_PAGE: u32 = 200;

/// A page of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct MessagePage {
    /// Ascending.
    pub messages: Vec<Message>,
    /// Whether there is more in the direction asked for.
    pub has_more: bool,
}

/// The use cases of reading messages.
#[derive(Clone)]
pub struct History {
    context: ImContext,
}

impl History {
    pub const fn new(context: ImContext) -> Self {
        Self { context }
    }

    /// One page, ascending, for members; an administrator's look is audited.
    ///
    /// # Errors
    /// [`ImError::ConversationNotFound`] also when it is somebody else's; [`ImError::Invalid`] naming `limit`.
    pub async fn page(
        &self,
        actor: &Actor,
        id: ConversationId,
        page: HistoryPage,
        limit: u32,
    ) -> Result<MessagePage, ImError> {
        let reader = Reader::of(actor)?;
        check_limit(limit)?;
        let mut unit = self.context.store.read();
        reader.find(&mut *unit, id).await?;
        let mut messages = unit.messages().history(id, page, limit.saturating_add(1)).await?;
        let has_more = cut(&mut messages, page, limit);
        reader.audit(&self.context, actor, "conversation.read", id).await?;
        Ok(MessagePage { messages, has_more })
    }

    /// One message, for members; an administrator's look is audited.
    ///
    /// # Errors
    /// [`ImError::ConversationNotFound`] also when it is somebody else's; [`ImError::MessageNotFound`].
    pub async fn message(&self, actor: &Actor, id: ConversationId, message: MessageId) -> Result<Message, ImError> {
        let reader = Reader::of(actor)?;
        let mut unit = self.context.store.read();
        reader.find(&mut *unit, id).await?;
        let found = unit.messages().find(id, message).await?.ok_or(ImError::MessageNotFound)?;
        reader.audit(&self.context, actor, "conversation.read", id).await?;
        Ok(found)
    }

    /// Every message, ascending, for members; an administrator's export is audited. Of recalled ones only that they
    /// were there is to be shown.
    ///
    /// # Errors
    /// [`ImError::ConversationNotFound`] also when it is somebody else's.
    pub async fn export(&self, actor: &Actor, id: ConversationId) -> Result<Vec<Message>, ImError> {
        let reader = Reader::of(actor)?;
        let mut unit = self.context.store.read();
        let last_seq = reader.find(&mut *unit, id).await?.conversation.last_seq;
        let mut exported = Vec::new();
        let mut after = 0;
        while after < last_seq {
            let part = unit.messages().history(id, HistoryPage::After(after), MAX_PAGE).await?;
            let Some(last) = part.last() else { break };
            after = last.seq;
            exported.extend(part.into_iter().filter(|m| m.seq <= last_seq));
        }
        reader.audit(&self.context, actor, "conversation.export", id).await?;
        Ok(exported)
    }
}

/// The number of messages asked for, at most [`MAX_PAGE`].
pub(crate) fn check_limit(limit: u32) -> Result<(), FieldError> {
    let fault = || FieldError::new("limit", format!("is between 1 and {MAX_PAGE}"));
    if (1..=MAX_PAGE).contains(&limit) { Ok(()) } else { Err(fault()) }
}

/// Takes off the extra message that only tells that there is more.
pub(crate) fn cut(messages: &mut Vec<Message>, page: HistoryPage, limit: u32) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let extra = messages.len().saturating_sub(limit);
    match page {
        HistoryPage::After(_) => messages.truncate(limit),
        HistoryPage::Before(_) => drop(messages.drain(..extra)),
    }
    extra > 0
}
