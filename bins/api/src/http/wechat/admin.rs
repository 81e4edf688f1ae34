//! Operating WeChat: how the apps are, templates, the message log, content checks, customer-service messages.

use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use wechat::content::CheckState;
use wechat::message::MessageFilter;

use super::dto::{
    ContentCheckView, DecideCheckRequest, ServiceAnswerRequest, ServiceMessageView, TemplateSyncView, WechatAppView,
    WechatMessageView, WechatTemplateView,
};
use crate::http::Area;
use crate::http::admin::dto::ReasonRequest;
use crate::http::body::{Body, Done};
use crate::http::caller::{By, Staff};
use crate::http::page::{PageOf, page_request};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;
use crate::http::words::{ContentCheckState, WechatMessageState};

/// Operations of administrators.
pub struct WechatAdminApi;

#[OpenApi(tag = "Area::Admin")]
impl WechatAdminApi {
    /// List the WeChat apps and how they are
    ///
    /// Token, fault with what to do about it, forced refreshes left today, lanes that are paused. For administrators.
    #[oai(path = "/admin/wechat/apps", method = "get", operation_id = "list_wechat_apps")]
    async fn list_wechat_apps(&self, app: App, caller: By<Staff>) -> Result<Json<PageOf<WechatAppView>>, ApiError> {
        Ok(Json(PageOf::whole(app.wechat.operations.health(&caller.actor).await?, WechatAppView::from)))
    }

    /// Replace an app's access token by force
    ///
    /// When it leaked or is stuck: twice, 30 seconds apart, kills the old one. WeChat allows 20 a day. For
    /// administrators; audited.
    #[oai(path = "/admin/wechat/apps/:app/token/refresh", method = "post", operation_id = "force_wechat_token")]
    async fn force_wechat_token(
        &self,
        app: App,
        caller: By<Staff>,
        /// Own name of the app.
        #[oai(name = "app", validator(max_length = 64))]
        name: Path<String>,
        request: Body<ReasonRequest>,
    ) -> Result<Json<WechatAppView>, ApiError> {
        Ok(Json(app.wechat.operations.force_token(&caller.actor, &name.0, &request.0.reason).await?.into()))
    }

    /// List an app's templates
    ///
    /// As they were in WeChat's console when last compared. For administrators.
    #[oai(path = "/admin/wechat/apps/:app/templates", method = "get", operation_id = "list_wechat_templates")]
    async fn list_wechat_templates(
        &self,
        app: App,
        caller: By<Staff>,
        /// Own name of the app.
        #[oai(name = "app", validator(max_length = 64))]
        name: Path<String>,
    ) -> Result<Json<PageOf<WechatTemplateView>>, ApiError> {
        caller.actor.require_admin()?;
        Ok(Json(PageOf::whole(app.wechat.templates.list(&name.0).await?, WechatTemplateView::from)))
    }

    /// Compare an app's templates with the console now
    ///
    /// This also happens every six hours. For administrators.
    #[oai(path = "/admin/wechat/apps/:app/templates/sync", method = "post", operation_id = "sync_wechat_templates")]
    async fn sync_wechat_templates(
        &self,
        app: App,
        caller: By<Staff>,
        /// Own name of the app.
        #[oai(name = "app", validator(max_length = 64))]
        name: Path<String>,
    ) -> Result<Json<TemplateSyncView>, ApiError> {
        caller.actor.require_admin()?;
        Ok(Json(app.wechat.templates.sync(&name.0).await?.into()))
    }

    /// List messages sent by WeChat
    ///
    /// Newest first, with what WeChat said. `unknown` may have arrived and is not sent again. For administrators.
    #[oai(path = "/admin/wechat/messages", method = "get", operation_id = "list_wechat_messages")]
    async fn list_wechat_messages(
        &self,
        app: App,
        caller: By<Staff>,
        /// Only of this app.
        #[oai(name = "app", validator(max_length = 64))]
        name: Query<Option<String>>,
        /// Only in this state.
        state: Query<Option<WechatMessageState>>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<WechatMessageView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let filter = MessageFilter { app: name.0, state: state.0.map(Into::into) };
        let found = app.wechat.messages.log(&caller.actor, &filter, page).await?;
        Ok(Json(PageOf::of(found, WechatMessageView::from)))
    }

    /// List content checks
    ///
    /// Those that wait for a person unless another state is asked for, newest first. For administrators.
    #[oai(path = "/admin/wechat/content-checks", method = "get", operation_id = "list_content_checks")]
    async fn list_content_checks(
        &self,
        app: App,
        caller: By<Staff>,
        /// State of the checks, `review` unless said.
        state: Query<Option<ContentCheckState>>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<ContentCheckView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let state = state.0.map_or(CheckState::Review, Into::into);
        let found = app.wechat.contents.list(&caller.actor, state, page).await?;
        Ok(Json(PageOf::of(found, ContentCheckView::from)))
    }

    /// Decide about a message in the review queue
    ///
    /// Let it stand or take it back, with the reason. For administrators; audited.
    #[oai(path = "/admin/wechat/content-checks/:id/decision", method = "post", operation_id = "decide_content_check")]
    async fn decide_content_check(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the check.
        id: Path<Id>,
        request: Body<DecideCheckRequest>,
    ) -> Result<Json<ContentCheckView>, ApiError> {
        let Body(sent) = request;
        let decided = app.wechat.contents.decide(&caller.actor, id.0.0, sent.keeps, &sent.reason).await?;
        Ok(Json(decided.into()))
    }

    /// List what people wrote in the customer-service session
    ///
    /// Newest first. For administrators; audited.
    #[oai(
        path = "/admin/wechat/apps/:app/service-messages",
        method = "get",
        operation_id = "list_wechat_service_messages"
    )]
    async fn list_wechat_service_messages(
        &self,
        app: App,
        caller: By<Staff>,
        /// Own name of the app.
        #[oai(name = "app", validator(max_length = 64))]
        name: Path<String>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<ServiceMessageView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let found = app.wechat.service_messages.list(&caller.actor, &name.0, page).await?;
        Ok(Json(PageOf::of(found, ServiceMessageView::from)))
    }

    /// Answer in the customer-service session
    ///
    /// Possible for 48 hours and five times after the person wrote, and for a minute and twice after they opened it.
    /// For administrators; audited.
    #[oai(
        path = "/admin/wechat/apps/:app/service-messages",
        method = "post",
        operation_id = "answer_wechat_service_message"
    )]
    async fn answer_wechat_service_message(
        &self,
        app: App,
        caller: By<Staff>,
        /// Own name of the app.
        #[oai(name = "app", validator(max_length = 64))]
        name: Path<String>,
        request: Body<ServiceAnswerRequest>,
    ) -> Result<Done, ApiError> {
        let Body(sent) = request;
        app.wechat.messages.answer(&caller.actor, &name.0, &sent.openid, &sent.text).await?;
        Ok(Done)
    }
}
