//! Consultations in memory.

use async_trait::async_trait;
use consultation::consultation::{
    ConsultationEvent, ConsultationFilter, ConsultationRepository, OpenConsultation, Overdue, Pair, PairProbe,
};
use consultation::{Consultation, Status};
use domain::id::{ConsultationId, DoctorId, PatientId, ReportId};
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};

use super::MemoryUnit;
use super::tables::{Tables, all_of, insert_new, newest_first, unique};

fn open_of(tables: &Tables, pair: Pair) -> Option<&Consultation> {
    tables.consultations.values().find(|c| c.pair == pair && c.is_open())
}

fn probe(tables: &Tables, pair: Pair) -> PairProbe {
    let open = open_of(tables, pair);
    PairProbe {
        pair,
        doctor_exists: tables.doctors.contains_key(&pair.doctor),
        patient_exists: tables.patients.contains_key(&pair.patient),
        is_blocked: tables.relations.values().any(|r| r.pair == pair && r.is_blocked),
        open: open.map(|c| OpenConsultation { id: c.id, status: c.status, started_at: c.started_at }),
    }
}

/// What a sweep compares with, for a consultation it may concern.
fn due(c: &Consultation, what: Overdue) -> Option<Timestamp> {
    let deadline = match c.status {
        Status::New => c.no_reply_deadline,
        Status::Replying => c.idle_deadline,
        Status::Ended => None,
    };
    match what {
        _ if !c.is_open() => None,
        Overdue::NoReply => deadline.filter(|_| c.status == Status::New),
        Overdue::Idle => deadline.filter(|_| c.status == Status::Replying),
        Overdue::Unwarned => deadline.filter(|_| !c.is_warned),
        Overdue::StartedBefore => Some(c.started_at),
    }
}

#[async_trait]
impl ConsultationRepository for MemoryUnit {
    async fn probe(&mut self, pairs: &[Pair]) -> Result<Vec<PairProbe>, StoreError> {
        let tables = self.tables()?;
        Ok(pairs.iter().map(|pair| probe(&tables, *pair)).collect())
    }

    async fn find(&mut self, id: ConsultationId) -> Result<Option<Consultation>, StoreError> {
        Ok(self.tables()?.consultations.get(&id).cloned())
    }

    async fn find_all(&mut self, ids: &[ConsultationId]) -> Result<Vec<Consultation>, StoreError> {
        Ok(all_of(&self.tables()?.consultations, ids))
    }

    async fn find_open(&mut self, pairs: &[Pair]) -> Result<Vec<Consultation>, StoreError> {
        let tables = self.tables()?;
        Ok(tables.consultations.values().filter(|c| c.is_open() && pairs.contains(&c.pair)).cloned().collect())
    }

    async fn find_open_of_doctor(&mut self, doctor: DoctorId) -> Result<Vec<Consultation>, StoreError> {
        let tables = self.tables()?;
        Ok(tables.consultations.values().filter(|c| c.is_open() && c.pair.doctor == doctor).cloned().collect())
    }

    async fn find_open_of_patient(&mut self, patient: PatientId) -> Result<Vec<Consultation>, StoreError> {
        let tables = self.tables()?;
        Ok(tables.consultations.values().filter(|c| c.is_open() && c.pair.patient == patient).cloned().collect())
    }

    async fn list(&mut self, filter: &ConsultationFilter, page: PageRequest) -> Result<Page<Consultation>, StoreError> {
        let tables = self.tables()?;
        let is_match = |c: &&Consultation| {
            filter.doctor.is_none_or(|d| d == c.pair.doctor)
                && filter.patient.is_none_or(|p| p == c.pair.patient)
                && filter.status.is_none_or(|s| s == c.status)
        };
        let cursor_of = |c: &Consultation| Cursor { at: c.created_at, id: c.id.0 };
        Ok(newest_first(tables.consultations.values().filter(is_match), page, cursor_of))
    }

    async fn insert_open(&mut self, new: &[Consultation]) -> Result<Vec<ConsultationId>, StoreError> {
        self.write(|tables| {
            let mut inserted = Vec::with_capacity(new.len());
            for c in new {
                if c.is_open() && open_of(tables, c.pair).is_some() {
                    continue;
                }
                insert_new(&mut tables.consultations, c.id, c.clone(), "consultation_pkey")?;
                inserted.push(c.id);
            }
            Ok(inserted)
        })
    }

    async fn update(&mut self, c: &Consultation) -> Result<(), StoreError> {
        self.write(|tables| {
            if tables.consultations.get(&c.id).is_none_or(|stored| stored.version != c.version) {
                return Err(StoreError::Conflict);
            }
            if c.is_open() && open_of(tables, c.pair).is_some_and(|open| open.id != c.id) {
                return Err(unique("consultation_open"));
            }
            tables.consultations.insert(c.id, Consultation { version: c.version + 1, ..c.clone() });
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
            for c in tables.consultations.values_mut().filter(|c| c.is_open() && c.pair.patient == patient) {
                c.latest_report_id = Some(report);
                c.updated_at = now;
                c.version += 1;
            }
            Ok(())
        })
    }

    async fn find_overdue(
        &mut self,
        what: Overdue,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ConsultationId>, StoreError> {
        let tables = self.tables()?;
        let dues = tables.consultations.values().filter_map(|c| due(c, what).map(|at| (at, c.id)));
        let mut overdue: Vec<_> = dues.filter(|(at, _)| *at < before).collect();
        overdue.sort_unstable();
        Ok(overdue.into_iter().take(limit as usize).map(|(_, id)| id).collect())
    }

    async fn append_events(&mut self, events: &[ConsultationEvent]) -> Result<(), StoreError> {
        self.write(|tables| {
            let mut append =
                |e: &ConsultationEvent| insert_new(&mut tables.events, e.id, e.clone(), "consultation_event_pkey");
            events.iter().try_for_each(&mut append)
        })
    }

    async fn events(&mut self, id: ConsultationId) -> Result<Vec<ConsultationEvent>, StoreError> {
        let tables = self.tables()?;
        let mut events: Vec<_> = tables.events.values().filter(|e| e.consultation_id == id).cloned().collect();
        events.sort_by_key(|e| (e.at, e.id));
        Ok(events)
    }
}
