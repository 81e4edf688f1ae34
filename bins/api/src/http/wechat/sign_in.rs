//! Signing in with a mini-program, its phone button, and the session with the platform.

use account::identity::{ProvenIdentity, WEIXIN_UNIONID, WeappSeat};
use account::identity_sign_in::IdentitySignIn;
use account::sign_in::SignedIn as SignedInPerson;
use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use wechat::WechatError;

use super::dto::{WechatAppRequest, WechatPhoneRequest, WechatSessionView, WechatSignInRequest};
use crate::http::Area;
use crate::http::auth::dto::{SignedInView, UserView};
use crate::http::body::{Body, Created, Done};
use crate::http::caller::{Anybody, By, SignedIn};
use crate::http::problem::ApiError;
use crate::http::services::{App, Services};
use crate::http::wechat::role_of;

/// Operations of signing in with WeChat.
pub struct WechatSignInApi;

#[OpenApi(tag = "Area::Auth")]
impl WechatSignInApi {
    /// Sign in with a mini-program
    ///
    /// Send the code of `wx.login`. Makes the account and the profile of the app's audience where there is none; with
    /// the code of the phone button an account with that number is found. When `wechat.code_not_accepted` is
    /// answered, also after a lost answer, call `wx.login` again.
    #[oai(path = "/auth/sign-in/wechat", method = "post", operation_id = "sign_in_with_wechat")]
    async fn sign_in_with_wechat(
        &self,
        app: App,
        caller: By<Anybody>,
        request: Body<WechatSignInRequest>,
    ) -> Result<Created<SignedInView>, ApiError> {
        app.accounts.admit_identity_sign_in(&caller.actor, &caller.origin()).await?;
        Ok(Created(sign_in(&app, &caller.actor, request.0).await?.into()))
    }

    /// Give the own account the phone number of WeChat
    ///
    /// Send the code of the phone button. Another verified number is replaced only when the sign-in is not older than
    /// 10 minutes.
    #[oai(path = "/me/phone/wechat", method = "put", operation_id = "bind_phone_of_wechat")]
    async fn bind_phone_of_wechat(
        &self,
        app: App,
        caller: By<SignedIn>,
        request: Body<WechatPhoneRequest>,
    ) -> Result<Json<UserView>, ApiError> {
        caller.actor.require_user()?;
        let phone = app.wechat.logins.phone_number(&request.0.app, &request.0.code).await?;
        Ok(Json(app.accounts.bind_proven_phone(&caller.actor, &phone).await?.into()))
    }

    /// Check the own session with WeChat
    ///
    /// Whether WeChat still knows the session of the last sign-in with this app; if not, call `wx.login` again.
    #[oai(path = "/me/wechat/session", method = "get", operation_id = "check_wechat_session")]
    async fn check_wechat_session(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Own name of the app.
        #[oai(name = "app", validator(max_length = 64))]
        name: Query<String>,
    ) -> Result<Json<WechatSessionView>, ApiError> {
        let is_valid = app.wechat.logins.check_session(&caller.actor, &name.0).await?;
        Ok(Json(WechatSessionView { is_valid }))
    }

    /// Reset the own session with WeChat
    ///
    /// WeChat gives it a new key, which this server keeps.
    #[oai(path = "/me/wechat/session/reset", method = "post", operation_id = "reset_wechat_session")]
    async fn reset_wechat_session(
        &self,
        app: App,
        caller: By<SignedIn>,
        request: Body<WechatAppRequest>,
    ) -> Result<Done, ApiError> {
        app.wechat.logins.reset_session(&caller.actor, &request.0.app).await?;
        Ok(Done)
    }
}

/// Proves the person, finds or makes the account, and remembers who it is.
async fn sign_in(
    services: &Services,
    actor: &domain::Actor,
    sent: WechatSignInRequest,
) -> Result<SignedInPerson, ApiError> {
    let wechat = &services.wechat;
    let audience = wechat.apps.find(&sent.app).map(|app| app.audience).ok_or(WechatError::AppNotFound)?;
    let person = wechat.logins.exchange(&sent.app, &sent.code).await?;
    let phone = match &sent.phone_code {
        Some(code) => Some(wechat.logins.phone_number(&sent.app, code).await?),
        None => None,
    };
    let audience = role_of(audience);
    let (openid, unionid) = (person.openid.clone(), person.unionid.clone());
    let proven = ProvenIdentity::of_weapp(WeappSeat { app: sent.app, audience, openid, unionid });
    let request = IdentitySignIn {
        proven: proven.across_apps(WEIXIN_UNIONID, false),
        role: Some(audience),
        phone,
        device_label: sent.device_label,
        makes_account: true,
    };
    let signed_in = services.accounts.sign_in_with_identity(actor, &request).await?;
    wechat.logins.remember(&person, signed_in.user.id).await?;
    Ok(signed_in)
}
