//! What can go wrong around WeChat, for the caller.

use std::time::Duration;

use domain::actor::AccessError;
use domain::file::BlobError;
use domain::{Coded, ErrorKind, FieldError, StoreError};

use crate::errcode::{Class, code};
use crate::reply::CallError;
use crate::token::TokenError;

/// Every failure of this crate's use cases.
#[derive(Debug, thiserror::Error)]
pub enum WechatError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("some fields are not as they should be")]
    Invalid(Vec<FieldError>),
    #[error("there is no such WeChat app here")]
    AppNotFound,
    /// A login or phone code that is wrong, used or too old: the client asks WeChat for another.
    #[error("WeChat does not accept the code; ask for a new one")]
    CodeNotAccepted,
    #[error("WeChat blocks this person's sign-in as risky")]
    SignInBlocked,
    #[error("the phone number was not given to this app")]
    PhoneNotAccepted,
    #[error("there is no WeChat session to check; sign in again")]
    NoSession,
    #[error("WeChat limits how often this may be done")]
    TooMany { wait: Duration },
    #[error("WeChat cannot be reached at the moment")]
    Unavailable,
    /// Secret, whitelist, permission or the like: an operator has to act.
    #[error("WeChat refuses this app ({code})")]
    AppFault { code: i64 },
    #[error("WeChat refused the request ({code})")]
    Refused { code: i64 },
    #[error("a forced refresh is possible 20 times a day and 30 seconds after the last")]
    ForceNotAllowed,
    #[error("the person has to write first; WeChat allows no message now")]
    WindowClosed,
    #[error("the message was not found")]
    MessageNotFound,
    #[error("the content check was not found")]
    CheckNotFound,
    #[error("this content check was decided already")]
    CheckDecided,
    #[error("somebody else changed this; try again")]
    Conflict,
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("the database did not answer as it should")]
    Store(#[source] StoreError),
}

impl From<StoreError> for WechatError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict | StoreError::Unique(_) => Self::Conflict,
            other => Self::Store(other),
        }
    }
}

impl From<FieldError> for WechatError {
    fn from(fault: FieldError) -> Self {
        Self::Invalid(vec![fault])
    }
}

impl From<TokenError> for WechatError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Fault(code) => Self::AppFault { code },
            TokenError::Unavailable | TokenError::Store(_) => Self::Unavailable,
        }
    }
}

/// Longest wait told for a limit of the platform.
const MINUTE: Duration = Duration::from_mins(1);

impl From<CallError> for WechatError {
    fn from(error: CallError) -> Self {
        let refusal = match error {
            CallError::NotSent | CallError::Ambiguous => return Self::Unavailable,
            CallError::Token(error) => return error.into(),
            CallError::Refused(refusal) => refusal,
        };
        match (refusal.class(), refusal.code) {
            (_, code::CODE_BLOCKED) => Self::SignInBlocked,
            (Class::Code, _) => Self::CodeNotAccepted,
            (Class::Rate, _) => Self::TooMany { wait: MINUTE },
            (Class::Busy | Class::Concurrent, _) => Self::Unavailable,
            (Class::Token | Class::Credentials | Class::Capability, code) => Self::AppFault { code },
            (_, code) => Self::Refused { code },
        }
    }
}

impl Coded for WechatError {
    fn code(&self) -> &'static str {
        match self {
            Self::Access(error) => error.code(),
            Self::Invalid(_) => "request.invalid",
            Self::AppNotFound => "wechat.app_not_found",
            Self::CodeNotAccepted => "wechat.code_not_accepted",
            Self::SignInBlocked => "wechat.sign_in_blocked",
            Self::PhoneNotAccepted => "wechat.phone_not_accepted",
            Self::NoSession => "wechat.no_session",
            Self::TooMany { .. } => "wechat.too_many",
            Self::Unavailable => "wechat.unavailable",
            Self::AppFault { .. } => "wechat.app_fault",
            Self::Refused { .. } => "wechat.refused",
            Self::ForceNotAllowed => "wechat.force_not_allowed",
            Self::WindowClosed => "wechat.window_closed",
            Self::MessageNotFound => "wechat.message_not_found",
            Self::CheckNotFound => "wechat.check_not_found",
            Self::CheckDecided => "wechat.check_decided",
            Self::Conflict => "store.conflict",
            Self::Blob(_) => "file.store_unavailable",
            Self::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Access(error) => error.kind(),
            Self::Invalid(_) | Self::CodeNotAccepted => ErrorKind::Invalid,
            Self::AppNotFound | Self::MessageNotFound | Self::CheckNotFound => ErrorKind::NotFound,
            Self::SignInBlocked | Self::PhoneNotAccepted => ErrorKind::Forbidden,
            Self::NoSession | Self::WindowClosed | Self::CheckDecided | Self::Conflict => ErrorKind::Conflict,
            Self::TooMany { .. } | Self::ForceNotAllowed => ErrorKind::RateLimited,
            Self::Unavailable | Self::AppFault { .. } | Self::Refused { .. } | Self::Blob(_) => ErrorKind::Unavailable,
            Self::Store(error) => error.kind(),
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::Invalid(faults) => faults.clone(),
            _ => Vec::new(),
        }
    }

    fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::TooMany { wait } => Some(wait.as_secs().max(1)),
            Self::ForceNotAllowed => Some(30),
            Self::Unavailable => Some(2),
            _ => None,
        }
    }
}
