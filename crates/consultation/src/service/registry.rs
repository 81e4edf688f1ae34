//! What a server that holds the master key writes: whatever a profile, a relation or a consultation holds. What it says is
//! checked as ever; whose it is does not matter. Every write is audited.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use domain::certification::Certification;
use domain::doctor::{Doctor, DoctorPatch};
use domain::id::{ConsultationId, DoctorId, FileId, PatientId, RelationId, ReportId, UserId};
use domain::patient::{Patient, PatientPatch, apply_extra};
use domain::{Actor, FieldError, Patch, Phone};
use serde_json::{Value, json};

use super::certifications::close_unanswered;
use super::context::Context;
use super::initiate::{Initiate, InitiateConsultations, Initiated};
use super::lines::DialogLines;
use super::living::{living_doctor, living_patient};
use super::notify;
use super::relations::record_block;
use super::transition::{self, Change};
use crate::certification;
use crate::consultation::{Consultation, Pair, Status};
use crate::error::ConsultationError;
use crate::machine::{Event, ReopenFacts};
use crate::notification::{Cause, Recipient};
use crate::relation::{Relation, RelationPatch};
use crate::unit::ConsultationUnit;

/// The reason of an end that a server wrote.
const BY_SERVER: &str = "ended by the application's server";

/// What of a patient the owner cannot set.
#[derive(Clone, Default, PartialEq)]
pub struct PatientFacts {
    /// The account that signs in as this patient.
    pub user: Patch<UserId>,
    pub phone: Patch<Phone>,
    pub unionid: Patch<String>,
    /// Also told to the patient's relations and open consultations.
    pub latest_report: Patch<ReportId>,
}

/// What of a doctor the owner cannot set.
#[derive(Clone, Default, PartialEq)]
pub struct DoctorFacts {
    pub user: Patch<UserId>,
    pub phone: Patch<Phone>,
    pub openid: Patch<String>,
    pub unionid: Patch<String>,
    /// Any state; the doctor is told as after a review.
    pub certification: Option<Certification>,
    pub reject_reason: Patch<String>,
    pub certificate1: Patch<FileId>,
    pub certificate2: Patch<FileId>,
    pub licence1: Patch<FileId>,
    pub licence2: Patch<FileId>,
}

/// What of a relation its doctor cannot set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RelationFacts {
    pub source: Patch<String>,
    pub credit: Patch<String>,
    pub shows_card: Option<bool>,
    pub latest_report: Patch<ReportId>,
    /// Fields this product does not model, by their wire names; `None` removes one.
    pub extra: BTreeMap<String, Option<Value>>,
}

/// What of a consultation is written; the rest follows from it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConsultationFacts {
    pub status: Option<Status>,
    /// True makes it void. It stays so.
    pub is_invalid: Option<bool>,
    pub latest_report: Patch<ReportId>,
    /// Fields this product does not model, by their wire names; `None` removes one.
    pub extra: BTreeMap<String, Option<Value>>,
}

/// Use cases of servers with the master key.
#[derive(Clone)]
pub struct Registry {
    context: Context,
}

impl Registry {
    pub const fn new(context: Context) -> Self {
        Self { context }
    }

    /// Writes a patient; a new one when no id is given.
    ///
    /// # Errors
    /// [`ConsultationError::PatientNotFound`]; `Invalid` names every field at fault; [`ConsultationError::Access`] for
    /// anybody but servers.
    pub async fn write_patient(
        &self,
        actor: &Actor,
        id: Option<PatientId>,
        patch: PatientPatch,
        facts: PatientFacts,
    ) -> Result<Patient, ConsultationError> {
        require_server(actor)?;
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        let mut patient = match id {
            Some(id) => living_patient(&mut *unit, id).await?,
            None => Patient::new(PatientId(self.context.ids.next()), now),
        };
        check_pictures(&mut *unit, [("icon", &patch.icon)]).await?;
        if let Patch::Set(user) = &facts.user {
            let other = unit.patients().find_by_user(*user).await?;
            require_unlinked(other.is_some_and(|other| other.id != patient.id))?;
        }
        patient.apply(patch, self.today())?;
        facts.user.apply(&mut patient.user_id);
        facts.phone.apply(&mut patient.phone);
        facts.unionid.apply(&mut patient.unionid);
        if let Patch::Set(report) = &facts.latest_report
            && id.is_some()
        {
            unit.relations().set_latest_report(patient.id, *report, now).await?;
            unit.consultations().set_latest_report(patient.id, *report, now).await?;
        }
        facts.latest_report.apply(&mut patient.latest_report_id);
        patient.updated_at = now;
        match id {
            Some(_) => unit.patients().update(&patient).await?,
            None => unit.patients().insert(&patient).await?,
        }
        self.finish(unit, actor, "patient.write", format!("patient:{}", patient.id)).await?;
        Ok(patient)
    }

