//! Doctors' profiles: their own, and the public cards of certified ones.

use domain::Actor;
use domain::FieldError;
use domain::Patch;
use domain::certification::Certification;
use domain::doctor::{Doctor, DoctorPatch, DoctorSearch};
use domain::id::DoctorId;
use domain::page::{Page, PageRequest};
use serde_json::json;

use super::context::Context;
use super::lines::DialogLines;
use crate::certification;
use crate::error::ConsultationError;

/// Use cases on doctors' profiles.
#[derive(Clone)]
pub struct Doctors {
    context: Context,
}

impl Doctors {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// The whole profile, for the doctor, administrators and integrators.
    ///
    /// # Errors
    /// [`ConsultationError`] when it is not the caller's to see or does not exist.
    pub async fn get(&self, actor: &Actor, id: DoctorId) -> Result<Doctor, ConsultationError> {
        actor.require(actor.is_doctor(id) || actor.is_trusted())?;
        let doctor = self.context.store.read().doctors().find(id).await?;
        doctor.ok_or(ConsultationError::DoctorNotFound(id))
    }

    /// The public card of a certified doctor, for anybody with the application's key or a session.
    /// The doctor sees the own card in any state.
    ///
    /// # Errors
    /// [`ConsultationError::DoctorNotFound`] also when the doctor is not certified or has left.
    pub async fn card(&self, actor: &Actor, id: DoctorId) -> Result<Doctor, ConsultationError> {
        may_look(actor)?;
        let doctor = self.context.store.read().doctors().find(id).await?;
        let is_visible = |d: &Doctor| d.is_certified() || actor.is_doctor(id) || actor.is_trusted() && !d.is_closed();
        doctor.filter(is_visible).ok_or(ConsultationError::DoctorNotFound(id))
    }

    /// Certified doctors, by text.
    ///
    /// # Errors
    /// [`ConsultationError::Access`] without any credentials.
    pub async fn search(
        &self,
        actor: &Actor,
        search: DoctorSearch,
        page: PageRequest,
    ) -> Result<Page<Doctor>, ConsultationError> {
        may_look(actor)?;
        Ok(self.context.store.read().doctors().search_certified(&search, page).await?)
    }

    /// Doctors in any state of certification, by text, for administrators. Phones are shown masked.
    ///
    /// # Errors
    /// [`ConsultationError::Access`] for anybody else.
    pub async fn search_all(
        &self,
        actor: &Actor,
        search: DoctorSearch,
        state: Option<Certification>,
        page: PageRequest,
    ) -> Result<Page<Doctor>, ConsultationError> {
        actor.require_admin()?;
        Ok(self.context.store.read().doctors().search_all(&search, state, page).await?)
    }

    /// Changes the own profile. A certified doctor who changes name, hospital, department or title
    /// goes back to review.
    ///
    /// # Errors
    /// [`ConsultationError`]; `Invalid` names every field at fault.
    pub async fn update(&self, actor: &Actor, id: DoctorId, patch: DoctorPatch) -> Result<Doctor, ConsultationError> {
        actor.require(actor.is_doctor(id))?;
        let user = actor.require_user()?.user;
        let mut unit = self.context.store.begin().await?;
        let before = unit.doctors().find(id).await?.ok_or(ConsultationError::DoctorNotFound(id))?;
        if let Patch::Set(icon) = patch.icon {
            let file = unit.files().find(icon).await?.filter(|f| f.is_owned_by_user(user));
            let file = file.ok_or_else(|| FieldError::new("icon", "is not a file you uploaded"))?;
            certification::check_picture("icon", &file)?;
        }
        let mut next = before.clone();
        next.apply(patch)?;
        if next == before {
            return Ok(before);
        }
        next.updated_at = self.context.clock.now();
        let mut lines = DialogLines::default();
        if certification::needs_review_after(&before, &next) {
            next.certification = Certification::UnderReview;
            let event = self.context.audit(actor, "certification.re_review", format!("doctor:{id}"), json!({}));
            unit.audit().append_all(&[event]).await?;
            for open in unit.consultations().find_open_of_doctor(id).await? {
                lines.ask_again_in(&open);
            }
        }
        unit.doctors().update(&next).await?;
        next.version += 1;
        lines.write(&mut *unit).await?;
        unit.commit().await?;
        Ok(next)
    }
}

/// Public cards are for clients of the application, not for the whole internet.
fn may_look(actor: &Actor) -> Result<(), ConsultationError> {
    match actor {
        Actor::Nobody => Err(actor.refuse(domain::actor::AccessError::Forbidden).into()),
        _ => Ok(()),
    }
}
