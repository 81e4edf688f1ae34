//! Doctors in memory.

use async_trait::async_trait;
use domain::certification::Certification;
use domain::doctor::{Doctor, DoctorRepository, DoctorSearch};
use domain::id::{DoctorId, UserId};
use domain::page::{Cursor, Page, PageRequest};
use domain::{Phone, StoreError};

use super::MemoryUnit;
use super::tables::{Tables, all_of, holds, insert_new, newest_first, unique};

/// No other doctor belongs to this one's account.
fn check(tables: &Tables, doctor: &Doctor) -> Result<(), StoreError> {
    let is_taken =
        doctor.user_id.is_some() && tables.doctors.values().any(|d| d.id != doctor.id && d.user_id == doctor.user_id);
    if is_taken { Err(unique("doctor_user")) } else { Ok(()) }
}

fn is_looked_for(doctor: &Doctor, search: &DoctorSearch) -> bool {
    let part = search.text.as_deref().unwrap_or_default();
    let lines = [&doctor.name, &doctor.hospital, &doctor.department, &doctor.title];
    part.is_empty() || lines.iter().any(|line| holds(line.as_deref(), part))
}

fn cursor_of(doctor: &Doctor) -> Cursor {
    Cursor { at: doctor.created_at, id: doctor.id.0 }
}

#[async_trait]
impl DoctorRepository for MemoryUnit {
    async fn find(&mut self, id: DoctorId) -> Result<Option<Doctor>, StoreError> {
        Ok(self.tables()?.doctors.get(&id).cloned())
    }

    async fn find_all(&mut self, ids: &[DoctorId]) -> Result<Vec<Doctor>, StoreError> {
        Ok(all_of(&self.tables()?.doctors, ids))
    }

    async fn find_all_shared(&mut self, ids: &[DoctorId]) -> Result<Vec<Doctor>, StoreError> {
        Ok(all_of(&self.tables()?.doctors, ids))
    }

    async fn find_by_user(&mut self, user: UserId) -> Result<Option<Doctor>, StoreError> {
        Ok(self.tables()?.doctors.values().find(|d| d.user_id == Some(user)).cloned())
    }

    async fn find_unlinked_by_phone(&mut self, phone: &Phone) -> Result<Option<Doctor>, StoreError> {
        let tables = self.tables()?;
        let unlinked = tables.doctors.values().filter(|d| d.user_id.is_none() && d.phone.as_ref() == Some(phone));
        Ok(unlinked.min_by_key(|d| (d.created_at, d.id)).cloned())
    }

    async fn search_certified(&mut self, search: &DoctorSearch, page: PageRequest) -> Result<Page<Doctor>, StoreError> {
        let tables = self.tables()?;
        let found = tables.doctors.values().filter(|d| d.is_certified() && is_looked_for(d, search));
        Ok(newest_first(found, page, cursor_of))
    }

    async fn search_all(
        &mut self,
        search: &DoctorSearch,
        state: Option<Certification>,
        page: PageRequest,
    ) -> Result<Page<Doctor>, StoreError> {
        let tables = self.tables()?;
        let is_match = |d: &&Doctor| state.is_none_or(|state| d.certification == state) && is_looked_for(d, search);
        Ok(newest_first(tables.doctors.values().filter(is_match), page, cursor_of))
    }

    async fn list_by_certification(
        &mut self,
        state: Certification,
        page: PageRequest,
    ) -> Result<Page<Doctor>, StoreError> {
        let tables = self.tables()?;
        let found = tables.doctors.values().filter(|d| d.certification == state && !d.is_closed());
        Ok(newest_first(found, page, cursor_of))
    }

    async fn insert(&mut self, doctor: &Doctor) -> Result<(), StoreError> {
        self.write(|tables| {
            check(tables, doctor)?;
            insert_new(&mut tables.doctors, doctor.id, doctor.clone(), "doctor_pkey")
        })
    }

    async fn update(&mut self, doctor: &Doctor) -> Result<(), StoreError> {
        self.write(|tables| {
            if tables.doctors.get(&doctor.id).is_none_or(|d| d.version != doctor.version) {
                return Err(StoreError::Conflict);
            }
            check(tables, doctor)?;
            tables.doctors.insert(doctor.id, Doctor { version: doctor.version + 1, ..doctor.clone() });
            Ok(())
        })
    }
}
