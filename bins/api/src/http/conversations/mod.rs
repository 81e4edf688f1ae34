//! Conversations: the own list, one of them, and how far one has read.

pub mod dto;

use domain::id::ConversationId;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use self::dto::{ConversationView, MarkReadRequest, ReadView};
use crate::http::Area;
use crate::http::body::Body;
use crate::http::caller::{By, SignedIn};
use crate::http::page::{PageOf, page_request};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Operations on conversations.
pub struct ConversationsApi;

#[OpenApi(tag = "Area::Conversations")]
impl ConversationsApi {
    /// List own conversations
    ///
    /// The one that was written in last comes first; each with its members, its newest message and the exact number
    /// of unread ones.
    #[oai(path = "/conversations", method = "get", operation_id = "list_conversations")]
    async fn list_conversations(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<ConversationView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let found = app.messaging.conversations.list(&caller.actor, page).await?;
        Ok(Json(PageOf::of(found, |entry| ConversationView::of(entry, app.links()))))
    }

    /// Get a conversation
    ///
    /// For its members; an administrator's look is audited.
    #[oai(path = "/conversations/:id", method = "get", operation_id = "get_conversation")]
    async fn get_conversation(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the conversation.
        id: Path<Id>,
    ) -> Result<Json<ConversationView>, ApiError> {
        let entry = app.messaging.conversations.get(&caller.actor, ConversationId(id.0.0)).await?;
        Ok(Json(ConversationView::of(entry, app.links())))
    }

    /// Mark messages as read
    ///
    /// Moves forward only; the other members see it.
    #[oai(path = "/conversations/:id/read", method = "post", operation_id = "mark_conversation_read")]
    async fn mark_conversation_read(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the conversation.
        id: Path<Id>,
        request: Body<MarkReadRequest>,
    ) -> Result<Json<ReadView>, ApiError> {
        let read = app.messaging.reads.read(&caller.actor, ConversationId(id.0.0), request.0.seq).await?;
        Ok(Json(read.into()))
    }
}
