//! A doctor's invitations and what scanning one does.

use std::sync::Arc;

use domain::doctor::Doctor;
use domain::id::{DoctorId, InvitationId, RelationId};
use domain::rng::SecureRandom;
use domain::{Actor, FieldError, Timestamp};
use serde_json::json;

use super::context::Context;
use super::relations::RelationWithDoctor;
use crate::consultation::Pair;
use crate::error::ConsultationError;
use crate::relation::{Invitation, Relation};

/// Characters of a scene: 22 of base62 are 131 bits, within WeChat's 32.
const SCENE_CHARS: usize = 22;
/// Usable invitations a doctor may have at once.
pub(super) const MAX_INVITATIONS: usize = 20;

/// Use cases on invitations.
#[derive(Clone)]
pub struct Invitations {
    context: Context,
    random: Arc<dyn SecureRandom>,
}

impl Invitations {
    pub fn new(context: Context, random: Arc<dyn SecureRandom>) -> Self {
        Self { context, random }
    }

    /// Makes an invitation, for good or until `expires_at`.
    ///
    /// # Errors
    /// [`ConsultationError`]: only certified doctors invite; not more than [`MAX_INVITATIONS`].
    pub async fn create(
        &self,
        actor: &Actor,
        doctor: DoctorId,
        expires_at: Option<Timestamp>,
    ) -> Result<Invitation, ConsultationError> {
        actor.require(actor.is_doctor(doctor))?;
        let now = self.context.clock.now();
        if expires_at.is_some_and(|at| at <= now) {
            return Err(FieldError::new("expiresAt", "must be in the future").into());
        }
        let mut unit = self.context.store.begin().await?;
        let inviting = unit.doctors().find(doctor).await?.ok_or(ConsultationError::DoctorNotFound(doctor))?;
        if !inviting.is_certified() {
            return Err(ConsultationError::DoctorNotAuthenticated);
        }
        let usable = unit.invitations().list(doctor).await?.iter().filter(|i| i.is_usable(now)).count();
        if usable >= MAX_INVITATIONS {
            return Err(
                FieldError::new("doctorId", format!("has {MAX_INVITATIONS} invitations already; revoke one")).into()
            );
        }
        let invitation = Invitation {
            id: InvitationId(self.context.ids.next()),
            doctor_id: doctor,
            scene: self.random.base62(SCENE_CHARS),
            expires_at,
            revoked_at: None,
            scan_count: 0,
            created_at: now,
        };
        unit.invitations().insert(&invitation).await?;
        unit.commit().await?;
        Ok(invitation)
    }

    /// All invitations of a doctor, newest first.
    ///
    /// # Errors
    /// [`ConsultationError::Access`] for anybody but that doctor and administrators.
    pub async fn list(&self, actor: &Actor, doctor: DoctorId) -> Result<Vec<Invitation>, ConsultationError> {
        actor.require(actor.is_doctor(doctor) || actor.is_admin())?;
        Ok(self.context.store.read().invitations().list(doctor).await?)
    }

    /// One of a doctor's invitations that may still be scanned.
    ///
    /// # Errors
    /// [`ConsultationError::Access`] for anybody but that doctor and administrators;
    /// [`ConsultationError::InvitationNotUsable`] when it is none of theirs, revoked or expired.
    pub async fn usable(
        &self,
        actor: &Actor,
        doctor: DoctorId,
        id: InvitationId,
    ) -> Result<Invitation, ConsultationError> {
        actor.require(actor.is_doctor(doctor) || actor.is_admin())?;
        let now = self.context.clock.now();
        let found = self.context.store.read().invitations().find(id).await?;
        let usable = found.filter(|invitation| invitation.doctor_id == doctor && invitation.is_usable(now));
        usable.ok_or(ConsultationError::InvitationNotUsable)
    }

    /// Makes an invitation useless from now on. Doing it twice is fine.
    ///
    /// # Errors
    /// [`ConsultationError::InvitationNotUsable`] when it is not one of the doctor's.
    pub async fn revoke(
        &self,
        actor: &Actor,
        doctor: DoctorId,
        id: InvitationId,
    ) -> Result<Invitation, ConsultationError> {
        actor.require(actor.is_doctor(doctor) || actor.is_admin())?;
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        let found = unit.invitations().find(id).await?.filter(|i| i.doctor_id == doctor);
        let found = found.ok_or(ConsultationError::InvitationNotUsable)?;
        unit.invitations().revoke(id, now).await?;
        let event = self.context.audit(actor, "invitation.revoke", format!("invitation:{id}"), json!({}));
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        Ok(Invitation { revoked_at: found.revoked_at.or(Some(now)), ..found })
    }

    /// What the patient's client does after reading a code: makes or finds the relation, `source "0"` if it
    /// had none, and shows the doctor's card once.
    ///
    /// # Errors
    /// [`ConsultationError::InvitationNotUsable`] when it is unknown, revoked or expired.
    pub async fn scan(&self, actor: &Actor, scene: &str) -> Result<RelationWithDoctor, ConsultationError> {
        let patient = actor.require_patient()?;
        let context = &self.context;
        let now = context.clock.now();
        let mut unit = context.store.begin().await?;
        let invitation = unit.invitations().find_by_scene(scene).await?.filter(|i| i.is_usable(now));
        let invitation = invitation.ok_or(ConsultationError::InvitationNotUsable)?;
        let doctors: Vec<Doctor> = unit.doctors().find_all_shared(&[invitation.doctor_id]).await?;
        let doctor = doctors.into_iter().next().filter(Doctor::is_certified);
        let doctor = doctor.ok_or(ConsultationError::InvitationNotUsable)?;
        let pair = Pair { doctor: doctor.id, patient };
        let candidate = Relation::new(RelationId(context.ids.next()), pair, now);
        let mut relations = unit.relations().ensure_all(&[candidate]).await?;
        let mut relation = relations.pop().ok_or(ConsultationError::Conflict)?;
        relation.scanned();
        relation.updated_at = now;
        unit.relations().update(&relation).await?;
        relation.version += 1;
        unit.invitations().count_scan(invitation.id).await?;
        unit.commit().await?;
        Ok(RelationWithDoctor { relation, doctor })
    }
}
