//! Signing in from a mini-program as LeanCloud's clients do it: with a code that does not say of which app it is.

use account::identity::WeappSeat;
use async_trait::async_trait;
use domain::id::UserId;
use domain::{Coded, ErrorKind};
use leancloud::rest::{MiniProgramError, MiniProgramLogin, WeappPerson};
use wechat::identity::{Logins, ProvenPerson};
use wechat::{AppKind, Apps, Secret, WechatError};

use crate::http::wechat::role_of;

/// Trades codes with WeChat, for one mini-program after the other until one knows the code.
pub struct WechatMiniPrograms {
    pub apps: Apps,
    pub logins: Logins,
    /// `leancloud.weapp_session_key`.
    pub shows_session_key: bool,
}

#[async_trait]
impl MiniProgramLogin for WechatMiniPrograms {
    async fn exchange(&self, code: &str) -> Result<WeappPerson, MiniProgramError> {
        let mut refusal = MiniProgramError::NotConfigured;
        for app in self.apps.iter().filter(|app| app.kind == AppKind::Miniprogram) {
            match self.logins.exchange(&app.name, code).await {
                Ok(ProvenPerson { app: name, openid, unionid, session_key }) => {
                    let seat = WeappSeat { app: name, audience: role_of(app.audience), openid, unionid };
                    return Ok(WeappPerson { seat, session_key: session_key.expose().to_owned() });
                }
                // Perhaps it is of another app of ours; a fault of one app says nothing of the others.
                Err(error) => refusal = stronger(refusal, told(&error)),
            }
        }
        Err(refusal)
    }

    async fn remember(&self, person: &WeappPerson, user: UserId) -> Result<(), MiniProgramError> {
        let WeappSeat { app, openid, unionid, .. } = person.seat.clone();
        let session_key = Secret::new(person.session_key.clone());
        let person = ProvenPerson { app, openid, unionid, session_key };
        self.logins.remember(&person, user).await.or(Err(MiniProgramError::Unavailable))
    }

    fn shows_session_key(&self) -> bool {
        self.shows_session_key
    }
}

fn told(error: &WechatError) -> MiniProgramError {
    match error {
        WechatError::CodeNotAccepted | WechatError::Invalid(_) => MiniProgramError::CodeNotAccepted,
        other => {
            if other.kind() != ErrorKind::Invalid {
                tracing::warn!(code = other.code(), "a mini-program's code could not be traded");
            }
            MiniProgramError::Unavailable
        }
    }
}

/// A code that no app knows is refused only when every app was asked.
const fn stronger(one: MiniProgramError, other: MiniProgramError) -> MiniProgramError {
    match (one, other) {
        (MiniProgramError::Unavailable, _) | (_, MiniProgramError::Unavailable) => MiniProgramError::Unavailable,
        (_, other) => other,
    }
}
