//! Signing in with WeChat, the person's session with the platform, and their phone number.

use std::fmt;

use domain::id::UserId;
use domain::{Actor, FieldError, Phone, Timestamp};
use serde_json::{Value, json};

use crate::app::App;
use crate::client::Call;
use crate::context::Context;
use crate::errcode::code;
use crate::error::WechatError;
use crate::secret::Secret;
use crate::sign::session_signature;

/// Longest code that is passed on.
const MAX_CODE_CHARS: usize = 256;

/// Who a person is in an app.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub app: String,
    pub openid: String,
    pub user: Option<UserId>,
    pub unionid: Option<String>,
    /// Sealed.
    pub session_key: Option<Vec<u8>>,
    /// Last sign-in: for two hours content checks know the person.
    pub visited_at: Option<Timestamp>,
    /// Of a service account: whether the person follows it; unknown when `None`.
    pub is_following: Option<bool>,
    pub updated_at: Timestamp,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("app", &self.app).field("user", &self.user).finish_non_exhaustive()
    }
}

impl Identity {
    pub fn new(app: &str, openid: &str, now: Timestamp) -> Self {
        Self {
            app: app.to_owned(),
            openid: openid.to_owned(),
            user: None,
            unionid: None,
            session_key: None,
            visited_at: None,
            is_following: None,
            updated_at: now,
        }
    }
}

/// Somebody who has proven to WeChat who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenPerson {
    pub app: String,
    pub openid: String,
    pub unionid: Option<String>,
    /// Never leaves the server but to clients that are allowed to decrypt for themselves.
    pub session_key: Secret,
}

/// Use cases of signing in.
#[derive(Clone)]
pub struct Logins {
    context: Context,
}

impl Logins {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Trades the client's one-time code for who the person is.
    ///
    /// # Errors
    /// [`WechatError::CodeNotAccepted`] when it is wrong, used or too old; also after an answer was lost, so that the
    /// client asks for a new one.
    pub async fn exchange(&self, app: &str, code: &str) -> Result<ProvenPerson, WechatError> {
        let app = self.miniprogram(app)?;
        check_code(code)?;
        let mut call = Call::get("jscode2session", "/sns/jscode2session");
        // A second try after a lost answer can only meet a used code.
        call.repeat = crate::client::Repeat::Never;
        call.query = vec![
            ("appid", app.appid.clone()),
            ("secret", app.secret.expose().to_owned()),
            ("js_code", code.to_owned()),
            ("grant_type", "authorization_code".to_owned()),
        ];
        let mut answer = self.context.client.without_token(app, &call).await?;
        let mut take = |name: &str| match answer.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        let (openid, session_key) = (take("openid"), take("session_key"));
        let unionid = take("unionid");
        match (openid, session_key) {
            (Some(openid), Some(key)) => {
                Ok(ProvenPerson { app: app.name.clone(), openid, unionid, session_key: Secret::new(key) })
            }
            _ => Err(WechatError::Unavailable),
        }
    }

    /// Remembers which account a proven person has.
    ///
    /// # Errors
    /// [`WechatError::Store`].
    pub async fn remember(&self, person: &ProvenPerson, user: UserId) -> Result<(), WechatError> {
        let now = self.context.clock.now();
        let place = session_place(&person.app, &person.openid);
        let sealed = self.context.sealer.seal(&*self.context.random, &place, &person.session_key);
        let mut unit = self.context.store.begin().await?;
        let known = unit.identities().find(&person.app, &person.openid).await?;
        let known = known.unwrap_or_else(|| Identity::new(&person.app, &person.openid, now));
        let identity = Identity {
            user: Some(user),
            unionid: person.unionid.clone().or(known.unionid.clone()),
            session_key: Some(sealed),
            visited_at: Some(now),
            updated_at: now,
            ..known
        };
        unit.identities().save(&identity).await?;
        if let Some(unionid) = &identity.unionid {
            unit.identities().link_unionid(unionid, user).await?;
        }
        Ok(unit.commit().await?)
    }

    /// Forgets whose identities these were: the account is closed.
    ///
    /// # Errors
    /// [`WechatError::Access`] for anybody but the system; [`WechatError::Store`].
    pub async fn release(&self, actor: &Actor, user: UserId) -> Result<(), WechatError> {
        actor.require(matches!(actor, Actor::System))?;
        let mut unit = self.context.store.begin().await?;
        unit.identities().release(user).await?;
        Ok(unit.commit().await?)
    }

