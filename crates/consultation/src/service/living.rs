//! People who are there: whoever closed their account is nobody (decision 0008).

use domain::doctor::Doctor;
use domain::id::{DoctorId, PatientId};
use domain::patient::Patient;

use crate::error::ConsultationError;
use crate::unit::ConsultationUnit;

pub(super) async fn living_patient(
    unit: &mut dyn ConsultationUnit,
    id: PatientId,
) -> Result<Patient, ConsultationError> {
    let found = unit.patients().find(id).await?.filter(|patient| !patient.is_closed());
    found.ok_or(ConsultationError::PatientNotFound(id))
}

pub(super) async fn living_doctor(unit: &mut dyn ConsultationUnit, id: DoctorId) -> Result<Doctor, ConsultationError> {
    let found = unit.doctors().find(id).await?.filter(|doctor| !doctor.is_closed());
    found.ok_or(ConsultationError::DoctorNotFound(id))
}
