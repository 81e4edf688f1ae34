//! What can go wrong in instant messaging, for the caller.

use domain::actor::AccessError;
use domain::{Coded, ErrorKind, FieldError, StoreError};

use crate::owner::Refusal;
use crate::protocol::Malformed;

#[derive(Debug, thiserror::Error)]
pub enum ImError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("some fields are not as they should be")]
    Invalid(Vec<FieldError>),
    /// Also for a conversation the caller is not in.
    #[error("this conversation was not found")]
    ConversationNotFound,
    #[error("this message was not found")]
    MessageNotFound,
    #[error("another message was sent under this client message id")]
    ClientMessageIdConflict,
    #[error("a message can be recalled only for a short time")]
    RecallTooLate,
    /// The owner of the conversation does not allow it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("somebody else changed this at the same time; try again")]
    Conflict,
    #[error(transparent)]
    MalformedFrame(#[from] Malformed),
    /// Before `hello`, or a second one.
    #[error("a frame of this type cannot come here")]
    FrameOutOfPlace,
    #[error("frames come too fast")]
    TooManyFrames,
    /// Nothing was stored.
    #[error("too many messages are waiting; send it again in a moment")]
    Busy,
    #[error("the server is stopping; connect again")]
    Stopping,
    #[error("the outcome is not known; send it again under the same client message id")]
    OutcomeUnknown,
    #[error("the database did not answer as it should")]
    Store(#[source] StoreError),
}

impl From<StoreError> for ImError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict | StoreError::Unique(_) => Self::Conflict,
            other => Self::Store(other),
        }
    }
}

impl From<FieldError> for ImError {
    fn from(fault: FieldError) -> Self {
        Self::Invalid(vec![fault])
    }
}

impl Coded for ImError {
    fn code(&self) -> &'static str {
        match self {
            Self::Access(e) => e.code(),
            Self::Invalid(_) => "request.invalid",
            Self::ConversationNotFound => "conversation.not_found",
            Self::MessageNotFound => "message.not_found",
            Self::ClientMessageIdConflict => "CLIENT_MESSAGE_ID_CONFLICT",
            Self::RecallTooLate => "message.recall_too_late",
            Self::Refused(refusal) => refusal.code,
            Self::Conflict => "store.conflict",
            Self::MalformedFrame(_) => "im.malformed_frame",
            Self::FrameOutOfPlace => "im.frame_out_of_place",
            Self::TooManyFrames => "im.too_many_frames",
            Self::Busy => "server.busy",
            Self::Stopping => "server.stopping",
            Self::OutcomeUnknown => "message.outcome_unknown",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Access(e) => e.kind(),
            Self::Invalid(_) | Self::MalformedFrame(_) => ErrorKind::Invalid,
            Self::ConversationNotFound | Self::MessageNotFound => ErrorKind::NotFound,
            Self::ClientMessageIdConflict | Self::RecallTooLate | Self::FrameOutOfPlace | Self::Conflict => {
                ErrorKind::Conflict
            }
            Self::TooManyFrames => ErrorKind::RateLimited,
            Self::Refused(refusal) => refusal.kind,
            Self::Busy | Self::Stopping | Self::OutcomeUnknown => ErrorKind::Unavailable,
            Self::Store(e) => e.kind(),
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::Invalid(faults) => faults.clone(),
            Self::Refused(refusal) => refusal.fields.clone(),
            _ => Vec::new(),
        }
    }
}
