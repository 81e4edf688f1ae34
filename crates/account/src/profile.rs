//! Profiles as their owners and the staff see them. What doctors see of their patients, and changes of a
//! doctor's profile, are the `consultation` crate's: they depend on relations and certification.

use domain::actor::AccessError;
use domain::doctor::Doctor;
use domain::file::File;
use domain::id::{FileId, PatientId, UserId};
use domain::patient::{Patient, PatientPatch};
use domain::{Actor, FieldError, Patch};

use crate::AccountError;
use crate::agent::Agent;
use crate::service::Accounts;
use crate::unit::AccountUnit;
use crate::user::User;

/// Everything about whoever is signed in.
#[derive(Debug, Clone, PartialEq)]
pub enum Me {
    User { user: Box<User>, patient: Option<Box<Patient>>, doctor: Option<Box<Doctor>> },
    Staff(Box<Agent>),
}

impl Accounts {
    /// Everything about the caller.
    ///
    /// # Errors
    /// [`AccountError::Access`] without a session.
    pub async fn me(&self, actor: &Actor) -> Result<Me, AccountError> {
        if actor.staff().is_some() {
            return Ok(Me::Staff(Box::new(self.own_agent(actor).await?)));
        }
        let id = actor.require_user()?.user;
        let mut unit = self.store.read();
        let user = Box::new(unit.users().find(id).await?.ok_or(AccessError::Unauthenticated)?);
        let patient = unit.patients().find_by_user(id).await?.map(Box::new);
        let doctor = unit.doctors().find_by_user(id).await?.map(Box::new);
        Ok(Me::User { user, patient, doctor })
    }

    /// The caller's own profile as a patient.
    ///
    /// # Errors
    /// [`AccountError::Access`] for anybody who is not a patient.
    pub async fn own_patient(&self, actor: &Actor) -> Result<Patient, AccountError> {
        let id = actor.require_patient()?;
        self.store.read().patients().find(id).await?.ok_or(AccountError::PatientNotFound(id))
    }

    /// The caller's own profile as a doctor.
    ///
    /// # Errors
    /// [`AccountError::Access`] for anybody who is not a doctor.
    pub async fn own_doctor(&self, actor: &Actor) -> Result<Doctor, AccountError> {
        let id = actor.require_doctor()?;
        self.store.read().doctors().find(id).await?.ok_or(AccountError::NoDoctorProfile)
    }

    /// Changes the caller's own profile as a patient.
    ///
    /// # Errors
    /// [`AccountError::Invalid`] with all fields at fault; [`AccountError::Conflict`]; [`AccountError::Access`] for
    /// anybody who is not a patient.
    pub async fn patch_own_patient(&self, actor: &Actor, patch: PatientPatch) -> Result<Patient, AccountError> {
        let id = actor.require_patient()?;
        let user = actor.require_user()?.user;
        let mut unit = self.store.begin().await?;
        let mut patient = unit.patients().find(id).await?.ok_or(AccountError::PatientNotFound(id))?;
        let mut faults = check_icon(unit.as_mut(), &patch.icon, user).await?;
        if let Err(more) = patient.apply(patch, self.today()) {
            faults.extend(more);
        }
        if !faults.is_empty() {
            return Err(AccountError::Invalid(faults));
        }
        patient.updated_at = self.clock.now();
        unit.patients().update(&patient).await?;
        unit.commit().await?;
        patient.version += 1;
        Ok(patient)
    }

    /// A patient's profile for somebody else: staff and integrators, audited. Everybody else learns nothing;
    /// doctors read their own patients through their relations.
    ///
    /// # Errors
    /// [`AccountError::PatientNotFound`]; [`AccountError::Access`] as described.
    pub async fn read_patient(&self, actor: &Actor, id: PatientId) -> Result<Patient, AccountError> {
        if actor.is_patient(id) {
            return self.own_patient(actor).await;
        }
        actor.require_visible(actor.staff().is_some() || actor.is_trusted())?;
        let mut unit = self.store.begin().await?;
        let patient = unit.patients().find(id).await?.ok_or(AccountError::PatientNotFound(id))?;
        unit.audit().append_all(&[self.audit_event(actor, "patient.read", format!("patient:{id}"))]).await?;
        unit.commit().await?;
        Ok(patient)
    }
}

/// An icon is a picture that the same account uploaded.
async fn check_icon(
    unit: &mut dyn AccountUnit,
    icon: &Patch<FileId>,
    user: UserId,
) -> Result<Vec<FieldError>, AccountError> {
    let Patch::Set(id) = icon else {
        return Ok(Vec::new());
    };
    let file = unit.files().find(*id).await?;
    let is_own_picture = |file: &File| file.is_owned_by_user(user) && file.mime_type.starts_with("image/");
    let fault = || FieldError::new("icon", "is a picture that you uploaded");
    Ok(if file.as_ref().is_some_and(is_own_picture) { Vec::new() } else { vec![fault()] })
}

