//! What can go wrong with text messages.

use domain::actor::AccessError;
use domain::id::{SmsMessageId, SmsReplyId};
use domain::{Coded, ErrorKind, FieldError, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum SmsError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("some fields are not as they should be")]
    Invalid(Vec<FieldError>),
    #[error("text message {0} was not found")]
    MessageNotFound(SmsMessageId),
    #[error("reply {0} was not found")]
    ReplyNotFound(SmsReplyId),
    /// This number, or this message, is refused everywhere.
    #[error("the number cannot receive this text message")]
    Refused,
    /// No provider took it; another one later may.
    #[error("the text message could not be sent; try again later")]
    NotSent,
    /// What was sent under this key before was not accepted; another key may be tried.
    #[error("the text message could not be sent; try again later")]
    RejectedBefore,
    /// The number got enough of these today.
    #[error("this number got enough text messages for now")]
    TooMany,
    #[error("the budget for text messages is used up for today")]
    OverBudget,
    #[error("the callback could not be read")]
    MalformedCallback,
    #[error("the database did not answer as it should")]
    Store(#[from] StoreError),
}

impl From<FieldError> for SmsError {
    fn from(fault: FieldError) -> Self {
        Self::Invalid(vec![fault])
    }
}

impl Coded for SmsError {
    fn code(&self) -> &'static str {
        match self {
            Self::Access(e) => e.code(),
            Self::Invalid(_) => "request.invalid",
            Self::MessageNotFound(_) => "sms.message_not_found",
            Self::ReplyNotFound(_) => "sms.reply_not_found",
            Self::Refused => "sms.refused",
            Self::NotSent | Self::RejectedBefore => "sms.not_sent",
            Self::TooMany => "sms.too_many",
            Self::OverBudget => "sms.over_budget",
            Self::MalformedCallback => "request.malformed",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Access(e) => e.kind(),
            Self::Invalid(_) | Self::MalformedCallback => ErrorKind::Invalid,
            Self::MessageNotFound(_) | Self::ReplyNotFound(_) => ErrorKind::NotFound,
            Self::Refused => ErrorKind::Conflict,
            Self::NotSent | Self::RejectedBefore | Self::OverBudget => ErrorKind::Unavailable,
            Self::TooMany => ErrorKind::RateLimited,
            Self::Store(e) => e.kind(),
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::Invalid(faults) => faults.clone(),
            _ => Vec::new(),
        }
    }
}
