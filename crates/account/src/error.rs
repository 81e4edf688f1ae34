//! What can go wrong in an account use case, for the caller.

use std::time::Duration;

use domain::actor::AccessError;
use domain::file::BlobError;
use domain::id::{AgentId, DoctorId, FileId, PatientId};
use domain::{Coded, ErrorKind, FieldError, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("some fields are not as they should be")]
    Invalid(Vec<FieldError>),
    /// Application id, key or signature are absent or wrong.
    #[error("the application credentials are missing or wrong")]
    AppCredentials,
    /// Deliberately says nothing about which of name and password is wrong.
    #[error("name and password do not match")]
    SignInFailed,
    #[error("too many attempts to sign in; try again later")]
    SignInThrottled { wait: Duration },
    /// Wrong, used, expired or unknown: all the same to the caller.
    #[error("the code is wrong, used or expired")]
    CodeNotAccepted,
    #[error("too many text messages were asked for; try again later")]
    TooManyCodes { wait: Duration },
    #[error("too many wrong codes; try again later")]
    TooManyFailures { wait: Duration },
    /// `None`: until an administrator unlocks the number.
    #[error("this number is locked after too many wrong codes")]
    NumberLocked { wait: Option<Duration> },
    #[error("numbers of this country or range are not served")]
    NumberNotServed,
    #[error("a captcha has to be solved first")]
    CaptchaNeeded,
    #[error("the captcha is wrong, used or expired")]
    CaptchaNotAccepted,
    #[error("the text message could not be sent; try again later")]
    SmsNotSent,
    #[error("this phone number belongs to another account")]
    PhoneTaken,
    #[error("changing the number needs a code sent to the old number, or a sign-in a few minutes ago")]
    PhoneChangeUnproven,
    #[error("closing the account needs a code sent to its number, or a sign-in a few minutes ago")]
    ClosureUnproven,
    #[error("the account has no verified phone number")]
    NoPhone,
    #[error("this user name is taken")]
    UsernameTaken,
    #[error("this user name is taken by another account")]
    UserNameTaken,
    #[error("this e-mail address belongs to another account")]
    EmailTaken,
    #[error("nobody signs in with this identity yet")]
    IdentityUnknown,
    #[error("this identity belongs to another account")]
    IdentityTaken,
    #[error("a password is set already; change it with the old one")]
    PasswordSet,
    #[error("patient {0} was not found")]
    PatientNotFound(PatientId),
    #[error("doctor {0} was not found")]
    DoctorNotFound(DoctorId),
    #[error("there is no doctor's profile yet")]
    NoDoctorProfile,
    #[error("agent {0} was not found")]
    AgentNotFound(AgentId),
    #[error("at least one administrator has to stay enabled")]
    LastAdmin,
    #[error("file {0} was not found")]
    FileNotFound(FileId),
    #[error("the file is larger than {max_bytes} bytes")]
    FileTooLarge { max_bytes: usize },
    #[error("files of this type are not accepted")]
    FileTypeRefused,
    #[error("too many files were uploaded; try again later")]
    TooManyUploads { wait: Duration },
    #[error("the download address is wrong or has expired")]
    LinkNotAccepted,
    #[error("the file store did not answer as it should")]
    Blob(#[source] BlobError),
    #[error("the idempotency key was used for a different request")]
    IdempotencyMismatch,
    #[error("the same request is still being worked on")]
    IdempotencyInProgress { wait: Duration },
    #[error("somebody else changed this at the same time; reload and try again")]
    Conflict,
    #[error("the password could not be processed")]
    Hashing,
    #[error("the database did not answer as it should")]
    Store(#[source] StoreError),
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict | StoreError::Unique(_) => Self::Conflict,
            other => Self::Store(other),
        }
    }
}

impl From<FieldError> for AccountError {
    fn from(fault: FieldError) -> Self {
        Self::Invalid(vec![fault])
    }
}

impl From<Vec<FieldError>> for AccountError {
    fn from(faults: Vec<FieldError>) -> Self {
        Self::Invalid(faults)
    }
}

impl From<BlobError> for AccountError {
    fn from(error: BlobError) -> Self {
        Self::Blob(error)
    }
}

