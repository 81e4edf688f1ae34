//! What can go wrong in a consultation use case, for the caller.

use domain::actor::AccessError;
use domain::id::{ConsultationId, DeskTaskId, DoctorId, PatientId, RelationId};
use domain::{Coded, ErrorKind, FieldError, StoreError};

use crate::certification::CertificationError;
use crate::consultation::{EndReason, Status};

#[derive(Debug, thiserror::Error)]
pub enum ConsultationError {
    #[error(transparent)]
    Access(#[from] AccessError),
    #[error("some fields are not as they should be")]
    Invalid(Vec<FieldError>),
    #[error("doctor {0} was not found")]
    DoctorNotFound(DoctorId),
    #[error("patient {0} was not found")]
    PatientNotFound(PatientId),
    #[error("consultation {0} was not found")]
    NotFound(ConsultationId),
    #[error("relation {0} was not found")]
    RelationNotFound(RelationId),
    #[error("task {0} was not found")]
    TaskNotFound(DeskTaskId),
    #[error("this task was closed already")]
    TaskClosed,
    #[error("this invitation is not known or no longer valid")]
    InvitationNotUsable,
    #[error("the doctor cannot be consulted at the moment")]
    RelationBlocked,
    #[error("the doctor is not certified")]
    DoctorNotAuthenticated,
    #[error("the doctor does not offer this type of consultation")]
    TypeNotOpen,
    #[error("the doctor is not taking consultations")]
    DoctorClosed,
    #[error("the consultation has ended; start a new one")]
    Ended,
    #[error("the consultation has reached its message limit")]
    MessageLimit,
    #[error("a consultation in status {} cannot be {attempted}", status.as_str())]
    WrongStatus { status: Status, end_reason: Option<EndReason>, attempted: &'static str },
    #[error(transparent)]
    Certification(#[from] CertificationError),
    #[error("somebody else changed this at the same time; reload and try again")]
    Conflict,
    #[error("the database did not answer as it should")]
    Store(#[source] StoreError),
}

impl From<StoreError> for ConsultationError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict | StoreError::Unique(_) => Self::Conflict,
            other => Self::Store(other),
        }
    }
}

impl From<FieldError> for ConsultationError {
    fn from(fault: FieldError) -> Self {
        Self::Invalid(vec![fault])
    }
}

impl From<Vec<FieldError>> for ConsultationError {
    fn from(faults: Vec<FieldError>) -> Self {
        Self::Invalid(faults)
    }
}

impl Coded for ConsultationError {
    fn code(&self) -> &'static str {
        match self {
            Self::Access(e) => e.code(),
            Self::Invalid(_) => "request.invalid",
            Self::DoctorNotFound(_) => "doctor.not_found",
            Self::PatientNotFound(_) => "patient.not_found",
            Self::NotFound(_) => "consultation.not_found",
            Self::RelationNotFound(_) => "relation.not_found",
            Self::TaskNotFound(_) => "desk_task.not_found",
            Self::TaskClosed => "desk_task.closed",
            Self::InvitationNotUsable => "invitation.not_usable",
            Self::RelationBlocked => "RELATION_BLOCKED",
            Self::DoctorNotAuthenticated => "DOCTOR_NOT_AUTHENTICATED",
            Self::TypeNotOpen => "TYPE_NOT_OPEN",
            Self::DoctorClosed => "DOCTOR_CLOSED",
            Self::Ended => "CONSULTATION_ENDED",
            Self::MessageLimit => "MESSAGE_LIMIT",
            Self::WrongStatus { .. } => "consultation.wrong_status",
            Self::Certification(e) => e.code(),
            Self::Conflict => "store.conflict",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Access(e) => e.kind(),
            Self::Invalid(_) => ErrorKind::Invalid,
            Self::DoctorNotFound(_)
            | Self::PatientNotFound(_)
            | Self::NotFound(_)
            | Self::RelationNotFound(_)
            | Self::TaskNotFound(_)
            | Self::InvitationNotUsable => ErrorKind::NotFound,
            Self::RelationBlocked | Self::DoctorNotAuthenticated => ErrorKind::Forbidden,
            Self::TypeNotOpen
            | Self::DoctorClosed
            | Self::Ended
            | Self::MessageLimit
            | Self::WrongStatus { .. }
            | Self::TaskClosed
            | Self::Conflict => ErrorKind::Conflict,
            Self::Certification(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::Invalid(faults) => faults.clone(),
            Self::Certification(e) => e.fields(),
            _ => Vec::new(),
        }
    }
}
