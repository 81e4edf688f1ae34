//! The latest sleep report of a patient, told by an integrator.

use domain::Actor;
use domain::id::{PatientId, ReportId};
use domain::patient::Patient;

use super::context::Context;
use super::living::living_patient;
use crate::error::ConsultationError;

/// Use cases on reports.
#[derive(Clone)]
pub struct Reports {
    context: Context,
}

impl Reports {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Points the patient, all the patient's relations and open consultations at a new report.
    ///
    /// # Errors
    /// [`ConsultationError::Access`] for anybody but integrators and administrators.
    pub async fn set_latest(
        &self,
        actor: &Actor,
        patient: PatientId,
        report: ReportId,
    ) -> Result<Patient, ConsultationError> {
        actor.require(actor.is_trusted())?;
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        let mut found = living_patient(&mut *unit, patient).await?;
        found.latest_report_id = Some(report);
        found.updated_at = now;
        unit.patients().update(&found).await?;
        found.version += 1;
        unit.relations().set_latest_report(patient, report, now).await?;
        unit.consultations().set_latest_report(patient, report, now).await?;
        unit.commit().await?;
        Ok(found)
    }
}
