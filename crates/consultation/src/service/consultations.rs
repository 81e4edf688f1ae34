//! Reading, ending, reopening and voiding consultations.

use chrono_tz::Tz;
use domain::doctor::Doctor;
use domain::id::ConsultationId;
use domain::page::{Page, PageRequest};
use domain::patient::Patient;
use domain::{Actor, Timestamp, text};
use serde_json::json;

use super::context::Context;
use super::lines::DialogLines;
use super::living::living_patient;
use super::transition::{self, Change};
use crate::consultation::{Consultation, ConsultationEvent, ConsultationFilter};
use crate::error::ConsultationError;
use crate::machine::{Event, MAX_REASON_CHARS, ReopenFacts};
use crate::notification::{Notification, NotificationFilter};
use crate::unit::ConsultationUnit;

/// Tries of a transition that lost a race before the caller is told to reload.
const MAX_TRIES: usize = 3;

/// What is kept of a consultation beside itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsultationTrail {
    pub consultation: Consultation,
    pub events: Vec<ConsultationEvent>,
    /// Every decision whether somebody was told, with its reason.
    pub notifications: Vec<Notification>,
}

/// A consultation with those who took part, to be exported.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsultationRecord {
    pub consultation: Consultation,
    /// `None` when the account is gone.
    pub doctor: Option<Doctor>,
    pub patient: Option<Patient>,
    pub events: Vec<ConsultationEvent>,
    /// The zone of the business, for readers.
    pub timezone: Tz,
    pub exported_at: Timestamp,
}

impl ConsultationRecord {
    /// A time as its readers write it.
    pub fn local(&self, at: Timestamp) -> String {
        at.to_datetime().with_timezone(&self.timezone).format("%Y-%m-%d %H:%M:%S").to_string()
    }
}

/// Use cases on existing consultations.
#[derive(Clone)]
pub struct Consultations {
    context: Context,
}

impl Consultations {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    pub(super) const fn context(&self) -> &Context {
        &self.context
    }

    /// One consultation, for its two parties; an administrator's look is audited.
    ///
    /// # Errors
    /// [`ConsultationError::NotFound`] also when it is somebody else's.
    pub async fn get(&self, actor: &Actor, id: ConsultationId) -> Result<Consultation, ConsultationError> {
        actor.require_visible(may_see_any(actor))?;
        let mut unit = self.context.store.read();
        let found = load(&mut *unit, actor, id).await?;
        self.audit_outside_read(actor, &found).await?;
        Ok(found)
    }

