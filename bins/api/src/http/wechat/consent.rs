//! Consent to messages: what the client reports, and what it should ask for.

use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;

use super::dto::{ConsentRequest, GrantView};
use crate::http::Area;
use crate::http::body::Body;
use crate::http::caller::{By, SignedIn};
use crate::http::page::PageOf;
use crate::http::problem::ApiError;
use crate::http::services::App;

/// Operations on consent.
pub struct ConsentApi;

#[OpenApi(tag = "Area::Wechat")]
impl ConsentApi {
    /// Report a consent popup
    ///
    /// Send what `wx.requestSubscribeMessage` answered, with an id of your own for the popup. The same popup again,
    /// and WeChat's own telling of it, count once. Answers what may then be sent.
    #[oai(path = "/me/wechat/grants", method = "post", operation_id = "report_wechat_consent")]
    async fn report_wechat_consent(
        &self,
        app: App,
        caller: By<SignedIn>,
        request: Body<ConsentRequest>,
    ) -> Result<Json<PageOf<GrantView>>, ApiError> {
        let grants = app.wechat.consents.report(&caller.actor, &request.0.into()).await?;
        Ok(Json(PageOf::whole(grants, GrantView::from)))
    }

    /// List what the caller may be sent
    ///
    /// One entry for each template of the app. Ask again where `shouldAsk` says so, on a tap.
    #[oai(path = "/me/wechat/grants", method = "get", operation_id = "list_wechat_grants")]
    async fn list_wechat_grants(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Own name of the app.
        #[oai(name = "app", validator(max_length = 64))]
        name: Query<String>,
    ) -> Result<Json<PageOf<GrantView>>, ApiError> {
        let grants = app.wechat.consents.list(&caller.actor, &name.0).await?;
        Ok(Json(PageOf::whole(grants, GrantView::from)))
    }
}