impl Coded for AccountError {
    fn code(&self) -> &'static str {
        match self {
            Self::Access(e) => e.code(),
            Self::Invalid(_) => "request.invalid",
            Self::AppCredentials => "app.unauthorized",
            Self::SignInFailed => "sign_in.failed",
            Self::SignInThrottled { .. } => "sign_in.throttled",
            Self::CodeNotAccepted => "sms_code.not_accepted",
            Self::TooManyCodes { .. } => "sms_code.too_many",
            Self::TooManyFailures { .. } => "sms_code.too_many_failures",
            Self::NumberLocked { .. } => "sms_code.number_locked",
            Self::NumberNotServed => "sms_code.number_not_served",
            Self::CaptchaNeeded => "captcha.needed",
            Self::CaptchaNotAccepted => "captcha.not_accepted",
            Self::SmsNotSent => "sms.not_sent",
            Self::PhoneTaken => "phone.taken",
            Self::PhoneChangeUnproven => "phone.change_unproven",
            Self::ClosureUnproven => "account.closure_unproven",
            Self::NoPhone => "phone.missing",
            Self::UsernameTaken => "agent.username_taken",
            Self::UserNameTaken => "user.name_taken",
            Self::EmailTaken => "user.email_taken",
            Self::IdentityUnknown => "user.identity_unknown",
            Self::IdentityTaken => "user.identity_taken",
            Self::PasswordSet => "user.password_set",
            Self::PatientNotFound(_) => "patient.not_found",
            Self::DoctorNotFound(_) => "doctor.not_found",
            Self::NoDoctorProfile => "doctor.no_profile",
            Self::AgentNotFound(_) => "agent.not_found",
            Self::LastAdmin => "agent.last_admin",
            Self::FileNotFound(_) => "file.not_found",
            Self::FileTooLarge { .. } => "file.too_large",
            Self::FileTypeRefused => "file.type_refused",
            Self::TooManyUploads { .. } => "file.too_many",
            Self::LinkNotAccepted => "file.link_not_accepted",
            Self::Blob(_) => "file.store_unavailable",
            Self::IdempotencyMismatch => "idempotency.mismatch",
            Self::IdempotencyInProgress { .. } => "idempotency.in_progress",
            Self::Conflict => "store.conflict",
            Self::Hashing => "password.not_processed",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Access(e) => e.kind(),
            Self::Invalid(_)
            | Self::CodeNotAccepted
            | Self::NumberNotServed
            | Self::CaptchaNeeded
            | Self::CaptchaNotAccepted => ErrorKind::Invalid,
            Self::AppCredentials | Self::SignInFailed => ErrorKind::Unauthenticated,
            Self::PhoneChangeUnproven | Self::ClosureUnproven | Self::LinkNotAccepted => ErrorKind::Forbidden,
            Self::SignInThrottled { .. }
            | Self::TooManyCodes { .. }
            | Self::TooManyFailures { .. }
            | Self::NumberLocked { .. }
            | Self::TooManyUploads { .. } => ErrorKind::RateLimited,
            Self::SmsNotSent | Self::Blob(_) => ErrorKind::Unavailable,
            Self::PatientNotFound(_)
            | Self::DoctorNotFound(_)
            | Self::NoDoctorProfile
            | Self::IdentityUnknown
            | Self::AgentNotFound(_)
            | Self::FileNotFound(_) => ErrorKind::NotFound,
            Self::PhoneTaken
            | Self::UserNameTaken
            | Self::EmailTaken
            | Self::IdentityTaken
            | Self::PasswordSet
            | Self::NoPhone
            | Self::UsernameTaken
            | Self::LastAdmin
            | Self::IdempotencyMismatch
            | Self::IdempotencyInProgress { .. }
            | Self::Conflict => ErrorKind::Conflict,
            Self::FileTooLarge { .. } => ErrorKind::TooLarge,
            Self::FileTypeRefused => ErrorKind::UnsupportedMedia,
            Self::Hashing => ErrorKind::Internal,
            Self::Store(e) => e.kind(),
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::Invalid(faults) => faults.clone(),
            Self::CodeNotAccepted => vec![FieldError::new("code", "is wrong, used or expired")],
            Self::NumberNotServed => vec![FieldError::new("phone", "is of a country or range that is not served")],
            Self::CaptchaNeeded => vec![FieldError::new("captcha", "is needed")],
            Self::CaptchaNotAccepted => vec![FieldError::new("captcha", "is wrong, used or expired")],
            _ => Vec::new(),
        }
    }

    fn retry_after_s(&self) -> Option<u64> {
        let wait = match self {
            Self::SignInThrottled { wait }
            | Self::TooManyCodes { wait }
            | Self::TooManyFailures { wait }
            | Self::TooManyUploads { wait }
            | Self::IdempotencyInProgress { wait } => Some(*wait),
            Self::NumberLocked { wait } => *wait,
            _ => None,
        };
        wait.map(|w| w.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_times_are_rounded_up_to_whole_seconds() {
        let wait = |ms| AccountError::TooManyCodes { wait: Duration::from_millis(ms) }.retry_after_s();
        assert_eq!([wait(0), wait(1), wait(1_000), wait(1_001)], [Some(1), Some(1), Some(1), Some(2)]);
        assert_eq!(AccountError::NumberLocked { wait: None }.retry_after_s(), None);
    }
}
