//! What every error of the product can say about itself, without knowing HTTP.

use std::fmt;

/// What went wrong, from the caller's point of view. The transport maps it to a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request breaks a rule of its own shape.
    Invalid,
    /// Nobody is signed in, or the credentials are wrong.
    Unauthenticated,
    /// Signed in, but not allowed.
    Forbidden,
    NotFound,
    /// The state of the thing does not allow it, or somebody else was faster.
    Conflict,
    TooLarge,
    UnsupportedMedia,
    RateLimited,
    /// Something this needs is down; trying again later may work.
    Unavailable,
    Internal,
}

/// One field of a request that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Path of the field as the client wrote it, e.g. `weeklyHours[2].end`.
    pub field: String,
    /// One sentence saying what would be right. Never quotes the value.
    pub message: String,
}

impl FieldError {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// An error with a stable code. Codes are public promises: add freely, never rename.
pub trait Coded: std::error::Error {
    /// Stable code, e.g. `consultation.wrong_status`.
    fn code(&self) -> &'static str;
    fn kind(&self) -> ErrorKind;
    /// The fields at fault, if the request's shape is.
    fn fields(&self) -> Vec<FieldError> {
        Vec::new()
    }
    /// How long to wait before trying again, if that is known.
    fn retry_after_s(&self) -> Option<u64> {
        None
    }
}

/// The store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A row changed between being read and being written.
    #[error("somebody else changed this at the same time")]
    Conflict,
    /// A unique rule was broken; holds the name of the constraint.
    #[error("this would break the unique rule {0}")]
    Unique(String),
    /// The database is not reachable or refused.
    #[error("the database did not answer as it should")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A stored row breaks a rule the code relies on; names table and column.
    #[error("a stored row is not readable: {0}")]
    Corrupt(String),
}

impl StoreError {
    pub fn backend(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Backend(Box::new(source))
    }
}

impl Coded for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Conflict | Self::Unique(_) => "store.conflict",
            Self::Backend(_) => "store.unavailable",
            Self::Corrupt(_) => "store.corrupt",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Conflict | Self::Unique(_) => ErrorKind::Conflict,
            Self::Backend(_) => ErrorKind::Unavailable,
            Self::Corrupt(_) => ErrorKind::Internal,
        }
    }
}
