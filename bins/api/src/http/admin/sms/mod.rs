//! Text messages as administrators see them.

pub mod dto;

use domain::id::{SmsMessageId, SmsReplyId};
use domain::page::PageRequest;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use sms::oversight::LogQuery;

use self::dto::{
    RevealedReplyView, SmsBudgetView, SmsMessageDetailView, SmsMessageView, SmsReplyView, SmsWayView,
    TestMessageRequest, TestMessageView,
};
use super::dto::RevealedPhoneView;
use crate::http::Area;
use crate::http::auth::dto::parse_phone;
use crate::http::body::{Body, Created};
use crate::http::caller::{By, Staff};
use crate::http::page::{PageOf, page_request};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;
use crate::http::words::{SmsKind, SmsState};

/// Operations on text messages.
pub struct SmsApi;

#[OpenApi(tag = "Area::Admin")]
impl SmsApi {
    /// List text messages
    ///
    /// Newest first, numbers masked. What they said is not kept. For administrators.
    #[oai(path = "/admin/sms/messages", method = "get", operation_id = "list_sms_messages")]
    #[expect(clippy::too_many_arguments, reason = "one argument for each parameter of the query")]
    async fn list_sms_messages(
        &self,
        app: App,
        caller: By<Staff>,
        /// Only to this number: 11 digits of a mainland number, or E.164.
        #[oai(validator(min_length = 3, max_length = 32))]
        phone: Query<Option<String>>,
        /// Only in this state.
        state: Query<Option<SmsState>>,
        /// Only of this kind.
        kind: Query<Option<SmsKind>>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<SmsMessageView>>, ApiError> {
        let page: PageRequest = page_request(&limit, &cursor)?;
        let phone = phone.0.as_deref().map(parse_phone).transpose()?;
        let query = LogQuery { phone, state: state.0.map(Into::into), kind: kind.0.map(Into::into) };
        Ok(Json(PageOf::of(app.sms.messages(&caller.actor, query, page).await?, SmsMessageView::from)))
    }

    /// Get a text message
    ///
    /// With every submission to a provider. For administrators.
    #[oai(path = "/admin/sms/messages/:id", method = "get", operation_id = "get_sms_message")]
    async fn get_sms_message(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the message.
        id: Path<Id>,
    ) -> Result<Json<SmsMessageDetailView>, ApiError> {
        Ok(Json(app.sms.message(&caller.actor, SmsMessageId(id.0.0)).await?.into()))
    }

    /// Show the number of a text message
    ///
    /// In full. For administrators; audited.
    #[oai(path = "/admin/sms/messages/:id/reveal", method = "post", operation_id = "reveal_sms_phone")]
    async fn reveal_sms_phone(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the message.
        id: Path<Id>,
    ) -> Result<Json<RevealedPhoneView>, ApiError> {
        Ok(Json(app.sms.reveal(&caller.actor, SmsMessageId(id.0.0)).await?.into()))
    }

    /// List replies to text messages
    ///
    /// Newest first, numbers masked and without the text. For administrators.
    #[oai(path = "/admin/sms/replies", method = "get", operation_id = "list_sms_replies")]
    async fn list_sms_replies(
        &self,
        app: App,
        caller: By<Staff>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<SmsReplyView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        Ok(Json(PageOf::of(app.sms.replies(&caller.actor, page).await?, SmsReplyView::from)))
    }

    /// Show a reply to a text message
    ///
    /// Number and text in full. For administrators; audited.
    #[oai(path = "/admin/sms/replies/:id/reveal", method = "post", operation_id = "reveal_sms_reply")]
    async fn reveal_sms_reply(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the reply.
        id: Path<Id>,
    ) -> Result<Json<RevealedReplyView>, ApiError> {
        Ok(Json(app.sms.reveal_reply(&caller.actor, SmsReplyId(id.0.0)).await?.into()))
    }

    /// Get the health of the SMS providers
    ///
    /// Every configured provider for each kind of message, in order of preference. For administrators.
    #[oai(path = "/admin/sms/health", method = "get", operation_id = "get_sms_health")]
    async fn get_sms_health(&self, app: App, caller: By<Staff>) -> Result<Json<PageOf<SmsWayView>>, ApiError> {
        Ok(Json(PageOf::whole(app.sms.health(&caller.actor).await?, SmsWayView::from)))
    }

    /// Get the budget of text messages
    ///
    /// What was spent today and what may be. For administrators.
    #[oai(path = "/admin/sms/budget", method = "get", operation_id = "get_sms_budget")]
    async fn get_sms_budget(&self, app: App, caller: By<Staff>) -> Result<Json<SmsBudgetView>, ApiError> {
        Ok(Json(app.sms.budget(&caller.actor).await?.into()))
    }

    /// Send a text message to try the providers
    ///
    /// It really leaves and costs what any message costs. For administrators; audited.
    #[oai(path = "/admin/sms/test-messages", method = "post", operation_id = "create_test_sms")]
    async fn create_test_sms(
        &self,
        app: App,
        caller: By<Staff>,
        request: Body<TestMessageRequest>,
    ) -> Result<Created<TestMessageView>, ApiError> {
        let id = app.sms.send_test(&caller.actor, request.0.try_into()?).await?;
        Ok(Created(TestMessageView { object_id: id.into() }))
    }
}
