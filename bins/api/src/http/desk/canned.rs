//! Answers that agents keep ready.

use domain::id::{CannedReplyId, ConversationId};
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use super::dto::canned::{CannedReplyChangePatch, CannedReplyView, CreateCannedReplyRequest};
use crate::http::Area;
use crate::http::body::{Body, Created, Done};
use crate::http::caller::{By, Staff};
use crate::http::page::PageOf;
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Operations on answers kept ready.
pub struct CannedRepliesApi;

#[OpenApi(tag = "Area::Desk")]
impl CannedRepliesApi {
    /// List answers kept ready
    ///
    /// Own ones, those of the caller's groups and those for all, by title. With a chat their variables are filled in.
    #[oai(path = "/desk/canned-replies", method = "get", operation_id = "list_canned_replies")]
    async fn list_canned_replies(
        &self,
        app: App,
        caller: By<Staff>,
        /// Part of title, text or shortcut, or the title in pinyin or its first letters.
        #[oai(validator(max_length = 60))]
        q: Query<Option<String>>,
        /// The chat they are wanted for.
        #[oai(name = "conversationId")]
        conversation_id: Query<Option<Id>>,
    ) -> Result<Json<PageOf<CannedReplyView>>, ApiError> {
        let chat = conversation_id.0.map(|id| ConversationId(id.0));
        let found = app.desk.canned_replies(&caller.actor, q.0.as_deref().unwrap_or_default(), chat).await?;
        Ok(Json(PageOf::whole(found, |view| CannedReplyView::of(view.reply, view.rendered))))
    }

    /// Keep an answer ready
    ///
    /// Everybody their own; administrators those for a group or for all. Variables: `{{customer.name}}`,
    /// `{{customer.title}}`, `{{agent.name}}`, `{{assistant.name}}`, `{{date}}`, `{{time}}`.
    #[oai(path = "/desk/canned-replies", method = "post", operation_id = "create_canned_reply")]
    async fn create_canned_reply(
        &self,
        app: App,
        caller: By<Staff>,
        request: Body<CreateCannedReplyRequest>,
    ) -> Result<Created<CannedReplyView>, ApiError> {
        let reply = app.desk.create_canned_reply(&caller.actor, request.0.into()).await?;
        Ok(Created(CannedReplyView::of(reply, None)))
    }

    /// Change an answer kept ready
    #[oai(path = "/desk/canned-replies/:id", method = "patch", operation_id = "update_canned_reply")]
    async fn update_canned_reply(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the answer.
        id: Path<Id>,
        patch: Body<CannedReplyChangePatch>,
    ) -> Result<Json<CannedReplyView>, ApiError> {
        let reply = app.desk.update_canned_reply(&caller.actor, CannedReplyId(id.0.0), patch.0.into()).await?;
        Ok(Json(CannedReplyView::of(reply, None)))
    }

    /// Forget an answer kept ready
    #[oai(path = "/desk/canned-replies/:id", method = "delete", operation_id = "delete_canned_reply")]
    async fn delete_canned_reply(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the answer.
        id: Path<Id>,
    ) -> Result<Done, ApiError> {
        app.desk.delete_canned_reply(&caller.actor, CannedReplyId(id.0.0)).await?;
        Ok(Done)
    }
}
