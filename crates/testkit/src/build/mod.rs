//! Builders for tests: `build::doctor(1).certified().hours("08:00", "22:00").done()`.
//!
//! The number names the thing: `doctor(1)` always has the id `doctor_id(1)`, and ids of different kinds differ.

mod consultation;
mod doctor;
mod patient;
mod relation;

use ::consultation::consultation::Pair;
use domain::ObjectId;
use domain::id::{ConsultationId, ConversationId, DoctorId, PatientId, RelationId, UserId};

pub use self::consultation::{ConsultationBuilder, consultation};
pub use self::doctor::{DoctorBuilder, doctor};
pub use self::patient::{PatientBuilder, patient};
pub use self::relation::{RelationBuilder, relation};

/// Seconds in every built id: 2025-12-01T00:00:00Z, before anything a test makes.
const SECONDS: u32 = 1_764_547_200;

/// Ids of one kind never meet those of another: the kind is in their random part.
fn id(kind: u8, n: u32) -> ObjectId {
    ObjectId::from_parts(SECONDS, [kind; 5], n)
}

pub fn doctor_id(n: u32) -> DoctorId {
    DoctorId(id(0xd0, n))
}

pub fn patient_id(n: u32) -> PatientId {
    PatientId(id(0xa0, n))
}

/// The pair of `doctor(doctor)` and `patient(patient)`.
pub fn pair(doctor: u32, patient: u32) -> Pair {
    Pair { doctor: doctor_id(doctor), patient: patient_id(patient) }
}

pub fn relation_id(n: u32) -> RelationId {
    RelationId(id(0xe0, n))
}

pub fn consultation_id(n: u32) -> ConsultationId {
    ConsultationId(id(0xc0, n))
}

/// The dialog of `consultation(n, …)`.
pub fn dialog_id(n: u32) -> ConversationId {
    ConversationId(id(0xb0, n))
}

pub fn user_id(n: u32) -> UserId {
    UserId(id(0x50, n))
}