    /// Writes a doctor; a new one when no id is given. Who is no longer certified has no unanswered consultations.
    ///
    /// # Errors
    /// [`ConsultationError::DoctorNotFound`]; `Invalid` names every field at fault; [`ConsultationError::Access`] for
    /// anybody but servers.
    pub async fn write_doctor(
        &self,
        actor: &Actor,
        id: Option<DoctorId>,
        patch: DoctorPatch,
        facts: DoctorFacts,
    ) -> Result<Doctor, ConsultationError> {
        require_server(actor)?;
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        let before = match id {
            Some(id) => living_doctor(&mut *unit, id).await?,
            None => Doctor::new(DoctorId(self.context.ids.next()), now),
        };
        let pictures = [
            ("icon", &patch.icon),
            ("certificate1", &facts.certificate1),
            ("certificate2", &facts.certificate2),
            ("licence1", &facts.licence1),
            ("licence2", &facts.licence2),
        ];
        check_pictures(&mut *unit, pictures).await?;
        if let Patch::Set(user) = &facts.user {
            let other = unit.doctors().find_by_user(*user).await?;
            require_unlinked(other.is_some_and(|other| other.id != before.id))?;
        }
        let mut next = before.clone();
        next.apply(patch)?;
        apply_doctor_facts(&mut next, facts);
        next.updated_at = now;
        match id {
            Some(_) => unit.doctors().update(&next).await?,
            None => unit.doctors().insert(&next).await?,
        }
        let mut lines = DialogLines::default();
        if before.certification != next.certification {
            self.certification_changed(&mut *unit, actor, &before, &next, &mut lines).await?;
        }
        lines.write(&mut *unit).await?;
        self.finish(unit, actor, "doctor.write", format!("doctor:{}", next.id)).await?;
        Ok(next)
    }

    async fn certification_changed(
        &self,
        unit: &mut dyn ConsultationUnit,
        actor: &Actor,
        before: &Doctor,
        next: &Doctor,
        lines: &mut DialogLines,
    ) -> Result<(), ConsultationError> {
        let subject = format!("doctor:{}", next.id);
        let detail = json!({ "state": next.certification.as_str() });
        let event = self.context.audit(actor, "certification.write", subject, detail);
        unit.audit().append_all(&[event]).await?;
        if before.is_certified() {
            close_unanswered(&self.context, unit, actor, next.id, lines).await?;
        }
        let cause = match next.certification {
            Certification::Certified => Some(Cause::CertificationApproved),
            Certification::Rejected => Some(Cause::CertificationRejected),
            _ if before.is_certified() => Some(Cause::CertificationRevoked),
            _ => None,
        };
        if let Some(cause) = cause {
            notify::plan(&self.context, unit, None, Recipient::Doctor(next.id), cause).await?;
        }
        Ok(())
    }

    /// Makes the relation of a pair.
    ///
    /// # Errors
    /// [`ConsultationError::Conflict`] when the pair has one; [`ConsultationError::DoctorNotFound`],
    /// [`ConsultationError::PatientNotFound`]; `Invalid` names the fields; [`ConsultationError::Access`] for anybody but
    /// servers.
    pub async fn create_relation(
        &self,
        actor: &Actor,
        pair: Pair,
        patch: RelationPatch,
        facts: RelationFacts,
    ) -> Result<Relation, ConsultationError> {
        require_server(actor)?;
        let mut unit = self.context.store.begin().await?;
        living_doctor(&mut *unit, pair.doctor).await?;
        living_patient(&mut *unit, pair.patient).await?;
        let candidate = Relation::new(RelationId(self.context.ids.next()), pair, self.context.clock.now());
        let found = unit.relations().ensure_all(std::slice::from_ref(&candidate)).await?.pop();
        let relation = found.filter(|found| found.id == candidate.id).ok_or(ConsultationError::Conflict)?;
        self.save_relation(unit, actor, relation, patch, facts).await
    }

