//! Looking at conversations: the own list, and one of them.

use domain::Actor;
use domain::id::ConversationId;
use domain::page::{Page, PageRequest};

use super::access::{Readable, Reader};
use super::context::{ImContext, client_ids};
use crate::conversation::{Conversation, ConversationSummary, Member};
use crate::error::ImError;
use crate::message::Message;

/// A conversation as one caller sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct ConversationEntry {
    pub conversation: Conversation,
    /// All members with how far each has got, the caller among them.
    pub members: Vec<Member>,
    /// The caller's own place; `None` for somebody who only oversees.
    pub own: Option<Member>,
    pub last_message: Option<Message>,
}

impl ConversationEntry {
    fn of(summary: ConversationSummary, client_ids: &[String]) -> Self {
        let ConversationSummary { conversation, members, last_message } = summary;
        let own = members.iter().find(|m| client_ids.contains(&m.client_id)).cloned();
        Self { conversation, members, own, last_message }
    }

    /// Messages the caller has not read: neither own nor recalled ones.
    pub fn unread_count(&self) -> i64 {
        self.own.as_ref().map_or(0, |member| member.unread_count(self.conversation.last_seq))
    }
}

/// The use cases of looking at conversations.
#[derive(Clone)]
pub struct Conversations {
    context: ImContext,
}

impl Conversations {
    pub const fn new(context: ImContext) -> Self {
        Self { context }
    }

    /// The caller's conversations, the one with the newest message first.
    ///
    /// # Errors
    /// [`ImError::Access`] for callers who are neither patient nor doctor.
    pub async fn list(&self, actor: &Actor, page: PageRequest) -> Result<Page<ConversationEntry>, ImError> {
        let ids = client_ids(actor)?;
        let found = self.context.store.read().conversations().list(&ids, page).await?;
        Ok(found.map(|summary| ConversationEntry::of(summary, &ids)))
    }

    /// One conversation, for its members; an administrator's look is audited.
    ///
    /// # Errors
    /// [`ImError::ConversationNotFound`] also when it is somebody else's.
    pub async fn get(&self, actor: &Actor, id: ConversationId) -> Result<ConversationEntry, ImError> {
        let reader = Reader::of(actor)?;
        let mut unit = self.context.store.read();
        let Readable { conversation, members, own } = reader.find(&mut *unit, id).await?;
        let last_message = unit.messages().find_seq(id, conversation.last_seq).await?;
        reader.audit(&self.context, actor, "conversation.read", id).await?;
        Ok(ConversationEntry { conversation, members, own, last_message })
    }
}
