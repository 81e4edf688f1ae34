//! Looking at chats, writing in them, and what agents keep beside them.

use domain::FieldError;
use domain::id::{ConversationId, MessageId};
use im::desk::ports::{ChatFilter, ChatView};
use im::service::SendRequest;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use super::dto::chats::{
    ChatChangePatch, ChatViewName, DeskChatView, DeskCountsView, DeskEntryView, DeskProfileView, DraftRequest,
    DraftView, NoteRequest,
};
use crate::http::Area;
use crate::http::assistant::dto::CustomerRole;
use crate::http::body::{Body, Created, Done};
use crate::http::caller::{By, Staff};
use crate::http::conversations::dto::{MarkReadRequest, ReadView};
use crate::http::messages::direction;
use crate::http::messages::dto::{MessagePageView, MessageView, SendMessageRequest, SentAnswer};
use crate::http::page::{PageOf, page_request};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Messages of a page unless said.
const DEFAULT_PAGE: u32 = 50;

/// Operations on chats.
pub struct DeskChatsApi;

#[OpenApi(tag = "Area::Desk")]
impl DeskChatsApi {
    /// Count the chats of each view
    #[oai(path = "/desk/counts", method = "get", operation_id = "count_desk_chats")]
    async fn count_desk_chats(&self, app: App, caller: By<Staff>) -> Result<Json<DeskCountsView>, ApiError> {
        Ok(Json(app.desk.counts(&caller.actor).await?.into()))
    }

    /// List chats
    ///
    /// Those that wait in the order in which they will be served, all others with the newest change first.
    #[oai(path = "/desk/chats", method = "get", operation_id = "list_desk_chats")]
    #[expect(clippy::too_many_arguments, reason = "one argument for each parameter of the query")]
    async fn list_desk_chats(
        &self,
        app: App,
        caller: By<Staff>,
        /// Which chats, `mine` unless said: own and offered ones, waiting ones, all, or closed ones.
        view: Query<Option<ChatViewName>>,
        /// Only chats of patients or of doctors.
        customer: Query<Option<CustomerRole>>,
        /// Part of the customer's name or hospital, of a tag or of the remark.
        #[oai(validator(max_length = 50))]
        q: Query<Option<String>>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<DeskChatView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let view = match view.0.unwrap_or(ChatViewName::Mine) {
            ChatViewName::Mine => ChatView::Mine(app.desk.own_agent(&caller.actor).await?.id),
            ChatViewName::Waiting => ChatView::Waiting,
            ChatViewName::All => ChatView::All,
            ChatViewName::Closed => ChatView::Closed,
        };
        let text = q.0.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let filter = ChatFilter { view, customer: customer.0.map(CustomerRole::member_kind), text };
        let found = app.desk.list(&caller.actor, &filter, page).await?;
        Ok(Json(PageOf::of(found, |row| DeskChatView::of(row, app.clock.now(), app.links()))))
    }

    /// Get a chat
    #[oai(path = "/desk/chats/:id", method = "get", operation_id = "get_desk_chat")]
    async fn get_desk_chat(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
    ) -> Result<Json<DeskChatView>, ApiError> {
        let row = app.desk.get(&caller.actor, ConversationId(id.0.0)).await?;
        Ok(Json(DeskChatView::of(row, app.clock.now(), app.links())))
    }

    /// Change what the desk keeps about a customer
    ///
    /// Tags, remark, whether the customer is blocked from writing, and how urgent the chat is. Audited.
    #[oai(path = "/desk/chats/:id", method = "patch", operation_id = "update_desk_chat")]
    async fn update_desk_chat(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
        patch: Body<ChatChangePatch>,
    ) -> Result<Json<DeskChatView>, ApiError> {
        let chat = app.desk.update_chat(&caller.actor, ConversationId(id.0.0), patch.0.into()).await?;
        let row = app.desk.row_of(&caller.actor, chat).await?;
        Ok(Json(DeskChatView::of(row, app.clock.now(), app.links())))
    }

    /// List messages of a chat
    ///
    /// Ascending by `seq`: those after `after`, those before `before`, or the newest. Reading a chat that another
    /// agent has is audited.
    #[oai(path = "/desk/chats/:id/messages", method = "get", operation_id = "list_desk_messages")]
    async fn list_desk_messages(
        &self,
        app: App,
        caller: By<Staff>,
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
        let found = app.desk.messages(&caller.actor, ConversationId(id.0.0), page, limit).await?;
        let items = found.messages.into_iter().map(|message| MessageView::of(message, app.links())).collect();
        Ok(Json(MessagePageView { items, has_more: found.has_more }))
    }

    /// Answer for the assistant
    ///
    /// Only the agent who has the chat. Answers once it is stored for good; when there is no answer, send it again under
    /// the same `clientMessageId`. Files are those the staff has uploaded.
    #[oai(path = "/desk/chats/:id/messages", method = "post", operation_id = "send_desk_message")]
    async fn send_desk_message(
        &self,
        app: App,
        caller: By<Staff>,
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
        let message = app.desk.prepare(&caller.actor, send).await?;
        Ok(app.messaging.queue.hand_in(message).await?.into())
    }

