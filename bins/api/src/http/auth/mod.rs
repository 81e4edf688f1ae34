//! Signing in and out, the own sessions, and who one is.

pub mod dto;

use account::challenge::{ChallengeRef, Purpose};
use account::codes::CodeRequest;
use account::password::Password;
use account::phone_binding::PhoneBinding;
use account::session::SIGNED_OUT;
use account::sign_in::SmsSignIn;
use account::staff::AgentSignIn;
use domain::actor::AccessError;
use domain::id::{ChallengeId, SessionId};
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use self::dto::{
    AgentSignInRequest, BindPhoneRequest, CaptchaView, CloseAccountRequest, MeView, PasswordRequest, SessionView,
    SignedInAgentView, SignedInView, SmsCodeRequest, SmsCodeView, SmsSignInRequest, UserView, parse_phone,
};
use crate::http::Area;
use crate::http::body::{Body, Created, Done};
use crate::http::caller::{Anybody, By, Caller, SignedIn, Staff};
use crate::http::console_session::{ConsoleSignedIn, ConsoleSignedOut};
use crate::http::page::PageOf;
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Operations on sessions and the signed-in person.
pub struct AuthApi;

#[OpenApi(tag = "Area::Auth")]
impl AuthApi {
    /// Ask for an SMS code
    ///
    /// The answer is the same whether the number belongs to an account or not. Limits hold per number, address and
    /// device; a captcha may be needed.
    #[oai(path = "/auth/sms-codes", method = "post", operation_id = "request_sms_code")]
    async fn request_sms_code(
        &self,
        app: App,
        caller: By<Anybody>,
        request: Body<SmsCodeRequest>,
    ) -> Result<Created<SmsCodeView>, ApiError> {
        let Body(sent) = request;
        let code = CodeRequest {
            purpose: sent.purpose.map_or(Purpose::Login, Purpose::from),
            phone: parse_phone(&sent.phone)?,
            origin: caller.origin(),
            captcha: sent.captcha,
            is_findable_by_phone: false,
            is_spared_captcha: false,
        };
        Ok(Created(app.accounts.request_code(&caller.actor, code).await?.into()))
    }

    /// Get a captcha
    ///
    /// To be solved before the next code, when `captcha.needed` was answered.
    #[oai(path = "/auth/captcha", method = "get", operation_id = "get_captcha")]
    #[expect(clippy::unused_async, reason = "operations are asynchronous")]
    async fn get_captcha(&self, app: App, _caller: By<Anybody>) -> Result<Json<CaptchaView>, ApiError> {
        Ok(Json(app.accounts.captcha_task().into()))
    }

    /// Sign in with an SMS code
    ///
    /// Makes the account and the profile of the role where there is none. A code is accepted once.
    #[oai(path = "/auth/sign-in/sms", method = "post", operation_id = "sign_in_with_sms_code")]
    async fn sign_in_with_sms_code(
        &self,
        app: App,
        caller: By<Anybody>,
        request: Body<SmsSignInRequest>,
    ) -> Result<Created<SignedInView>, ApiError> {
        let Body(sent) = request;
        let sign_in = SmsSignIn {
            challenge: ChallengeRef::Id(ChallengeId(sent.challenge_id.0)),
            code: sent.code,
            role: Some(sent.role.into()),
            device_label: sent.device_label,
            origin: caller.origin(),
        };
        Ok(Created(app.accounts.sign_in_with_sms(&caller.actor, sign_in).await?.into()))
    }

    /// Sign in to the console
    ///
    /// For agents and administrators. Wrong passwords are counted per name and per address.
    #[oai(path = "/auth/sign-in/agent", method = "post", operation_id = "sign_in_agent")]
    async fn sign_in_agent(
        &self,
        app: App,
        caller: By<Anybody>,
        request: Body<AgentSignInRequest>,
    ) -> Result<Created<SignedInAgentView>, ApiError> {
        let sign_in = agent_sign_in(request.0, &caller);
        Ok(Created(app.accounts.sign_in_agent(&caller.actor, sign_in).await?.into()))
    }

    /// Sign in to the web console
    ///
    /// Like `sign_in_agent`, but the token is put into a cookie that no script can read. Requests with the cookie count
    /// only when they have the header `X-Console` as well.
    #[oai(path = "/auth/console-session", method = "post", operation_id = "create_console_session")]
    async fn create_console_session(
        &self,
        app: App,
        caller: By<Anybody>,
        request: Body<AgentSignInRequest>,
    ) -> Result<ConsoleSignedIn, ApiError> {
        let sign_in = agent_sign_in(request.0, &caller);
        Ok(ConsoleSignedIn::of(app.accounts.sign_in_agent(&caller.actor, sign_in).await?, app.is_https()))
    }

