//! A doctor's patients and a patient's doctors.

use std::collections::HashMap;

use domain::Actor;
use domain::doctor::Doctor;
use domain::id::{DoctorId, PatientId, RelationId};
use domain::page::{Page, PageRequest};
use domain::patient::Patient;
use serde_json::json;

use super::context::Context;
use super::lines::DialogLines;
use super::transition::{self, Change};
use crate::error::ConsultationError;
use crate::machine::Event;
use crate::relation::{Relation, RelationFilter, RelationPatch};
use crate::unit::ConsultationUnit;

/// A relation as its doctor sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationWithPatient {
    pub relation: Relation,
    pub patient: Patient,
}

/// A relation as its patient sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct RelationWithDoctor {
    pub relation: Relation,
    pub doctor: Doctor,
}

/// Use cases on relations.
#[derive(Clone)]
pub struct Relations {
    context: Context,
}

impl Relations {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// One relation with its patient, for its doctor; an administrator's look is audited.
    ///
    /// # Errors
    /// [`ConsultationError::RelationNotFound`] also when it is somebody else's.
    pub async fn get(&self, actor: &Actor, id: RelationId) -> Result<RelationWithPatient, ConsultationError> {
        actor.require_visible(actor.doctor().is_some() || actor.is_trusted())?;
        let mut unit = self.context.store.read();
        let relation = unit.relations().find(id).await?.ok_or(ConsultationError::RelationNotFound(id))?;
        if !actor.is_doctor(relation.pair.doctor) && !actor.is_trusted() {
            return Err(ConsultationError::RelationNotFound(id));
        }
        let patient = unit.patients().find(relation.pair.patient).await?;
        let patient = patient.ok_or(ConsultationError::PatientNotFound(relation.pair.patient))?;
        if patient.is_closed() && !actor.is_trusted() {
            return Err(ConsultationError::RelationNotFound(id));
        }
        self.audit_trusted(actor, "patient.read", format!("patient:{}", patient.id)).await?;
        Ok(RelationWithPatient { relation, patient })
    }

    /// A page of a doctor's patients; the look of somebody who is not that doctor is audited.
    ///
    /// # Errors
    /// [`ConsultationError::Access`] for anybody but that doctor, administrators and integrators.
    pub async fn list_of_doctor(
        &self,
        actor: &Actor,
        doctor: DoctorId,
        filter: RelationFilter,
        page: PageRequest,
    ) -> Result<Page<RelationWithPatient>, ConsultationError> {
        actor.require(actor.is_doctor(doctor) || actor.is_trusted())?;
        let mut unit = self.context.store.read();
        let filter = RelationFilter { doctor: Some(doctor), ..filter };
        let relations = unit.relations().list(&filter, page).await?;
        let ids: Vec<PatientId> = relations.items.iter().map(|r| r.pair.patient).collect();
        let patients = unit.patients().find_all(&ids).await?;
        let mut by_id: HashMap<PatientId, Patient> = patients.into_iter().map(|p| (p.id, p)).collect();
        self.audit_trusted(actor, "patient.list", format!("doctor:{doctor}")).await?;
        let next = relations.next;
        let items = relations
            .items
            .into_iter()
            .filter_map(|relation| {
                let patient = by_id.remove(&relation.pair.patient)?;
                Some(RelationWithPatient { relation, patient })
            })
            .collect();
        Ok(Page { items, next })
    }

    /// A page of a patient's doctors.
    ///
    /// # Errors
    /// [`ConsultationError::Access`] for anybody but that patient, administrators and integrators.
    pub async fn list_of_patient(
        &self,
        actor: &Actor,
        patient: PatientId,
        page: PageRequest,
    ) -> Result<Page<RelationWithDoctor>, ConsultationError> {
        actor.require(actor.is_patient(patient) || actor.is_trusted())?;
        let mut unit = self.context.store.read();
        let filter = RelationFilter { patient: Some(patient), ..RelationFilter::default() };
        let relations = unit.relations().list(&filter, page).await?;
        let next = relations.next;
        Ok(Page { items: with_doctors(&mut *unit, relations.items).await?, next })
    }

