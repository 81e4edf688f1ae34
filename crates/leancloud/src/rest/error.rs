//! What the storage interface refuses, with LeanCloud's number and HTTP status for each.

use std::time::Duration;

use account::AccountError;
use consultation::ConsultationError;
use domain::{Coded, FieldError, StoreError};

use crate::wire::ErrorBody;

/// A refused call of the storage interface.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    #[error("Malformed json object. A json dictionary is expected.")]
    MalformedJson,
    /// The query itself is at fault.
    #[error("Malformed query: {0}.")]
    BadQuery(String),
    #[error("A class is named by letters, digits and underscores, beginning with a letter.")]
    BadClassName,
    #[error("The key '{0}' cannot be used.")]
    BadKey(String),
    #[error("Malformed pointer. Pointers must be arrays of a className and objectId.")]
    MalformedPointer,
    #[error("Bad value: {0}.")]
    WrongType(String),
    #[error("A GeoPoint has a latitude from -90 to 90 and a longitude from -180 to 180.")]
    BadGeoPoint,
    #[error("The ACL is malformed.")]
    BadAcl,
    #[error("The object is larger than {max_bytes} bytes.")]
    TooLarge { max_bytes: usize },
    #[error("Class or object doesn't exist.")]
    NoSuchClass,
    /// By-id answers of classes say this with an empty object instead.
    #[error("Could not find object by id '{0}'.")]
    MissingRow(String),
    #[error("There is nothing under this path.")]
    UnknownPath,
    #[error("Object doesn't exist, or has an incorrect password.")]
    NotFound,
    #[error("The required field '{0}' is missing.")]
    MissingField(&'static str),
    #[error("The field '{0}' is set by the server.")]
    ReadOnly(String),
    #[error("This operation is not allowed from clients.")]
    NotFromClients,
    #[error("Forbidden to read by class permissions.")]
    ReadForbidden,
    #[error("Forbidden to write by class permissions.")]
    WriteForbidden,
    #[error("Forbidden writing by object's ACL.")]
    AclForbidden,
    #[error("No effect on updating/deleting a document.")]
    ConditionUnmet,
    #[error("A unique field was given a value that is already taken.")]
    Duplicate,
    #[error("Role ACL is required.")]
    RoleAclRequired,
    #[error("A role's name has letters, digits, '-' and '_', and cannot be changed.")]
    BadRoleName,
    #[error("Username is missing or empty.")]
    UsernameMissing,
    #[error("Password is missing or empty.")]
    PasswordMissing,
    #[error("Username has already been taken.")]
    UsernameTaken,
    #[error("Email has already been taken.")]
    EmailTaken,
    #[error("Mobile phone number has already been taken.")]
    PhoneTaken,
    #[error("The email address was invalid.")]
    BadEmail,
    #[error("The mobile phone number was invalid.")]
    BadPhone,
    #[error("The user cannot be altered by a client without the session.")]
    NotOwnUser,
    #[error("A user with this authData is already bound to another user.")]
    AuthDataTaken,
    #[error("The username and password mismatch.")]
    PasswordMismatch,
    #[error("Could not find user.")]
    UserNotFound,
    #[error("Mobile phone number is missing.")]
    PhoneMissing,
    #[error("A user with the specified mobile phone number was not found.")]
    PhoneUnknown,
    #[error("Mobile phone number isn't verified.")]
    PhoneNotVerified,
    #[error("Too many failed logins. Please try again later.")]
    LoginLocked,
    #[error("No linked id in the authData.")]
    NoLinkedId,
    #[error("This login provider is not configured.")]
    ProviderUnknown,
    #[error("Invalid Weixin session.")]
    WeixinSession,
    /// Of one number, again within ten seconds.
    #[error("SMS request too fast(1 request per 10s).")]
    SmsTooFast,
    #[error("Can't send SMS too frequently.")]
    SmsTooFrequent,
    #[error("The SMS could not be sent.")]
    SmsNotSent,
    #[error("Invalid SMS code.")]
    SmsCode,
    #[error("A captcha is needed: validate_token is missing or wrong.")]
    CaptchaNeeded,
    #[error("This template is not known.")]
    SmsTemplate,
    #[error("The file is refused: {0}.")]
    BadFile(String),
    #[error("Too many file uploads. Please try again later.")]
    TooManyFiles,
    #[error("This is not available: {0}.")]
    NotSupported(&'static str),
    /// Answered in the shape of the other surfaces' errors.
    #[error(transparent)]
    Account(AccountError),
    #[error(transparent)]
    Consultation(ConsultationError),
    #[error(transparent)]
    Store(StoreError),
}

impl RestError {
    pub fn wrong_type(text: impl Into<String>) -> Self {
        Self::WrongType(text.into())
    }

    pub fn bad_query(text: impl Into<String>) -> Self {
        Self::BadQuery(text.into())
    }

    pub fn bad_key(key: &str) -> Self {
        Self::BadKey(key.chars().take(64).collect())
    }

    /// LeanCloud's number and the HTTP status; `None` for errors that bring their own.
    fn numbers(&self) -> Option<(u16, i32)> {
        Some(match self {
            Self::MalformedJson | Self::BadQuery(_) => (400, 107),
            Self::BadClassName => (400, 103),
            Self::BadKey(_) => (400, 105),
            Self::MalformedPointer => (400, 106),
            Self::WrongType(_) => (400, 111),
            Self::BadGeoPoint => (400, 302),
            Self::BadAcl => (400, 123),
            Self::TooLarge { .. } => (400, 116),
            Self::NoSuchClass | Self::UnknownPath | Self::NotFound => (404, 101),
            Self::MissingRow(_) | Self::RoleAclRequired | Self::SmsTooFast => (400, 1),
            Self::MissingField(_) => (400, 113),
            Self::ReadOnly(_) => (400, 117),
            Self::NotFromClients => (403, 119),
            Self::ReadForbidden | Self::WriteForbidden | Self::AclForbidden => (403, 403),
            Self::ConditionUnmet => (400, 305),
            Self::Duplicate | Self::Store(StoreError::Unique(_)) => (400, 137),
            Self::BadRoleName => (400, 139),
            Self::UsernameMissing => (400, 200),
            Self::PasswordMissing => (400, 201),
            Self::UsernameTaken => (400, 202),
            Self::EmailTaken => (400, 203),
            Self::PhoneTaken => (400, 214),
            Self::BadEmail => (400, 125),
            Self::BadPhone => (400, 127),
            Self::NotOwnUser => (403, 206),
            Self::AuthDataTaken => (400, 208),
            Self::PasswordMismatch => (400, 210),
            Self::UserNotFound => (400, 211),
            Self::PhoneMissing => (400, 212),
            Self::PhoneUnknown => (400, 213),
            Self::PhoneNotVerified => (400, 215),
            Self::LoginLocked => (400, 219),
            Self::NoLinkedId | Self::ProviderUnknown => (400, 250),
            Self::WeixinSession => (400, 252),
            Self::SmsTooFrequent => (400, 601),
            Self::SmsNotSent => (400, 602),
            Self::SmsCode => (400, 603),
            Self::SmsTemplate => (400, 604),
            Self::CaptchaNeeded => (400, 608),
            Self::BadFile(_) => (400, 122),
            Self::TooManyFiles => (429, 430),
            Self::NotSupported(_) => (404, 1),
            Self::Account(_) | Self::Consultation(_) | Self::Store(_) => return None,
        })
    }

    /// What the client is answered.
    pub fn body(&self) -> ErrorBody {
        match (self.numbers(), self) {
            (Some((status, code)), _) => ErrorBody { status, code, error: self.text() },
            (None, Self::Account(error)) => ErrorBody::from(error as &dyn Coded),
            (None, Self::Consultation(error)) => ErrorBody::from(error as &dyn Coded),
            (None, Self::Store(error)) => ErrorBody::from(error as &dyn Coded),
            (None, _) => ErrorBody { status: 500, code: 1, error: "Internal server error.".into() },
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Store(_) => Self::Duplicate.to_string(),
            other => other.to_string(),
        }
    }
}

impl From<StoreError> for RestError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<AccountError> for RestError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::SignInFailed => Self::PasswordMismatch,
            AccountError::SignInThrottled { .. } => Self::LoginLocked,
            AccountError::CodeNotAccepted => Self::SmsCode,
            AccountError::TooManyCodes { wait } if is_of_last_ten_seconds(wait) => Self::SmsTooFast,
            AccountError::TooManyCodes { .. }
            | AccountError::TooManyFailures { .. }
            | AccountError::NumberLocked { .. } => Self::SmsTooFrequent,
            AccountError::NumberNotServed => Self::BadPhone,
            AccountError::CaptchaNeeded | AccountError::CaptchaNotAccepted => Self::CaptchaNeeded,
            AccountError::SmsNotSent => Self::SmsNotSent,
            AccountError::PhoneTaken => Self::PhoneTaken,
            AccountError::NoPhone => Self::PhoneUnknown,
            AccountError::TooManyUploads { .. } => Self::TooManyFiles,
            AccountError::FileTypeRefused => Self::BadFile("files of this type are not accepted".into()),
            AccountError::UserNameTaken => Self::UsernameTaken,
            AccountError::EmailTaken => Self::EmailTaken,
            AccountError::IdentityTaken => Self::AuthDataTaken,
            AccountError::IdentityUnknown => Self::UserNotFound,
            AccountError::PasswordSet | AccountError::PhoneChangeUnproven => Self::NotFromClients,
            AccountError::Invalid(faults) => Self::WrongType(all(&faults)),
            AccountError::Store(error) => Self::Store(error),
            other => Self::Account(other),
        }
    }
}

