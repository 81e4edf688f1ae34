//! Error bodies `{"code", "error"}` and their statuses.

use std::fmt::Write as _;

use domain::{Coded, ErrorKind};
use serde::Serialize;

/// Object or class not found.
const NOT_FOUND: i32 = 101;
/// The body is not JSON.
const MALFORMED_JSON: i32 = 107;
/// A cloud function refused.
const REFUSED: i32 = 142;
/// Internal error, and everything without a number of its own.
const GENERAL: i32 = 1;

/// What a failed call answers, and with which HTTP status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorBody {
    #[serde(skip)]
    pub status: u16,
    /// LeanCloud's number for what happened.
    pub code: i32,
    /// This product's stable code, a colon and a sentence, e.g.
    /// `RELATION_BLOCKED: the doctor cannot be consulted at the moment`.
    pub error: String,
}

impl ErrorBody {
    fn new(status: u16, code: i32, error: impl Into<String>) -> Self {
        Self { status, code, error: error.into() }
    }

    /// The application's id or key is missing or wrong.
    pub fn unauthorized() -> Self {
        Self::new(401, 401, "Unauthorized.")
    }

    /// A session was sent that has ended. 403, because clients read 401 as wrong application credentials.
    pub fn session_not_valid() -> Self {
        Self::new(403, 403, "session.not_valid: the session is not valid any more; sign in again")
    }

    /// The body is not JSON, or not a JSON object.
    pub fn malformed_json() -> Self {
        Self::new(400, MALFORMED_JSON, "Malformed json object. A json dictionary is expected.")
    }

    /// There is no function of this name.
    pub fn unknown_function() -> Self {
        Self::new(404, GENERAL, "No such cloud function.")
    }

    /// There is nothing under this path.
    pub fn unknown_path() -> Self {
        Self::new(404, NOT_FOUND, "There is nothing under this path.")
    }
}

impl From<&dyn Coded> for ErrorBody {
    fn from(error: &dyn Coded) -> Self {
        let text = || {
            let mut text = format!("{}: {error}", error.code());
            for fault in error.fields() {
                // Writing to a String cannot fail.
                let _ = write!(text, "; {fault}");
            }
            text
        };
        match error.kind() {
            ErrorKind::Unauthenticated => Self::unauthorized(),
            ErrorKind::NotFound => Self::new(404, NOT_FOUND, text()),
            // Refused for who asks, not for the state of things: LeanCloud's own 403.
            ErrorKind::Forbidden if error.code().starts_with("access.") => Self::new(403, 403, text()),
            ErrorKind::Forbidden => Self::new(403, REFUSED, text()),
            ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::UnsupportedMedia => Self::new(400, REFUSED, text()),
            ErrorKind::TooLarge => Self::new(413, 413, text()),
            ErrorKind::RateLimited => Self::new(429, 429, text()),
            ErrorKind::Unavailable => Self::new(503, 503, text()),
            ErrorKind::Internal => Self::new(500, GENERAL, "Internal server error."),
        }
    }
}

#[cfg(test)]
mod tests {
    use consultation::ConsultationError;
    use domain::actor::AccessError;
    use domain::{FieldError, StoreError};
    use serde_json::json;

    use super::*;

    fn body(error: &ConsultationError) -> ErrorBody {
        ErrorBody::from(error as &dyn Coded)
    }

    #[test]
    fn missing_people_are_101_and_404_and_named() {
        let id: domain::ObjectId = "5daeb07b7b968a0074945056".parse().unwrap();
        let doctor = body(&ConsultationError::DoctorNotFound(id.into()));
        assert_eq!((doctor.status, doctor.code), (404, 101));
        assert_eq!(doctor.error, "doctor.not_found: doctor 5daeb07b7b968a0074945056 was not found");
        assert_eq!(body(&ConsultationError::PatientNotFound(id.into())).code, 101);
    }

    #[test]
    fn business_refusals_are_142_and_begin_with_the_stable_code() {
        let cases = [
            (ConsultationError::RelationBlocked, 403, "RELATION_BLOCKED: "),
            (ConsultationError::DoctorNotAuthenticated, 403, "DOCTOR_NOT_AUTHENTICATED: "),
            (ConsultationError::TypeNotOpen, 400, "TYPE_NOT_OPEN: "),
            (ConsultationError::DoctorClosed, 400, "DOCTOR_CLOSED: "),
        ];
        for (error, status, start) in cases {
            let body = body(&error);
            assert_eq!((body.status, body.code), (status, 142), "{}", body.error);
            assert!(body.error.starts_with(start), "{}", body.error);
        }
    }

    #[test]
    fn a_bad_field_is_named_in_the_text() {
        let body = body(&FieldError::new("doctorId", "is 24 hexadecimal digits").into());
        assert_eq!((body.status, body.code), (400, 142));
        assert!(body.error.ends_with("; doctorId: is 24 hexadecimal digits"), "{}", body.error);
    }

    #[test]
    fn access_is_401_or_403() {
        let body = body(&AccessError::Unauthenticated.into());
        assert_eq!(serde_json::to_value(&body).unwrap(), json!({"code": 401, "error": "Unauthorized."}));
        assert_eq!(body.status, 401);
        let forbidden = ErrorBody::from(&AccessError::Forbidden as &dyn Coded);
        assert_eq!((forbidden.status, forbidden.code), (403, 403));
    }

    #[test]
    fn internal_errors_tell_nothing() {
        let body = body(&ConsultationError::Store(StoreError::Corrupt("doctors.hours".into())));
        assert_eq!((body.status, body.code, body.error.as_str()), (500, 1, "Internal server error."));
    }
}
