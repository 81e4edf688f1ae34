//! Patients in memory.

use async_trait::async_trait;
use domain::id::{PatientId, UserId};
use domain::patient::{Patient, PatientRepository};
use domain::{Phone, StoreError};

use super::MemoryUnit;
use super::tables::{Tables, all_of, insert_new, unique};

/// No other patient belongs to this one's account.
fn check(tables: &Tables, patient: &Patient) -> Result<(), StoreError> {
    let is_taken = patient.user_id.is_some()
        && tables.patients.values().any(|p| p.id != patient.id && p.user_id == patient.user_id);
    if is_taken { Err(unique("patient_user")) } else { Ok(()) }
}

#[async_trait]
impl PatientRepository for MemoryUnit {
    async fn find(&mut self, id: PatientId) -> Result<Option<Patient>, StoreError> {
        Ok(self.tables()?.patients.get(&id).cloned())
    }

    async fn find_all(&mut self, ids: &[PatientId]) -> Result<Vec<Patient>, StoreError> {
        Ok(all_of(&self.tables()?.patients, ids))
    }

    async fn find_by_user(&mut self, user: UserId) -> Result<Option<Patient>, StoreError> {
        Ok(self.tables()?.patients.values().find(|p| p.user_id == Some(user)).cloned())
    }

    async fn find_unlinked_by_phone(&mut self, phone: &Phone) -> Result<Option<Patient>, StoreError> {
        let tables = self.tables()?;
        let unlinked = tables.patients.values().filter(|p| p.user_id.is_none() && p.phone.as_ref() == Some(phone));
        Ok(unlinked.min_by_key(|p| (p.created_at, p.id)).cloned())
    }

    async fn insert(&mut self, patient: &Patient) -> Result<(), StoreError> {
        self.write(|tables| {
            check(tables, patient)?;
            insert_new(&mut tables.patients, patient.id, patient.clone(), "patient_pkey")
        })
    }

    async fn update(&mut self, patient: &Patient) -> Result<(), StoreError> {
        self.write(|tables| {
            if tables.patients.get(&patient.id).is_none_or(|p| p.version != patient.version) {
                return Err(StoreError::Conflict);
            }
            check(tables, patient)?;
            tables.patients.insert(patient.id, Patient { version: patient.version + 1, ..patient.clone() });
            Ok(())
        })
    }
}