    /// A page of consultations. Patients and doctors get their own whatever the filter says of the other side.
    ///
    /// # Errors
    /// [`ConsultationError::Access`] without a session.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: ConsultationFilter,
        page: PageRequest,
    ) -> Result<Page<Consultation>, ConsultationError> {
        actor.require(may_see_any(actor))?;
        let is_own =
            filter.doctor.is_some_and(|d| actor.is_doctor(d)) || filter.patient.is_some_and(|p| actor.is_patient(p));
        actor.require(is_own || actor.is_trusted())?;
        Ok(self.context.store.read().consultations().list(&filter, page).await?)
    }

    /// Who was told of anything, or why not, over all consultations, for administrators.
    ///
    /// # Errors
    /// [`ConsultationError::Access`] for anybody else.
    pub async fn notifications(
        &self,
        actor: &Actor,
        filter: NotificationFilter,
        page: PageRequest,
    ) -> Result<Page<Notification>, ConsultationError> {
        actor.require_admin()?;
        Ok(self.context.store.read().notifications().list_all(&filter, page).await?)
    }

    /// Every transition and every notification decision of a consultation.
    ///
    /// # Errors
    /// [`ConsultationError::NotFound`] also when it is somebody else's.
    pub async fn trail(&self, actor: &Actor, id: ConsultationId) -> Result<ConsultationTrail, ConsultationError> {
        actor.require_visible(may_see_any(actor))?;
        let mut unit = self.context.store.read();
        let consultation = load(&mut *unit, actor, id).await?;
        let events = unit.consultations().events(id).await?;
        let notifications = unit.notifications().list(id).await?;
        self.audit_outside_read(actor, &consultation).await?;
        Ok(ConsultationTrail { consultation, events, notifications })
    }

    /// A consultation with those who took part, for its two parties; an administrator's export is audited.
    ///
    /// # Errors
    /// [`ConsultationError::NotFound`] also when it is somebody else's.
    pub async fn record(&self, actor: &Actor, id: ConsultationId) -> Result<ConsultationRecord, ConsultationError> {
        actor.require_visible(may_see_any(actor))?;
        let mut unit = self.context.store.read();
        let consultation = load(&mut *unit, actor, id).await?;
        let doctor = unit.doctors().find(consultation.pair.doctor).await?;
        let patient = unit.patients().find(consultation.pair.patient).await?;
        let events = unit.consultations().events(id).await?;
        self.audit_outside(actor, &consultation, "consultation.export").await?;
        let timezone = self.context.policy.timezone;
        let exported_at = self.context.clock.now();
        Ok(ConsultationRecord { consultation, doctor, patient, events, timezone, exported_at })
    }

    /// Ends a consultation for whichever party asks. Ending an ended one changes nothing and answers it.
    ///
    /// # Errors
    /// [`ConsultationError`]; a doctor who has not replied must give a reason.
    pub async fn end(
        &self,
        actor: &Actor,
        id: ConsultationId,
        reason: Option<String>,
    ) -> Result<Consultation, ConsultationError> {
        actor.require_visible(actor.doctor().is_some() || actor.patient().is_some())?;
        let reason =
            reason.map(|r| text::bounded("reason", &r, MAX_REASON_CHARS)).transpose()?.filter(|r| !r.is_empty());
        let mut last = ConsultationError::Conflict;
        for _ in 0..MAX_TRIES {
            let mut unit = self.context.store.begin().await?;
            let current = load(&mut *unit, actor, id).await?;
            let event = if actor.is_doctor(current.pair.doctor) {
                Event::EndByDoctor { reason: reason.clone() }
            } else {
                Event::EndByPatient
            };
            match self.commit(unit, actor, Change { current, event }).await {
                Err(ConsultationError::Conflict) => last = ConsultationError::Conflict,
                other => return other,
            }
        }
        Err(last)
    }

    /// Opens an ended consultation again, for its doctor, within the time allowed.
    ///
    /// # Errors
    /// [`ConsultationError`] when a rule of reopening is not met; [`ConsultationError::PatientNotFound`] when the patient
    /// has left.
    pub async fn reopen(&self, actor: &Actor, id: ConsultationId) -> Result<Consultation, ConsultationError> {
        actor.require_visible(actor.doctor().is_some())?;
        let mut unit = self.context.store.begin().await?;
        let current = load(&mut *unit, actor, id).await?;
        actor.require_visible(actor.is_doctor(current.pair.doctor))?;
        let pair = current.pair;
        living_patient(&mut *unit, pair.patient).await?;
        let doctors = unit.doctors().find_all_shared(&[pair.doctor]).await?;
        let relation = unit.relations().find_locked(current.relation_id).await?;
        let open = unit.consultations().find_open(&[pair]).await?;
        let facts = ReopenFacts {
            is_certified: doctors.first().is_some_and(Doctor::is_certified),
            is_blocked: relation.is_some_and(|r| r.is_blocked),
            has_newer_open: open.iter().any(|c| c.id != id),
        };
        self.commit(unit, actor, Change { current, event: Event::Reopen(facts) }).await
    }

    /// Makes a consultation invalid, for an administrator, with a reason that is kept.
    ///
    /// # Errors
    /// [`ConsultationError`] when the reason is missing or the consultation unknown.
    pub async fn void(
        &self,
        actor: &Actor,
        id: ConsultationId,
        reason: &str,
    ) -> Result<Consultation, ConsultationError> {
        actor.require_admin()?;
        let reason = text::required("reason", reason, MAX_REASON_CHARS)?;
        let mut unit = self.context.store.begin().await?;
        let current = load(&mut *unit, actor, id).await?;
        let subject = format!("consultation:{id}");
        let event = self.context.audit(actor, "consultation.void", subject, json!({ "reason": reason }));
        unit.audit().append_all(&[event]).await?;
        self.commit(unit, actor, Change { current, event: Event::Void { reason } }).await
    }

    async fn commit(
        &self,
        mut unit: Box<dyn ConsultationUnit>,
        actor: &Actor,
        change: Change,
    ) -> Result<Consultation, ConsultationError> {
        let mut lines = DialogLines::default();
        let transition = transition::run(&self.context, &mut *unit, actor, change, &mut lines).await?;
        lines.write(&mut *unit).await?;
        unit.commit().await?;
        self.context.signal.wake();
        Ok(transition.next)
    }

    /// A read of a consultation by somebody who is not a party leaves a trace.
    async fn audit_outside_read(&self, actor: &Actor, found: &Consultation) -> Result<(), ConsultationError> {
        self.audit_outside(actor, found, "consultation.read").await
    }

    async fn audit_outside(
        &self,
        actor: &Actor,
        found: &Consultation,
        action: &'static str,
    ) -> Result<(), ConsultationError> {
        if is_party(actor, found) {
            return Ok(());
        }
        let mut unit = self.context.store.begin().await?;
        let event = self.context.audit(actor, action, format!("consultation:{}", found.id), json!({}));
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        Ok(())
    }
}

fn may_see_any(actor: &Actor) -> bool {
    actor.patient().is_some() || actor.doctor().is_some() || actor.is_trusted()
}

fn is_party(actor: &Actor, consultation: &Consultation) -> bool {
    actor.is_patient(consultation.pair.patient) || actor.is_doctor(consultation.pair.doctor)
}

/// Loads a consultation the caller may see; another's does not exist for the caller.
async fn load(
    unit: &mut dyn ConsultationUnit,
    actor: &Actor,
    id: ConsultationId,
) -> Result<Consultation, ConsultationError> {
    let found = unit.consultations().find(id).await?;
    let found = found.filter(|c| is_party(actor, c) || actor.is_trusted());
    found.ok_or(ConsultationError::NotFound(id))
}
