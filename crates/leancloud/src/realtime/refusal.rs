//! What realtime clients are told when something is refused, in LeanCloud's numbers.

use std::error::Error;

use domain::{Coded, ErrorKind, StoreError};
use im::ImError;

use crate::rest::RestError;

/// A refused command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    pub code: i32,
    pub reason: String,
    /// The product's own number and word for it, where a rule of the product refuses.
    pub app_code: Option<i32>,
    pub app_message: Option<String>,
}

/// Numbers of refusals.
pub mod code {
    pub const SIGNATURE: i32 = 4102;
    pub const CLIENT_ID: i32 = 4103;
    pub const NO_SESSION: i32 = 4105;
    pub const TOO_LONG: i32 = 4109;
    pub const CONFLICT: i32 = 4111;
    pub const TICKET: i32 = 4112;
    pub const MALFORMED: i32 = 4114;
    pub const KICKED: i32 = 4115;
    pub const TOO_FAST: i32 = 4116;
    pub const INTERNAL: i32 = 4200;
    pub const NOT_SUPPORTED: i32 = 4301;
    pub const CONVERSATION_SIGNATURE: i32 = 4302;
    pub const NO_CONVERSATION: i32 = 4303;
    pub const FULL: i32 = 4304;
    pub const UPDATE_FAILED: i32 = 4306;
    pub const READ_ONLY: i32 = 4307;
    pub const MAY_NOT_SEND: i32 = 4308;
    pub const NOT_MEMBER_UPDATE: i32 = 4309;
    pub const QUERY_FAILED: i32 = 4310;
    pub const NOT_MEMBER_LOGS: i32 = 4312;
    pub const ROLES_OFF: i32 = 4325;
    pub const EXPIRED: i32 = 4323;
    pub const NO_TARGET: i32 = 4401;
    pub const REFUSED_BY_RULE: i32 = 4402;
    pub const NOT_ALLOWED_ON_MESSAGE: i32 = 4403;
    pub const NO_MESSAGE: i32 = 4404;
    pub const EDIT_OFF: i32 = 4406;
    pub const RECALL_OFF: i32 = 4407;
    pub const BLOCK_LISTS_OFF: i32 = 4544;
}

impl Refusal {
    pub fn new(code: i32, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), app_code: None, app_message: None }
    }

    /// A refusal by a rule of the product, with its stable word.
    pub fn by_rule(code: i32, error: &dyn Coded) -> Self {
        Self {
            app_code: Some(status_of(error.kind())),
            app_message: Some(error.code().to_owned()),
            ..Self::new(code, error.to_string())
        }
    }

    pub fn no_conversation() -> Self {
        Self::new(code::NO_CONVERSATION, "CONVERSATION_NOT_FOUND")
    }

    pub fn not_supported(what: &str) -> Self {
        Self::new(code::NOT_SUPPORTED, format!("this server does not offer {what}"))
    }

    pub fn malformed() -> Self {
        Self::new(code::MALFORMED, "the command could not be read")
    }

    /// What the server did wrong is logged and not told.
    pub fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error, source = error.source(), "a command of the realtime protocol failed");
        Self::new(code::INTERNAL, "INTERNAL_ERROR")
    }

    /// What became of a message that was not stored.
    pub fn of_message(error: &ImError) -> Self {
        match error {
            ImError::ConversationNotFound => Self::new(code::NO_TARGET, "INVALID_MESSAGING_TARGET"),
            ImError::Refused(refusal) if refusal.kind == ErrorKind::Forbidden => {
                Self::by_rule(code::MAY_NOT_SEND, error)
            }
            ImError::Refused(_) => Self::by_rule(code::READ_ONLY, error),
            ImError::Invalid(_) | ImError::ClientMessageIdConflict => Self::by_rule(code::REFUSED_BY_RULE, error),
            ImError::Busy | ImError::Stopping | ImError::OutcomeUnknown => Self::new(4201, "TIMEOUT"),
            other => Self::internal(other),
        }
    }
}

/// The product's own number is the HTTP status the same refusal has elsewhere.
const fn status_of(kind: ErrorKind) -> i32 {
    match kind {
        ErrorKind::Invalid => 400,
        ErrorKind::Unauthenticated => 401,
        ErrorKind::Forbidden => 403,
        ErrorKind::NotFound => 404,
        ErrorKind::Conflict => 409,
        ErrorKind::TooLarge => 413,
        ErrorKind::UnsupportedMedia => 415,
        ErrorKind::RateLimited => 429,
        ErrorKind::Unavailable => 503,
        ErrorKind::Internal => 500,
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<RestError> for Refusal {
    fn from(error: RestError) -> Self {
        match &error {
            RestError::Store(store) => Self::internal(store),
            other => Self::new(code::QUERY_FAILED, other.to_string()),
        }
    }
}
