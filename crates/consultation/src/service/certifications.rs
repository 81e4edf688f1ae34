//! Submitting for certification and reviewing it. Every step is audited and the doctor is told the verdict.

use domain::certification::Certification;
use domain::doctor::Doctor;
use domain::id::{DoctorId, FileId};
use domain::page::{Page, PageRequest};
use domain::{Actor, FieldError, text};
use serde_json::json;

use super::context::Context;
use super::lines::DialogLines;
use super::living::living_doctor;
use super::notify;
use super::transition::{self, Change};
use crate::certification::{self, Pictures, Verdict};
use crate::error::ConsultationError;
use crate::machine::{Event, MAX_REASON_CHARS};
use crate::notification::{Cause, Recipient};
use crate::unit::ConsultationUnit;

/// Use cases of certification.
#[derive(Clone)]
pub struct Certifications {
    context: Context,
}

impl Certifications {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// The doctor's own state of certification, or an administrator's view of it.
    ///
    /// # Errors
    /// [`ConsultationError`] when it is not the caller's to see or does not exist.
    pub async fn get(&self, actor: &Actor, id: DoctorId) -> Result<Doctor, ConsultationError> {
        actor.require(actor.is_doctor(id) || actor.is_admin())?;
        let doctor = self.context.store.read().doctors().find(id).await?;
        doctor.ok_or(ConsultationError::DoctorNotFound(id))
    }

    /// Doctors in one state, newest first: the review queue.
    ///
    /// # Errors
    /// [`ConsultationError::Access`] for anybody but administrators.
    pub async fn list(
        &self,
        actor: &Actor,
        state: Certification,
        page: PageRequest,
    ) -> Result<Page<Doctor>, ConsultationError> {
        actor.require_admin()?;
        Ok(self.context.store.read().doctors().list_by_certification(state, page).await?)
    }

    /// "0" or "3" → "2", with pictures the doctor has uploaded.
    ///
    /// # Errors
    /// [`ConsultationError`]; names the pictures at fault.
    pub async fn submit(&self, actor: &Actor, id: DoctorId, pictures: Pictures) -> Result<Doctor, ConsultationError> {
        actor.require(actor.is_doctor(id))?;
        let user = actor.require_user()?.user;
        let mut unit = self.context.store.begin().await?;
        let doctor = unit.doctors().find(id).await?.ok_or(ConsultationError::DoctorNotFound(id))?;
        let mut faults = Vec::new();
        for (field, picture) in named(pictures) {
            let Some(picture) = picture else { continue };
            let file = unit.files().find(picture).await?.filter(|f| f.is_owned_by_user(user));
            match file {
                None => faults.push(FieldError::new(field, "is not a file you uploaded")),
                Some(file) => faults.extend(certification::check_picture(field, &file).err()),
            }
        }
        if !faults.is_empty() {
            return Err(faults.into());
        }
        let mut next = certification::submit(&doctor, pictures)?;
        next.updated_at = self.context.clock.now();
        self.write(&mut *unit, actor, &mut next, "certification.submit", None).await?;
        unit.commit().await?;
        Ok(next)
    }

    /// Approves, rejects or revokes.
    ///
    /// # Errors
    /// [`ConsultationError`] when the doctor's state does not allow it or the reason is missing.
    pub async fn review(&self, actor: &Actor, id: DoctorId, verdict: Verdict) -> Result<Doctor, ConsultationError> {
        let reviewer = actor.require_admin()?;
        let verdict = checked(verdict)?;
        let context = &self.context;
        let now = context.clock.now();
        let mut unit = context.store.begin().await?;
        let doctor = living_doctor(&mut *unit, id).await?;
        let mut next = certification::review(&doctor, &verdict, reviewer, now)?;
        next.updated_at = now;
        let (action, cause) = match &verdict {
            Verdict::Approve => ("certification.approve", Cause::CertificationApproved),
            Verdict::Reject { .. } => ("certification.reject", Cause::CertificationRejected),
            Verdict::Revoke { .. } => ("certification.revoke", Cause::CertificationRevoked),
        };
        let reason = next.reject_reason.clone();
        self.write(&mut *unit, actor, &mut next, action, reason).await?;
        let mut lines = DialogLines::default();
        if !next.is_certified() {
            close_unanswered(context, &mut *unit, actor, id, &mut lines).await?;
        }
        notify::plan(context, &mut *unit, None, Recipient::Doctor(id), cause).await?;
        lines.write(&mut *unit).await?;
        unit.commit().await?;
        context.signal.wake();
        Ok(next)
    }

    async fn write(
        &self,
        unit: &mut dyn ConsultationUnit,
        actor: &Actor,
        next: &mut Doctor,
        action: &'static str,
        reason: Option<String>,
    ) -> Result<(), ConsultationError> {
        unit.doctors().update(next).await?;
        next.version += 1;
        let detail = json!({ "state": next.certification.as_str(), "reason": reason });
        let event = self.context.audit(actor, action, format!("doctor:{}", next.id), detail);
        unit.audit().append_all(&[event]).await?;
        Ok(())
    }
}

/// Consultations nobody answered end; running ones stay and are put before an administrator.
pub(super) async fn close_unanswered(
    context: &Context,
    unit: &mut dyn ConsultationUnit,
    actor: &Actor,
    doctor: DoctorId,
    lines: &mut DialogLines,
) -> Result<(), ConsultationError> {
    for open in unit.consultations().find_open_of_doctor(doctor).await? {
        lines.ask_again_in(&open);
        let change = Change { current: open, event: Event::LoseCertification };
        transition::run(context, unit, actor, change, lines).await?;
    }
    Ok(())
}

fn named(pictures: Pictures) -> [(&'static str, Option<FileId>); 4] {
    [
        ("certificate1", pictures.certificate1),
        ("certificate2", pictures.certificate2),
        ("licence1", pictures.licence1),
        ("licence2", pictures.licence2),
    ]
}

fn checked(verdict: Verdict) -> Result<Verdict, FieldError> {
    let reason = |r: String| text::required("reason", &r, MAX_REASON_CHARS);
    Ok(match verdict {
        Verdict::Approve => Verdict::Approve,
        Verdict::Reject { reason: r } => Verdict::Reject { reason: reason(r)? },
        Verdict::Revoke { reason: r } => Verdict::Revoke { reason: reason(r)? },
    })
}