    /// Writes a relation. Blocking ends an open consultation of the pair.
    ///
    /// # Errors
    /// [`ConsultationError::RelationNotFound`]; `Invalid` names the fields; [`ConsultationError::Access`] for anybody but
    /// servers.
    pub async fn write_relation(
        &self,
        actor: &Actor,
        id: RelationId,
        patch: RelationPatch,
        facts: RelationFacts,
    ) -> Result<Relation, ConsultationError> {
        require_server(actor)?;
        let mut unit = self.context.store.begin().await?;
        let found = unit.relations().find_locked(id).await?;
        self.save_relation(unit, actor, found.ok_or(ConsultationError::RelationNotFound(id))?, patch, facts).await
    }

    async fn save_relation(
        &self,
        mut unit: Box<dyn ConsultationUnit>,
        actor: &Actor,
        mut relation: Relation,
        patch: RelationPatch,
        facts: RelationFacts,
    ) -> Result<Relation, ConsultationError> {
        relation.apply(&patch)?;
        let was_blocked = relation.is_blocked;
        relation.is_blocked = patch.block.unwrap_or(was_blocked);
        facts.source.apply(&mut relation.source);
        facts.credit.apply(&mut relation.credit);
        facts.latest_report.apply(&mut relation.latest_report_id);
        relation.show_followed_doctor_card = facts.shows_card.unwrap_or(relation.show_followed_doctor_card);
        apply_extra(&mut relation.extra, facts.extra);
        relation.updated_at = self.context.clock.now();
        unit.relations().update(&relation).await?;
        relation.version += 1;
        let mut lines = DialogLines::default();
        if relation.is_blocked != was_blocked {
            record_block(&self.context, &mut *unit, actor, &relation, &mut lines).await?;
        }
        lines.write(&mut *unit).await?;
        self.finish(unit, actor, "relation.write", format!("relation:{}", relation.id)).await?;
        Ok(relation)
    }

    /// Starts a consultation by the rules of `initiateConsultation`.
    ///
    /// # Errors
    /// As there; [`ConsultationError::Conflict`] when the pair has an open one; [`ConsultationError::Access`] for anybody
    /// but servers.
    pub async fn create_consultation(&self, actor: &Actor, call: Initiate) -> Result<Initiated, ConsultationError> {
        require_server(actor)?;
        let answers = InitiateConsultations::new(self.context.clone()).run(vec![call]).await;
        match answers.into_iter().next() {
            Some(Ok(started)) if !started.is_old => Ok(started),
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Err(ConsultationError::Conflict),
        }
    }

    /// Moves a consultation to a status by the transitions that lead there, or makes it void.
    ///
    /// # Errors
    /// [`ConsultationError::NotFound`]; the rules of the transitions; [`ConsultationError::Access`] for anybody but
    /// servers.
    pub async fn write_consultation(
        &self,
        actor: &Actor,
        id: ConsultationId,
        facts: ConsultationFacts,
    ) -> Result<Consultation, ConsultationError> {
        require_server(actor)?;
        let mut unit = self.context.store.begin().await?;
        let mut current = unit.consultations().find(id).await?.ok_or(ConsultationError::NotFound(id))?;
        if facts.is_invalid == Some(false) && current.is_invalid {
            return Err(FieldError::new("isInvalid", "stays true once it is").into());
        }
        let mut lines = DialogLines::default();
        if facts.is_invalid == Some(true) {
            let change = Change { current, event: Event::Void { reason: BY_SERVER.to_owned() } };
            current = transition::run(&self.context, &mut *unit, actor, change, &mut lines).await?.next;
        }
        if let Some(event) = self.event_towards(&mut *unit, &current, facts.status).await? {
            let change = Change { current, event };
            current = transition::run(&self.context, &mut *unit, actor, change, &mut lines).await?.next;
        }
        if !facts.extra.is_empty() || !facts.latest_report.is_absent() {
            apply_extra(&mut current.extra, facts.extra);
            facts.latest_report.apply(&mut current.latest_report_id);
            current.updated_at = self.context.clock.now();
            unit.consultations().update(&current).await?;
            current.version += 1;
        }
        lines.write(&mut *unit).await?;
        self.finish(unit, actor, "consultation.write", format!("consultation:{id}")).await?;
        Ok(current)
    }

