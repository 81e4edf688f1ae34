//! Messages: sending, reading in both directions, recalling, searching, exporting.

pub mod dto;

use domain::FieldError;
use domain::id::{ConversationId, MessageId};
use im::message::HistoryPage;
use im::service::{SearchRequest, SendRequest};
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use self::dto::{ExportedMessageView, MessagePageView, MessageView, SendMessageRequest, SentAnswer};
use crate::http::Area;
use crate::http::body::Body;
use crate::http::caller::{By, SignedIn, Staff};
use crate::http::page::PageOf;
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Messages of a page unless said.
const DEFAULT_PAGE: u32 = 50;

/// Operations on messages.
pub struct MessagesApi;

#[OpenApi(tag = "Area::Messages")]
impl MessagesApi {
    /// List messages of a conversation
    ///
    /// For its members, ascending by `seq`: those after `after`, those before `before`, or the newest. An
    /// administrator's look is audited.
    #[oai(path = "/conversations/:id/messages", method = "get", operation_id = "list_messages")]
    async fn list_messages(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the conversation.
        id: Path<Id>,
        /// The oldest messages with a greater `seq`.
        #[oai(validator(minimum(value = "0")))]
        after: Query<Option<i64>>,
        /// The newest messages with a smaller `seq`. Not together with `after`.
        #[oai(validator(minimum(value = "0")))]
        before: Query<Option<i64>>,
        /// Messages on a page, 50 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<MessagePageView>, ApiError> {
        let page = direction(after.0, before.0)?;
        let limit = limit.0.unwrap_or(DEFAULT_PAGE);
        let found = app.messaging.history.page(&caller.actor, ConversationId(id.0.0), page, limit).await?;
        let items = found.messages.into_iter().map(|message| MessageView::of(message, app.links())).collect();
        Ok(Json(MessagePageView { items, has_more: found.has_more }))
    }

    /// Send a message
    ///
    /// Answers once it is stored for good. When there is no answer, send it again under the same `clientMessageId`.
    /// The dialog of a consultation takes messages of its patient and doctor while the consultation lasts.
    #[oai(path = "/conversations/:id/messages", method = "post", operation_id = "send_message")]
    async fn send_message(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the conversation.
        id: Path<Id>,
        request: Body<SendMessageRequest>,
    ) -> Result<SentAnswer, ApiError> {
        let content = request.0.content.to_string();
        let send = SendRequest {
            conversation_id: ConversationId(id.0.0),
            client_message_id: &request.0.client_message_id,
            kind: &request.0.kind,
            content: &content,
            corrects: request.0.corrected(),
            origin: None,
        };
        let message = app.messaging.messages.prepare(&caller.actor, send).await?;
        Ok(app.messaging.queue.hand_in(message).await?.into())
    }

    /// Get a message
    ///
    /// For members of the conversation, e.g. to get a fresh download address. An administrator's look is audited.
    #[oai(path = "/conversations/:id/messages/:messageId", method = "get", operation_id = "get_message")]
    async fn get_message(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the conversation.
        id: Path<Id>,
        /// Id of the message.
        #[oai(name = "messageId")]
        message_id: Path<Id>,
    ) -> Result<Json<MessageView>, ApiError> {
        let (conversation, message) = (ConversationId(id.0.0), MessageId(message_id.0.0));
        let found = app.messaging.history.message(&caller.actor, conversation, message).await?;
        Ok(Json(MessageView::of(found, app.links())))
    }

    /// Recall a message
    ///
    /// For its sender within two minutes, for an administrator at any time and audited. Everybody then sees that it
    /// was recalled, and nobody what it said. Recalling it again changes nothing.
    #[oai(path = "/conversations/:id/messages/:messageId/recall", method = "post", operation_id = "recall_message")]
    async fn recall_message(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the conversation.
        id: Path<Id>,
        /// Id of the message.
        #[oai(name = "messageId")]
        message_id: Path<Id>,
    ) -> Result<Json<MessageView>, ApiError> {
        let (conversation, message) = (ConversationId(id.0.0), MessageId(message_id.0.0));
        let recalled = app.messaging.recalls.recall(&caller.actor, conversation, message).await?;
        Ok(Json(MessageView::of(recalled, app.links())))
    }

    /// Get what a message said, though it was recalled
    ///
    /// For administrators; every look is audited.
    #[oai(
        path = "/conversations/:id/messages/:messageId/original",
        method = "get",
        operation_id = "get_original_message"
    )]
    async fn get_original_message(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
        /// Id of the message.
        #[oai(name = "messageId")]
        message_id: Path<Id>,
    ) -> Result<Json<MessageView>, ApiError> {
        let (conversation, message) = (ConversationId(id.0.0), MessageId(message_id.0.0));
        let found = app.messaging.recalls.original(&caller.actor, conversation, message).await?;
        Ok(Json(MessageView::original(found, app.links())))
    }

    /// Export a conversation
    ///
    /// All of it in the shortest form, ascending, without recalled messages. For its members; an administrator's
    /// export is audited.
    #[oai(path = "/conversations/:id/export", method = "get", operation_id = "export_conversation")]
    async fn export_conversation(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the conversation.
        id: Path<Id>,
    ) -> Result<Json<Vec<ExportedMessageView>>, ApiError> {
        let messages = app.messaging.history.export(&caller.actor, ConversationId(id.0.0)).await?;
        let shown = messages.iter().filter(|message| !message.is_recalled());
        Ok(Json(shown.map(|message| ExportedMessageView::of(message, app.links())).collect()))
    }

    /// Search messages
    ///
    /// Texts that hold `q`, newest first, in the caller's conversations. An administrator names the conversation,
    /// and the look is audited.
    #[oai(path = "/messages/search", method = "get", operation_id = "search_messages")]
    async fn search_messages(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// What the text holds; ASCII letters in either case.
        #[oai(validator(min_length = 1, max_length = 100))]
        q: Query<String>,
        /// Only within this conversation.
        #[oai(name = "conversationId")]
        conversation_id: Query<Option<Id>>,
        /// Messages on a page, 50 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(minimum(value = "1")))]
        cursor: Query<Option<i64>>,
    ) -> Result<Json<PageOf<MessageView>>, ApiError> {
        let search = SearchRequest {
            text: q.0,
            conversation_id: conversation_id.0.map(|id| ConversationId(id.0)),
            before: cursor.0,
            limit: limit.0.unwrap_or(DEFAULT_PAGE),
        };
        let found = app.messaging.search.run(&caller.actor, search).await?;
        let items = found.messages.into_iter().map(|message| MessageView::of(message, app.links())).collect();
        Ok(Json(PageOf { items, next_cursor: found.next.map(|next| next.to_string()) }))
    }
}

/// Where a page begins and which way it goes.
///
/// # Errors
/// 400 when both are sent.
pub fn direction(after: Option<i64>, before: Option<i64>) -> Result<HistoryPage, ApiError> {
    match (after, before) {
        (Some(_), Some(_)) => Err(ApiError::field(FieldError::new("before", "goes without `after`"))),
        (Some(seq), None) => Ok(HistoryPage::After(seq)),
        (None, Some(seq)) => Ok(HistoryPage::Before(seq)),
        (None, None) => Ok(HistoryPage::Before(i64::MAX)),
    }
}
