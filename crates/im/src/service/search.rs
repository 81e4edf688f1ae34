//! Finding messages by what they say.

use domain::id::ConversationId;
use domain::{Actor, text};

use super::access::Reader;
use super::context::ImContext;
use super::history::check_limit;
use crate::error::ImError;
use crate::message::{Message, MessageSearch};

/// Most characters of what is looked for.
pub const MAX_QUERY_CHARS: usize = 100;

/// What somebody looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchRequest {
    pub text: String,
    /// Only within this conversation; whoever is not in it has to name it.
    pub conversation_id: Option<ConversationId>,
    /// [`Found::next`] of the page before.
    pub before: Option<i64>,
    pub limit: u32,
}

/// A page of what was found, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    pub messages: Vec<Message>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<i64>,
}

/// The use case of searching.
#[derive(Clone)]
pub struct Search {
    context: ImContext,
}

impl Search {
    pub const fn new(context: ImContext) -> Self {
        Self { context }
    }

    /// Text messages that hold the text, among the conversations the caller is in. An administrator names the
    /// conversation, and the look is audited.
    ///
    /// # Errors
    /// [`ImError::Invalid`] naming the field; [`ImError::ConversationNotFound`].
    pub async fn run(&self, actor: &Actor, request: SearchRequest) -> Result<Found, ImError> {
        let reader = Reader::of(actor)?;
        let text = text::required("q", &request.text, MAX_QUERY_CHARS)?;
        check_limit(request.limit)?;
        let mut unit = self.context.store.read();
        if let Some(id) = request.conversation_id {
            reader.find(&mut *unit, id).await?;
        }
        let client_ids = match (&reader, request.conversation_id) {
            (Reader::Member(ids), _) => ids.clone(),
            (Reader::Overseer, Some(id)) => {
                unit.conversations().members(id).await?.into_iter().map(|m| m.client_id).collect()
            }
            (Reader::Overseer, None) => return Err(domain::FieldError::new("conversationId", "must be said").into()),
        };
        let search = MessageSearch {
            client_ids,
            conversation_id: request.conversation_id,
            text,
            before: request.before,
            limit: request.limit.saturating_add(1),
        };
        let mut messages = unit.messages().search(&search).await?;
        if let Some(id) = request.conversation_id {
            reader.audit(&self.context, actor, "conversation.search", id).await?;
        }
        let limit = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let has_more = messages.len() > limit;
        messages.truncate(limit);
        let next = messages.last().filter(|_| has_more).map(|m| m.position);
        Ok(Found { messages, next })
    }
}