    /// The event that leads from where a consultation stands to a status; `None` when it is there.
    async fn event_towards(
        &self,
        unit: &mut dyn ConsultationUnit,
        current: &Consultation,
        wanted: Option<Status>,
    ) -> Result<Option<Event>, ConsultationError> {
        let Some(wanted) = wanted.filter(|wanted| *wanted != current.status) else { return Ok(None) };
        let (pair, status) = (current.pair, current.status);
        Ok(Some(match (status, wanted) {
            (Status::New, Status::Replying) => Event::DoctorMessage { is_certified: true },
            (Status::New | Status::Replying, Status::Ended) => {
                Event::EndByDoctor { reason: Some(BY_SERVER.to_owned()) }
            }
            (Status::Ended, Status::Replying) => {
                let doctors = unit.doctors().find_all_shared(&[pair.doctor]).await?;
                let relation = unit.relations().find_locked(current.relation_id).await?;
                let open = unit.consultations().find_open(&[pair]).await?;
                Event::Reopen(ReopenFacts {
                    is_certified: doctors.first().is_some_and(Doctor::is_certified),
                    is_blocked: relation.is_some_and(|relation| relation.is_blocked),
                    has_newer_open: open.iter().any(|other| other.id != current.id),
                })
            }
            (status, _) => {
                let end_reason = current.end_reason;
                return Err(ConsultationError::WrongStatus { status, end_reason, attempted: "made new again" });
            }
        }))
    }

    async fn finish(
        &self,
        mut unit: Box<dyn ConsultationUnit>,
        actor: &Actor,
        action: &'static str,
        subject: String,
    ) -> Result<(), ConsultationError> {
        let event = self.context.audit(actor, action, subject, json!({}));
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        self.context.signal.wake();
        Ok(())
    }

    fn today(&self) -> NaiveDate {
        self.context.clock.now().to_datetime().with_timezone(&self.context.policy.timezone).date_naive()
    }
}

fn require_server(actor: &Actor) -> Result<(), ConsultationError> {
    Ok(actor.require(matches!(actor, Actor::Integrator | Actor::System))?)
}

fn require_unlinked(has_other: bool) -> Result<(), FieldError> {
    if has_other { Err(FieldError::new("user", "has another profile of this kind")) } else { Ok(()) }
}

/// Files that a profile shows are pictures, whoever uploaded them.
async fn check_pictures<const N: usize>(
    unit: &mut dyn ConsultationUnit,
    pictures: [(&'static str, &Patch<FileId>); N],
) -> Result<(), ConsultationError> {
    let mut faults = Vec::new();
    for (field, picture) in pictures {
        let Patch::Set(id) = picture else { continue };
        match unit.files().find(*id).await? {
            Some(file) => faults.extend(certification::check_picture(field, &file).err()),
            None => faults.push(FieldError::new(field, "is no file")),
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.into()) }
}

fn apply_doctor_facts(doctor: &mut Doctor, facts: DoctorFacts) {
    facts.user.apply(&mut doctor.user_id);
    facts.phone.apply(&mut doctor.phone);
    facts.openid.apply(&mut doctor.openid);
    facts.unionid.apply(&mut doctor.unionid);
    facts.reject_reason.apply(&mut doctor.reject_reason);
    facts.certificate1.apply(&mut doctor.certificate1);
    facts.certificate2.apply(&mut doctor.certificate2);
    facts.licence1.apply(&mut doctor.licence1);
    facts.licence2.apply(&mut doctor.licence2);
    doctor.certification = facts.certification.unwrap_or(doctor.certification);
}
