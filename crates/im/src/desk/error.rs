//! What can go wrong at the desk, for the caller.

use domain::actor::AccessError;
use domain::{Coded, ErrorKind, FieldError, StoreError};

use crate::error::ImError;

#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("some fields are not as they should be")]
    Invalid(Vec<FieldError>),
    #[error("this chat was not found")]
    ChatNotFound,
    #[error("another agent has this chat")]
    NotYours,
    #[error("another agent was faster")]
    Taken,
    #[error("the agent has as many chats as they may have")]
    NoRoom,
    #[error("go online first")]
    Offline,
    #[error("the agent is not there")]
    AgentAway,
    #[error("a chat that is {status} does not allow this")]
    WrongStatus { status: &'static str },
    #[error("nobody has offered you this chat")]
    NoOffer,
    #[error("this agent was not found")]
    AgentNotFound,
    #[error("this answer was not found")]
    CannedReplyNotFound,
    #[error("no more answers can be kept")]
    TooManyCannedReplies,
    #[error("the assistant is switched off")]
    Disabled,
    #[error("the assistant takes no messages from you")]
    Blocked,
    #[error("there is nothing to rate")]
    CannotRate,
    #[error("somebody else changed this at the same time; reload and try again")]
    Conflict,
    #[error(transparent)]
    Messaging(ImError),
    #[error("the database did not answer as it should")]
    Store(#[source] StoreError),
}

impl From<StoreError> for DeskError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict | StoreError::Unique(_) => Self::Conflict,
            other => Self::Store(other),
        }
    }
}

impl From<ImError> for DeskError {
    fn from(error: ImError) -> Self {
        match error {
            ImError::Access(error) => Self::Access(error),
            ImError::Conflict => Self::Conflict,
            ImError::Store(error) => Self::Store(error),
            other => Self::Messaging(other),
        }
    }
}

impl From<FieldError> for DeskError {
    fn from(fault: FieldError) -> Self {
        Self::Invalid(vec![fault])
    }
}

impl From<Vec<FieldError>> for DeskError {
    fn from(faults: Vec<FieldError>) -> Self {
        Self::Invalid(faults)
    }
}

impl Coded for DeskError {
    fn code(&self) -> &'static str {
        match self {
            Self::Access(e) => e.code(),
            Self::Invalid(_) => "request.invalid",
            Self::ChatNotFound => "desk.chat_not_found",
            Self::NotYours => "desk.not_yours",
            Self::Taken => "desk.taken",
            Self::NoRoom => "desk.no_room",
            Self::Offline => "desk.offline",
            Self::AgentAway => "desk.agent_away",
            Self::WrongStatus { .. } => "desk.wrong_status",
            Self::NoOffer => "desk.no_offer",
            Self::AgentNotFound => "desk.agent_not_found",
            Self::CannedReplyNotFound => "desk.canned_reply_not_found",
            Self::TooManyCannedReplies => "desk.too_many_canned_replies",
            Self::Disabled => "assistant.disabled",
            Self::Blocked => "assistant.blocked",
            Self::CannotRate => "assistant.cannot_rate",
            Self::Conflict => "store.conflict",
            Self::Messaging(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Access(e) => e.kind(),
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::ChatNotFound | Self::AgentNotFound | Self::CannedReplyNotFound => ErrorKind::NotFound,
            Self::NotYours | Self::Blocked => ErrorKind::Forbidden,
            Self::Taken
            | Self::NoRoom
            | Self::Offline
            | Self::AgentAway
            | Self::WrongStatus { .. }
            | Self::NoOffer
            | Self::TooManyCannedReplies
            | Self::CannotRate
            | Self::Conflict => ErrorKind::Conflict,
            Self::Disabled => ErrorKind::Unavailable,
            Self::Messaging(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::Invalid(faults) => faults.clone(),
            Self::Messaging(e) => e.fields(),
            _ => Vec::new(),
        }
    }
}