#[cfg(test)]
mod tests {
    use domain::time::span;

    use super::*;
    use crate::files::NewUpload;
    use crate::memory::{Fixture, PNG, fixture};
    use crate::sign_in::Role;

    async fn patient(f: &Fixture, phone: &str) -> Actor {
        let token = f.sign_in(phone).await.session.token;
        f.accounts.resolve(&token).await.unwrap().unwrap().actor
    }

    #[tokio::test]
    async fn a_patient_reads_and_changes_the_own_profile() {
        let f = fixture();
        let actor = patient(&f, "13900000000").await;
        let patch = PatientPatch { name: Patch::Set("王芳".into()), ..PatientPatch::default() };
        let changed = f.accounts.patch_own_patient(&actor, patch).await.unwrap();
        assert_eq!(changed.name.as_deref(), Some("王芳"));
        assert_eq!(f.accounts.own_patient(&actor).await.unwrap(), changed);
        assert!(f.accounts.own_doctor(&actor).await.is_err());
    }

    #[tokio::test]
    async fn today_is_that_of_the_deployment_zone() {
        let f = fixture();
        let actor = patient(&f, "13900000000").await;
        // 2026-11-23T15:59Z is still the 23rd in Shanghai, a minute later it is the 24th.
        f.clock.set("2026-11-23T15:59:00.000Z");
        let born = |day: &str| PatientPatch { birthday: Patch::Set(day.into()), ..PatientPatch::default() };
        let early = f.accounts.patch_own_patient(&actor, born("2026-11-24")).await;
        assert!(matches!(early, Err(AccountError::Invalid(_))));
        f.clock.advance(span::minutes(1));
        assert!(f.accounts.patch_own_patient(&actor, born("2026-11-24")).await.is_ok());
    }

    #[tokio::test]
    async fn only_an_own_picture_can_be_the_icon() {
        let f = fixture();
        let (own, other) = (patient(&f, "13900000000").await, patient(&f, "13900000001").await);
        let upload = |actor: Actor| {
            let f = &f;
            async move { f.accounts.upload(&actor, NewUpload { name: "a.png".into(), bytes: PNG.to_vec() }).await }
        };
        let mine = upload(own.clone()).await.unwrap().id;
        let theirs = upload(other).await.unwrap().id;
        let set = |id| PatientPatch { icon: Patch::Set(id), ..PatientPatch::default() };
        assert!(f.accounts.patch_own_patient(&own, set(mine)).await.is_ok());
        let refused = f.accounts.patch_own_patient(&own, set(theirs)).await.unwrap_err();
        let AccountError::Invalid(faults) = refused else { panic!("{refused}") };
        assert_eq!(faults[0].field, "icon");
    }

    #[tokio::test]
    async fn strangers_do_not_learn_of_a_patient_and_staff_leave_a_trace() {
        let f = fixture();
        let (own, other) = (patient(&f, "13900000000").await, patient(&f, "13900000001").await);
        let id = own.patient().unwrap();
        let refused = f.accounts.read_patient(&other, id).await.unwrap_err();
        assert!(matches!(refused, AccountError::Access(AccessError::Hidden)));
        let refused = f.accounts.read_patient(&Actor::App, id).await.unwrap_err();
        assert!(matches!(refused, AccountError::Access(AccessError::Unauthenticated)));
        assert!(f.accounts.read_patient(&own, id).await.is_ok());
        assert_eq!(f.state().audit.iter().filter(|e| e.action == "patient.read").count(), 0);
        let admin = f.admin().await;
        assert!(f.accounts.read_patient(&admin, id).await.is_ok());
        let trace: Vec<_> = f.state().audit.into_iter().filter(|e| e.action == "patient.read").collect();
        assert_eq!((trace.len(), &trace[0].actor), (1, &admin.label()));
    }

    #[tokio::test]
    async fn me_shows_both_profiles_or_the_agent() {
        let f = fixture();
        patient(&f, "13900000000").await;
        f.clock.advance(span::minutes(2));
        let signed = f.sign_in_as("13900000000", Some(Role::Doctor)).await;
        let actor = f.accounts.resolve(&signed.session.token).await.unwrap().unwrap().actor;
        let Me::User { patient, doctor, .. } = f.accounts.me(&actor).await.unwrap() else { panic!("a user") };
        assert_eq!((patient.map(|p| p.id), doctor.map(|d| d.id)), (signed.patient, signed.doctor));
        let admin = f.admin().await;
        assert!(matches!(f.accounts.me(&admin).await, Ok(Me::Staff(agent)) if Some(agent.id) == admin.staff()));
        assert!(f.accounts.me(&Actor::Nobody).await.is_err());
    }
}