    /// Changes tags, remark, follow, groups and block. Blocking ends an open consultation of the pair.
    ///
    /// # Errors
    /// [`ConsultationError::RelationNotFound`] also when it is another doctor's; `Invalid` names the fields.
    pub async fn update(
        &self,
        actor: &Actor,
        id: RelationId,
        patch: RelationPatch,
    ) -> Result<RelationWithPatient, ConsultationError> {
        let doctor = actor.require_doctor()?;
        let context = &self.context;
        let mut unit = context.store.begin().await?;
        let mut relation = unit.relations().find_locked(id).await?.ok_or(ConsultationError::RelationNotFound(id))?;
        if relation.pair.doctor != doctor {
            return Err(ConsultationError::RelationNotFound(id));
        }
        relation.apply(&patch)?;
        let was_blocked = relation.is_blocked;
        relation.is_blocked = patch.block.unwrap_or(was_blocked);
        relation.updated_at = context.clock.now();
        unit.relations().update(&relation).await?;
        relation.version += 1;
        let mut lines = DialogLines::default();
        if relation.is_blocked != was_blocked {
            record_block(context, &mut *unit, actor, &relation, &mut lines).await?;
        }
        let patient = unit.patients().find(relation.pair.patient).await?.filter(|p| !p.is_closed());
        let patient = patient.ok_or(ConsultationError::RelationNotFound(id))?;
        lines.write(&mut *unit).await?;
        unit.commit().await?;
        context.signal.wake();
        Ok(RelationWithPatient { relation, patient })
    }

    /// Returns the doctors whose card is to be shown to the patient once, and marks them shown.
    ///
    /// # Errors
    /// [`ConsultationError::Access`] for anybody but that patient.
    pub async fn take_cards(
        &self,
        actor: &Actor,
        patient: PatientId,
    ) -> Result<Vec<RelationWithDoctor>, ConsultationError> {
        actor.require(actor.is_patient(patient))?;
        let mut unit = self.context.store.begin().await?;
        let shown = unit.relations().take_cards(patient, self.context.clock.now()).await?;
        let cards = with_doctors(&mut *unit, shown).await?;
        unit.commit().await?;
        Ok(cards)
    }

    /// A read of a patient's data by somebody who is not a party leaves a trace.
    async fn audit_trusted(
        &self,
        actor: &Actor,
        action: &'static str,
        subject: String,
    ) -> Result<(), ConsultationError> {
        if !actor.is_trusted() {
            return Ok(());
        }
        let mut unit = self.context.store.begin().await?;
        let event = self.context.audit(actor, action, subject, json!({}));
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        Ok(())
    }
}

/// Notes that a pair is blocked or no longer so. Blocking ends an open consultation of the pair.
pub(super) async fn record_block(
    context: &Context,
    unit: &mut dyn ConsultationUnit,
    actor: &Actor,
    relation: &Relation,
    lines: &mut DialogLines,
) -> Result<(), ConsultationError> {
    if relation.is_blocked {
        for open in unit.consultations().find_open(&[relation.pair]).await? {
            let change = Change { current: open, event: Event::Block };
            transition::run(context, unit, actor, change, lines).await?;
        }
    }
    let action = if relation.is_blocked { "relation.block" } else { "relation.unblock" };
    let event = context.audit(actor, action, format!("relation:{}", relation.id), json!({}));
    unit.audit().append_all(&[event]).await?;
    Ok(())
}

async fn with_doctors(
    unit: &mut dyn ConsultationUnit,
    relations: Vec<Relation>,
) -> Result<Vec<RelationWithDoctor>, ConsultationError> {
    let ids: Vec<DoctorId> = relations.iter().map(|r| r.pair.doctor).collect();
    let doctors = unit.doctors().find_all(&ids).await?.into_iter().filter(|d| !d.is_closed());
    let mut by_id: HashMap<DoctorId, Doctor> = doctors.map(|d| (d.id, d)).collect();
    let joined = relations.into_iter().filter_map(|relation| {
        let doctor = by_id.remove(&relation.pair.doctor)?;
        Some(RelationWithDoctor { relation, doctor })
    });
    Ok(joined.collect())
}
