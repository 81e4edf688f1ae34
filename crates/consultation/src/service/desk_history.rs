//! What the desk may know of a customer's consultations: that they were, never what was said.

use domain::Actor;
use domain::Timestamp;
use domain::actor::AccessError;
use domain::id::{ConsultationId, DoctorId, PatientId};
use domain::page::PageRequest;

use super::consultations::Consultations;
use crate::consultation::{ConsultationFilter, Status};
use crate::error::ConsultationError;

/// Consultations that are shown.
const MAX_SHOWN: u32 = 5;

/// A consultation without anything that was said in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeskConsultation {
    pub id: ConsultationId,
    pub doctor_name: Option<String>,
    pub patient_name: Option<String>,
    pub status: Status,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

impl Consultations {
    /// The latest consultations of a customer of the desk, newest first; none when neither side is named.
    ///
    /// # Errors
    /// [`ConsultationError::Access`] for anybody but staff.
    pub async fn recent_for_desk(
        &self,
        actor: &Actor,
        patient: Option<PatientId>,
        doctor: Option<DoctorId>,
    ) -> Result<Vec<DeskConsultation>, ConsultationError> {
        actor.staff().ok_or_else(|| actor.refuse(AccessError::Forbidden))?;
        if patient.is_none() && doctor.is_none() {
            return Ok(Vec::new());
        }
        let mut unit = self.context().store.read();
        let filter = ConsultationFilter { doctor, patient, status: None };
        let page = PageRequest { limit: MAX_SHOWN, after: None };
        let found = unit.consultations().list(&filter, page).await?.items;
        let doctors: Vec<DoctorId> = found.iter().map(|consultation| consultation.pair.doctor).collect();
        let patients: Vec<PatientId> = found.iter().map(|consultation| consultation.pair.patient).collect();
        let doctors = unit.doctors().find_all(&doctors).await?;
        let patients = unit.patients().find_all(&patients).await?;
        let seen = found.into_iter().map(|consultation| {
            let doctor = doctors.iter().find(|doctor| doctor.id == consultation.pair.doctor);
            let patient = patients.iter().find(|patient| patient.id == consultation.pair.patient);
            DeskConsultation {
                id: consultation.id,
                doctor_name: doctor.and_then(|doctor| doctor.name.clone()),
                patient_name: patient.and_then(|patient| patient.name.clone()),
                status: consultation.status,
                started_at: consultation.started_at,
                ended_at: consultation.ended_at,
            }
        });
        Ok(seen.collect())
    }
}