    /// Take an answer back
    ///
    /// For the agent who wrote it within two minutes, for an administrator at any time. Audited.
    #[oai(path = "/desk/chats/:id/messages/:messageId/recall", method = "post", operation_id = "recall_desk_message")]
    async fn recall_desk_message(
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
        let recalled = app.desk.recall(&caller.actor, conversation, message).await?;
        Ok(Json(MessageView::of(recalled, app.links())))
    }

    /// Mark messages of a chat as read
    ///
    /// Moves the assistant's mark if the caller has the chat; for others nothing changes.
    #[oai(path = "/desk/chats/:id/read", method = "post", operation_id = "mark_desk_chat_read")]
    async fn mark_desk_chat_read(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
        request: Body<MarkReadRequest>,
    ) -> Result<Json<ReadView>, ApiError> {
        Ok(Json(app.desk.read(&caller.actor, ConversationId(id.0.0), request.0.seq).await?.into()))
    }

    /// List notes and events of a chat
    ///
    /// Newest first; each says after which message it stands. Customers never see them.
    #[oai(path = "/desk/chats/:id/entries", method = "get", operation_id = "list_desk_entries")]
    async fn list_desk_entries(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<DeskEntryView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let found = app.desk.entries(&caller.actor, ConversationId(id.0.0), page).await?;
        let names = app.desk.agent_names().await?;
        Ok(Json(PageOf::of(found, |entry| DeskEntryView::of(entry, &names))))
    }

    /// Write a note
    ///
    /// For agents only: it is no message, and reaches no customer.
    #[oai(path = "/desk/chats/:id/notes", method = "post", operation_id = "create_desk_note")]
    async fn create_desk_note(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
        request: Body<NoteRequest>,
    ) -> Result<Created<DeskEntryView>, ApiError> {
        let entry = app.desk.add_note(&caller.actor, ConversationId(id.0.0), &request.0.text).await?;
        let names = app.desk.agent_names().await?;
        Ok(Created(DeskEntryView::of(entry, &names)))
    }

    /// Get the customer of a chat
    ///
    /// As far as the desk may see them, phone number masked. Audited when another agent has the chat.
    #[oai(path = "/desk/chats/:id/profile", method = "get", operation_id = "get_desk_profile")]
    async fn get_desk_profile(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
    ) -> Result<Json<DeskProfileView>, ApiError> {
        let profile = app.desk.profile(&caller.actor, ConversationId(id.0.0)).await?;
        let history = app.consultations.recent_for_desk(&caller.actor, profile.patient(), profile.doctor()).await?;
        let names = app.desk.agent_names().await?;
        let today = app.clock.now().to_datetime().with_timezone(&app.desk.home).date_naive();
        Ok(Json(DeskProfileView::of(profile, history, &names, today, app.links())))
    }

    /// Get the own draft for a chat
    ///
    /// An empty text when there is none.
    #[oai(path = "/desk/chats/:id/draft", method = "get", operation_id = "get_desk_draft")]
    async fn get_desk_draft(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
    ) -> Result<Json<DraftView>, ApiError> {
        let found = app.desk.draft(&caller.actor, ConversationId(id.0.0)).await?;
        Ok(Json(found.map_or_else(|| DraftView::nothing(id.0, app.clock.now()), DraftView::from)))
    }

    /// Keep the own draft for a chat
    ///
    /// It survives a reload and a restart. An empty one is forgotten.
    #[oai(path = "/desk/chats/:id/draft", method = "put", operation_id = "set_desk_draft")]
    async fn set_desk_draft(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
        request: Body<DraftRequest>,
    ) -> Result<Json<DraftView>, ApiError> {
        let DraftRequest { text, is_note } = request.0;
        Ok(Json(app.desk.put_draft(&caller.actor, ConversationId(id.0.0), &text, is_note).await?.into()))
    }

    /// Forget the own draft for a chat
    #[oai(path = "/desk/chats/:id/draft", method = "delete", operation_id = "delete_desk_draft")]
    async fn delete_desk_draft(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
    ) -> Result<Done, ApiError> {
        app.desk.delete_draft(&caller.actor, ConversationId(id.0.0)).await?;
        Ok(Done)
    }

    /// List the own drafts
    #[oai(path = "/desk/drafts", method = "get", operation_id = "list_desk_drafts")]
    async fn list_desk_drafts(&self, app: App, caller: By<Staff>) -> Result<Json<PageOf<DraftView>>, ApiError> {
        Ok(Json(PageOf::whole(app.desk.drafts(&caller.actor).await?, DraftView::from)))
    }

    /// Search all chats
    ///
    /// Texts that hold `q`, newest first. Audited.
    #[oai(path = "/desk/search", method = "get", operation_id = "search_desk")]
    async fn search_desk(
        &self,
        app: App,
        caller: By<Staff>,
        /// What the text holds; ASCII letters in either case.
        #[oai(validator(min_length = 1, max_length = 100))]
        q: Query<String>,
        /// Messages on a page, 50 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 20))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<MessageView>>, ApiError> {
        let malformed = || ApiError::field(FieldError::new("cursor", "is not a cursor this server gave out"));
        let before = cursor.0.map(|text| text.parse().or(Err(malformed()))).transpose()?;
        let found = app.desk.search(&caller.actor, &q, before, limit.0.unwrap_or(DEFAULT_PAGE)).await?;
        let items = found.messages.into_iter().map(|message| MessageView::of(message, app.links())).collect();
        Ok(Json(PageOf { items, next_cursor: found.next.map(|next| next.to_string()) }))
    }
}