impl From<ConsultationError> for RestError {
    fn from(error: ConsultationError) -> Self {
        match error {
            ConsultationError::Invalid(faults) => Self::WrongType(all(&faults)),
            other => Self::Consultation(other),
        }
    }
}

/// Whether a number that has one code a minute had its last within ten seconds.
fn is_of_last_ten_seconds(wait: Duration) -> bool {
    (Duration::from_secs(50)..=Duration::from_mins(1)).contains(&wait)
}

fn all(faults: &[FieldError]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(RestError::NoSuchClass, 404, 101)]
    #[case(RestError::AclForbidden, 403, 403)]
    #[case(RestError::ConditionUnmet, 400, 305)]
    #[case(RestError::UserNotFound, 400, 211)]
    #[case(RestError::NotOwnUser, 403, 206)]
    #[case(AccountError::SignInFailed.into(), 400, 210)]
    #[case(AccountError::CodeNotAccepted.into(), 400, 603)]
    #[case(AccountError::TooManyCodes { wait: Duration::from_secs(55) }.into(), 400, 1)]
    #[case(AccountError::TooManyCodes { wait: Duration::from_secs(49) }.into(), 400, 601)]
    #[case(AccountError::TooManyCodes { wait: Duration::from_hours(1) }.into(), 400, 601)]
    #[case(StoreError::Unique("document_pkey".into()).into(), 400, 137)]
    fn refusals_have_leanclouds_numbers(#[case] error: RestError, #[case] status: u16, #[case] code: i32) {
        let body = error.body();
        assert_eq!((body.status, body.code), (status, code));
    }

    #[test]
    fn what_the_database_says_is_not_told() {
        let broken = RestError::from(StoreError::Unique("account_user.phone".into()));
        assert!(!broken.body().error.contains("phone"));
        let corrupt = RestError::from(StoreError::Corrupt("document.data".into()));
        assert_eq!(corrupt.body().error, "Internal server error.");
    }
}
