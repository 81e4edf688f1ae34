//! Relations in memory.

use async_trait::async_trait;
use consultation::Relation;
use consultation::consultation::Pair;
use consultation::relation::{RelationFilter, RelationRepository};
use domain::doctor::Doctor;
use domain::id::{ConsultationId, PatientId, RelationId, ReportId};
use domain::page::{Cursor, Page, PageRequest};
use domain::patient::Patient;
use domain::{Phone, StoreError, Timestamp};

use super::MemoryUnit;
use super::tables::{Tables, all_of, holds, insert_new, newest_first, unique};

fn of_pair(tables: &Tables, pair: Pair) -> Option<&Relation> {
    tables.relations.values().find(|r| r.pair == pair)
}

fn is_match(tables: &Tables, filter: &RelationFilter, relation: &Relation) -> bool {
    let part = filter.text.as_deref().unwrap_or_default();
    let patient = tables.patients.get(&relation.pair.patient);
    let doctor = tables.doctors.get(&relation.pair.doctor);
    if patient.is_some_and(Patient::is_closed) || doctor.is_some_and(Doctor::is_closed) {
        return false;
    }
    let number: Option<Phone> = part.parse().ok();
    let has_part = || {
        holds(relation.remark.as_deref(), part)
            || patient.is_some_and(|p| holds(p.name.as_deref(), part) || (number.is_some() && p.phone == number))
    };
    filter.doctor.is_none_or(|d| d == relation.pair.doctor)
        && filter.patient.is_none_or(|p| p == relation.pair.patient)
        && filter.group.as_ref().is_none_or(|g| relation.groups.contains(g))
        && filter.tag.as_ref().is_none_or(|t| relation.tags.contains(t))
        && (part.is_empty() || has_part())
}

/// Changes a relation the way one that names no version does.
fn touch(relation: &mut Relation, now: Timestamp, change: impl FnOnce(&mut Relation)) {
    change(relation);
    relation.updated_at = now;
    relation.version += 1;
}

#[async_trait]
impl RelationRepository for MemoryUnit {
    async fn find(&mut self, id: RelationId) -> Result<Option<Relation>, StoreError> {
        Ok(self.tables()?.relations.get(&id).cloned())
    }

    async fn find_blocked(&mut self, ids: &[RelationId]) -> Result<Vec<RelationId>, StoreError> {
        let found = all_of(&self.tables()?.relations, ids);
        Ok(found.into_iter().filter(|r| r.is_blocked).map(|r| r.id).collect())
    }

    async fn find_by_pair(&mut self, pair: Pair) -> Result<Option<Relation>, StoreError> {
        Ok(of_pair(&*self.tables()?, pair).cloned())
    }

    async fn find_locked(&mut self, id: RelationId) -> Result<Option<Relation>, StoreError> {
        Ok(self.tables()?.relations.get(&id).cloned())
    }

    async fn ensure_all(&mut self, candidates: &[Relation]) -> Result<Vec<Relation>, StoreError> {
        self.write(|tables| {
            let mut ensured = Vec::with_capacity(candidates.len());
            for candidate in candidates {
                if of_pair(tables, candidate.pair).is_none() {
                    insert_new(&mut tables.relations, candidate.id, candidate.clone(), "relation_pkey")?;
                }
                ensured.extend(of_pair(tables, candidate.pair).cloned());
            }
            Ok(ensured)
        })
    }

    async fn update(&mut self, relation: &Relation) -> Result<(), StoreError> {
        self.write(|tables| {
            if tables.relations.get(&relation.id).is_none_or(|r| r.version != relation.version) {
                return Err(StoreError::Conflict);
            }
            if of_pair(tables, relation.pair).is_some_and(|r| r.id != relation.id) {
                return Err(unique("relation_pair"));
            }
            tables.relations.insert(relation.id, Relation { version: relation.version + 1, ..relation.clone() });
            Ok(())
        })
    }

    async fn set_latest_consultations(
        &mut self,
        latest: &[(RelationId, ConsultationId)],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|tables| {
            for (id, consultation) in latest {
                if let Some(relation) = tables.relations.get_mut(id) {
                    touch(relation, now, |r| r.latest_consultation_id = Some(*consultation));
                }
            }
            Ok(())
        })
    }

    async fn set_latest_report(
        &mut self,
        patient: PatientId,
        report: ReportId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(|tables| {
            for relation in tables.relations.values_mut().filter(|r| r.pair.patient == patient) {
                touch(relation, now, |r| r.latest_report_id = Some(report));
            }
            Ok(())
        })
    }

    async fn list(&mut self, filter: &RelationFilter, page: PageRequest) -> Result<Page<Relation>, StoreError> {
        let tables = self.tables()?;
        let found = tables.relations.values().filter(|r| is_match(&tables, filter, r));
        Ok(newest_first(found, page, |r| Cursor { at: r.created_at, id: r.id.0 }))
    }

    async fn take_cards(&mut self, patient: PatientId, now: Timestamp) -> Result<Vec<Relation>, StoreError> {
        self.write(|tables| {
            let mut taken = Vec::new();
            let shown = |r: &&mut Relation| r.pair.patient == patient && r.show_followed_doctor_card;
            for relation in tables.relations.values_mut().filter(shown) {
                taken.push(relation.clone());
                touch(relation, now, |r| r.show_followed_doctor_card = false);
            }
            Ok(taken)
        })
    }
}
