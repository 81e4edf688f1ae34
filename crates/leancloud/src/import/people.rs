//! Writing doctors and patients.

use async_trait::async_trait;
use domain::doctor::Doctor;
use domain::id::{FileId, UserId};
use domain::patient::Patient;
use domain::{ObjectId, StoreError, Timestamp};
use serde_json::{Map, Value};

use super::batch::{Candidate, ClassImport, Outcome, Run};
use super::references::{Profile, settle_files, settle_users};
use super::store::{ImportClass, ImportUnit};
use crate::mapping::{MapContext, Mapped, Unmappable, map_doctor, map_patient};

pub(super) enum Doctors {}

#[async_trait]
impl ClassImport for Doctors {
    type Row = Doctor;
    const CLASS: ImportClass = ImportClass::Doctor;

    fn map(row: &Map<String, Value>, _: &MapContext) -> Result<Mapped<Doctor>, Unmappable> {
        map_doctor(row)
    }

    fn key(doctor: &Doctor) -> (ObjectId, Timestamp) {
        (doctor.id.0, doctor.updated_at)
    }

    async fn write(
        _: &Run<'_>,
        unit: &mut dyn ImportUnit,
        mut rows: Vec<Candidate<Doctor>>,
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        settle_files(unit, &mut rows, outcome).await?;
        settle_users(unit, Self::CLASS, &mut rows, outcome).await?;
        let doctors: Vec<Doctor> = rows.into_iter().map(|row| row.entity).collect();
        unit.people().save_doctors(&doctors).await
    }
}

impl Profile for Doctor {
    fn user(&mut self) -> &mut Option<UserId> {
        &mut self.user_id
    }

    fn files(&mut self) -> Vec<(&'static str, &mut Option<FileId>)> {
        vec![
            ("icon", &mut self.icon),
            ("certificate1", &mut self.certificate1),
            ("certificate2", &mut self.certificate2),
            ("licence1", &mut self.licence1),
            ("licence2", &mut self.licence2),
        ]
    }

    fn extra(&mut self) -> &mut Map<String, Value> {
        &mut self.extra
    }
}

pub(super) enum Patients {}

#[async_trait]
impl ClassImport for Patients {
    type Row = Patient;
    const CLASS: ImportClass = ImportClass::Patient;

    fn map(row: &Map<String, Value>, context: &MapContext) -> Result<Mapped<Patient>, Unmappable> {
        map_patient(row, context)
    }

    fn key(patient: &Patient) -> (ObjectId, Timestamp) {
        (patient.id.0, patient.updated_at)
    }

    async fn write(
        _: &Run<'_>,
        unit: &mut dyn ImportUnit,
        mut rows: Vec<Candidate<Patient>>,
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        settle_files(unit, &mut rows, outcome).await?;
        settle_users(unit, Self::CLASS, &mut rows, outcome).await?;
        let patients: Vec<Patient> = rows.into_iter().map(|row| row.entity).collect();
        unit.people().save_patients(&patients).await
    }
}

impl Profile for Patient {
    fn user(&mut self) -> &mut Option<UserId> {
        &mut self.user_id
    }

    fn files(&mut self) -> Vec<(&'static str, &mut Option<FileId>)> {
        vec![("icon", &mut self.icon)]
    }

    fn extra(&mut self) -> &mut Map<String, Value> {
        &mut self.extra
    }
}