    /// Sign out of the web console
    ///
    /// Ends the session this request is made with and takes the cookie back.
    #[oai(path = "/auth/console-session", method = "delete", operation_id = "delete_console_session")]
    async fn delete_console_session(&self, app: App, caller: By<Staff>) -> Result<ConsoleSignedOut, ApiError> {
        let session = caller.session.ok_or(AccessError::Unauthenticated)?;
        app.accounts.revoke_session(&caller.actor, session, Some(SIGNED_OUT)).await?;
        Ok(ConsoleSignedOut::new(app.is_https()))
    }

    /// Sign out
    ///
    /// Ends the session this request is made with.
    #[oai(path = "/auth/sign-out", method = "post", operation_id = "sign_out")]
    async fn sign_out(&self, app: App, caller: By<SignedIn>) -> Result<Done, ApiError> {
        let session = caller.session.ok_or(AccessError::Unauthenticated)?;
        app.accounts.revoke_session(&caller.actor, session, Some(SIGNED_OUT)).await?;
        Ok(Done)
    }

    /// List the own sessions
    ///
    /// All signed-in devices, last used first.
    #[oai(path = "/auth/sessions", method = "get", operation_id = "list_sessions")]
    async fn list_sessions(&self, app: App, caller: By<SignedIn>) -> Result<Json<PageOf<SessionView>>, ApiError> {
        let sessions = app.accounts.list_sessions(&caller.actor).await?;
        let current = caller.session.map(Id::from);
        Ok(Json(PageOf::whole(sessions, |session| SessionView::of(session, current))))
    }

    /// Revoke one of the own sessions
    ///
    /// Signs that device out: its token is void, and its sockets are closed with the reason.
    #[oai(path = "/auth/sessions/:id", method = "delete", operation_id = "revoke_session")]
    async fn revoke_session(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the session.
        id: Path<Id>,
        /// Why, for the person at that device; `revoked` unless said.
        #[oai(validator(max_length = 100))]
        reason: Query<Option<String>>,
    ) -> Result<Done, ApiError> {
        app.accounts.revoke_session(&caller.actor, SessionId(id.0.0), reason.0.as_deref()).await?;
        Ok(Done)
    }

    /// Change the own password
    ///
    /// For agents and administrators; their other sessions end.
    #[oai(path = "/auth/password", method = "put", operation_id = "update_password")]
    async fn update_password(
        &self,
        app: App,
        caller: By<Staff>,
        request: Body<PasswordRequest>,
    ) -> Result<Done, ApiError> {
        let Body(sent) = request;
        let current = Password::typed(sent.current_password);
        app.accounts
            .change_agent_password(&caller.actor, current, &sent.new_password, &caller.origin(), caller.session)
            .await?;
        Ok(Done)
    }

    /// Get everything about oneself
    ///
    /// The account with its profiles, or the member of staff.
    #[oai(path = "/me", method = "get", operation_id = "get_me")]
    async fn get_me(&self, app: App, caller: By<SignedIn>) -> Result<Json<MeView>, ApiError> {
        let me = app.accounts.me(&caller.actor).await?;
        Ok(Json(MeView::of(me, &caller.actor, app.links())))
    }

    /// Give the own account a phone number
    ///
    /// The new number is proven with a code; so is the present one, unless the sign-in is not older than 10 minutes.
    #[oai(path = "/me/phone", method = "put", operation_id = "bind_phone")]
    async fn bind_phone(
        &self,
        app: App,
        caller: By<SignedIn>,
        request: Body<BindPhoneRequest>,
    ) -> Result<Json<UserView>, ApiError> {
        let Body(sent) = request;
        let binding = PhoneBinding { new: sent.new.into(), old: sent.old.map(Into::into), origin: caller.origin() };
        Ok(Json(app.accounts.bind_phone(&caller.actor, binding).await?.into()))
    }

    /// Close the own account
    ///
    /// For good: all sessions end, phone number and WeChat identity are free for a new account, the profiles are hidden and
    /// running consultations end as `account_closed`. Medical records stay for as long as they have to be kept. Proven
    /// with a code to the account's number, unless the sign-in is not older than 10 minutes.
    #[oai(path = "/me/close", method = "post", operation_id = "close_account")]
    async fn close_account(
        &self,
        app: App,
        caller: By<SignedIn>,
        request: Body<CloseAccountRequest>,
    ) -> Result<Done, ApiError> {
        let proof = request.0.proof.map(Into::into);
        app.accounts.close_own_account(&caller.actor, proof, caller.origin()).await?;
        Ok(Done)
    }
}

fn agent_sign_in(sent: AgentSignInRequest, caller: &Caller) -> AgentSignIn {
    AgentSignIn {
        username: sent.username,
        password: Password::typed(sent.password),
        device_label: sent.device_label,
        origin: caller.origin(),
    }
}