    /// The number behind a code of the phone button.
    ///
    /// # Errors
    /// [`WechatError::CodeNotAccepted`]; [`WechatError::PhoneNotAccepted`] when it was given to another app.
    pub async fn phone_number(&self, app: &str, code: &str) -> Result<Phone, WechatError> {
        let app = self.miniprogram(app)?;
        check_code(code)?;
        let call = Call::post("getuserphonenumber", "/wxa/business/getuserphonenumber", json!({ "code": code }));
        let answer = match self.context.client.json(app, &call).await {
            // This code is of another app of ours.
            Err(error) if error.code() == Some(40_013) => return Err(WechatError::PhoneNotAccepted),
            other => other?,
        };
        let info = answer.get("phone_info").ok_or(WechatError::Unavailable)?;
        let watermark = info.get("watermark");
        let appid = watermark.and_then(|mark| mark.get("appid")).and_then(Value::as_str);
        // Its time says nothing more: the code itself works once and for five minutes.
        if appid != Some(app.appid.as_str()) {
            tracing::warn!(app = app.name, "a phone number had the watermark of another app");
            return Err(WechatError::PhoneNotAccepted);
        }
        phone_of(info).ok_or(WechatError::PhoneNotAccepted)
    }

    /// Whether the platform still knows the session of the caller's last sign-in.
    ///
    /// # Errors
    /// [`WechatError::NoSession`] when there was none in this app.
    pub async fn check_session(&self, actor: &Actor, app: &str) -> Result<bool, WechatError> {
        let app = self.miniprogram(app)?;
        let (identity, key) = self.session(actor, app).await?;
        let call = session_call("checksession", "/wxa/checksession", &identity, &key);
        match self.context.client.json(app, &call).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(code::SESSION_MISMATCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes the platform replace the session key of the caller's last sign-in.
    ///
    /// # Errors
    /// [`WechatError::NoSession`] when the platform does not know the old one any more.
    pub async fn reset_session(&self, actor: &Actor, app: &str) -> Result<(), WechatError> {
        let app = self.miniprogram(app)?;
        let (identity, key) = self.session(actor, app).await?;
        let mut call = session_call("resetusersessionkey", "/wxa/resetusersessionkey", &identity, &key);
        call.repeat = crate::client::Repeat::Never;
        let answer = match self.context.client.json(app, &call).await {
            Err(error) if error.code() == Some(code::SESSION_MISMATCH) => return Err(WechatError::NoSession),
            other => other?,
        };
        let fresh = answer.get("session_key").and_then(Value::as_str).ok_or(WechatError::Unavailable)?;
        let place = session_place(&app.name, &identity.openid);
        let sealed = self.context.sealer.seal(&*self.context.random, &place, &Secret::new(fresh));
        let mut unit = self.context.store.begin().await?;
        let now = self.context.clock.now();
        unit.identities().save(&Identity { session_key: Some(sealed), updated_at: now, ..identity }).await?;
        Ok(unit.commit().await?)
    }

    async fn session(&self, actor: &Actor, app: &App) -> Result<(Identity, Secret), WechatError> {
        let user = actor.require_user()?.user;
        let identities = self.context.store.read().identities().find_of_user(user).await?;
        let found = identities.into_iter().filter(|identity| identity.app == app.name);
        let identity = found.max_by_key(|identity| identity.visited_at).ok_or(WechatError::NoSession)?;
        let place = session_place(&app.name, &identity.openid);
        let key = identity.session_key.as_ref().and_then(|sealed| self.context.sealer.open(&place, sealed));
        Ok((identity, key.ok_or(WechatError::NoSession)?))
    }

    fn miniprogram(&self, name: &str) -> Result<&App, WechatError> {
        self.context.apps.find(name).filter(|app| app.is_miniprogram()).ok_or(WechatError::AppNotFound)
    }
}

fn session_place(app: &str, openid: &str) -> String {
    format!("session:{app}:{openid}")
}

fn session_call(name: &'static str, path: &'static str, identity: &Identity, key: &Secret) -> Call {
    let mut call = Call::get(name, path);
    call.query = vec![
        ("openid", identity.openid.clone()),
        ("signature", session_signature(key.expose(), b"")),
        ("sig_method", "hmac_sha256".to_owned()),
    ];
    call
}

fn check_code(code: &str) -> Result<(), WechatError> {
    let is_sane = !code.is_empty() && code.len() <= MAX_CODE_CHARS && code.bytes().all(|b| b.is_ascii_graphic());
    if is_sane { Ok(()) } else { Err(FieldError::new("code", "is not a code WeChat gives").into()) }
}

fn phone_of(info: &Value) -> Option<Phone> {
    let text = |name: &str| match info.get(name) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let pure = text("purePhoneNumber").filter(|pure| !pure.is_empty());
    match (pure, text("countryCode").filter(|code| !code.is_empty())) {
        (Some(pure), Some(country)) => format!("+{}{pure}", country.trim_start_matches('+')).parse().ok(),
        (Some(pure), None) => pure.parse().ok(),
        (None, _) => text("phoneNumber")?.parse().ok(),
    }
}
