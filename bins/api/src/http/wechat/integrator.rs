//! Access tokens for sister services, so that nobody else fetches one.

use poem::http::HeaderValue;
use poem::http::header::CACHE_CONTROL;
use poem::{IntoResponse, Response};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaResponses, Registry};
use poem_openapi::{ApiResponse, OpenApi};

use super::dto::WechatTokenView;
use crate::http::Area;
use crate::http::caller::{By, Integrator};
use crate::http::problem::ApiError;
use crate::http::services::App;

/// Operations of sister services.
pub struct WechatTokenApi;

#[OpenApi(tag = "Area::Wechat")]
impl WechatTokenApi {
    /// Get an access token of an app
    ///
    /// For servers with the master key; audited. Ask again each time or at least every minute, and report the version
    /// that WeChat refused, so that it is replaced once for everybody.
    #[oai(path = "/wechat/apps/:app/access-token", method = "get", operation_id = "get_wechat_access_token")]
    async fn get_wechat_access_token(
        &self,
        app: App,
        caller: By<Integrator>,
        /// Own name of the app.
        #[oai(name = "app", validator(max_length = 64))]
        name: Path<String>,
        /// Version of the token that WeChat refused (40001, 40014 or 42001).
        refused_version: Query<Option<i64>>,
    ) -> Result<NotStored, ApiError> {
        let handed = app.wechat.operations.hand_out_token(&caller.actor, &name.0, refused_version.0).await?;
        let (token, now) = handed;
        Ok(NotStored(WechatTokenView::of(&token, now)))
    }
}

/// An answer that no cache keeps.
pub struct NotStored(WechatTokenView);

impl IntoResponse for NotStored {
    fn into_response(self) -> Response {
        let mut response = Json(self.0).into_response();
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl ApiResponse for NotStored {
    fn meta() -> MetaResponses {
        Json::<WechatTokenView>::meta()
    }

    fn register(registry: &mut Registry) {
        Json::<WechatTokenView>::register(registry);
    }
}
