//! Signing in with an SMS code: finds or makes the account and the profile that goes with the role.

use domain::doctor::Doctor;
use domain::id::{DoctorId, PatientId, UserId};
use domain::patient::Patient;
use domain::{Actor, Phone};
use serde_json::json;

use crate::AccountError;
use crate::challenge::{ChallengeRef, Origin, Purpose};
use crate::codes::{CodeCheck, CodeVerdict, is_public};
use crate::service::Accounts;
use crate::session::{NewSession, SessionSubject};
use crate::unit::AccountUnit;
use crate::user::User;

/// As whom somebody signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Patient,
    Doctor,
}

/// A sign-in with an SMS code.
#[derive(Clone)]
pub struct SmsSignIn {
    pub challenge: ChallengeRef,
    pub code: String,
    /// Which profile is to exist afterwards; `None` leaves profiles alone, as LeanCloud does.
    pub role: Option<Role>,
    pub device_label: Option<String>,
    pub origin: Origin,
}

/// Somebody is signed in.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedIn {
    pub user: User,
    pub patient: Option<PatientId>,
    pub doctor: Option<DoctorId>,
    pub session: NewSession,
    /// The account was made by this sign-in.
    pub is_new: bool,
}

/// Random characters behind a user name that is taken.
const NAME_SUFFIX_CHARS: usize = 6;

impl Accounts {
    /// Signs in with an SMS code.
    ///
    /// # Errors
    /// [`AccountError::CodeNotAccepted`], [`AccountError::NumberLocked`], [`AccountError::TooManyFailures`];
    /// [`AccountError::Access`] for staff.
    pub async fn sign_in_with_sms(&self, actor: &Actor, request: SmsSignIn) -> Result<SignedIn, AccountError> {
        actor.require(is_public(actor))?;
        let SmsSignIn { challenge, code, role, device_label, origin } = request;
        let mut unit = self.store.begin().await?;
        let check = CodeCheck { purpose: Purpose::Login, challenge, code, origin };
        let phone = match self.check_code(unit.as_mut(), actor, &check).await? {
            CodeVerdict::Right(challenge) => challenge.phone,
            CodeVerdict::Wrong(error) => {
                unit.commit().await?;
                return Err(error);
            }
        };
        let (user, is_new) = self.user_of_proven_phone(unit.as_mut(), &phone).await?;
        if let Some(role) = role {
            self.ensure_profile(unit.as_mut(), role, user.id, Some(&phone)).await?;
        }
        let signed_in = self.open_user_session(unit.as_mut(), user, is_new, device_label.as_deref(), "sms").await?;
        self.commit_accepted(unit).await?;
        Ok(signed_in)
    }

    /// Signs in with an SMS code where there is an account already.
    ///
    /// # Errors
    /// As [`Accounts::sign_in_with_sms`]; [`AccountError::NoPhone`] when no account has the number, which only whoever
    /// holds it learns.
    pub async fn log_in_with_sms(&self, actor: &Actor, request: SmsSignIn) -> Result<SignedIn, AccountError> {
        actor.require(is_public(actor))?;
        let SmsSignIn { challenge, code, device_label, origin, .. } = request;
        let mut unit = self.store.begin().await?;
        let check = CodeCheck { purpose: Purpose::Login, challenge, code, origin };
        let phone = match self.check_code(unit.as_mut(), actor, &check).await? {
            CodeVerdict::Right(challenge) => challenge.phone,
            CodeVerdict::Wrong(error) => {
                unit.commit().await?;
                return Err(error);
            }
        };
        let Some(user) = unit.users().find_by_phone(&phone).await?.filter(|user| user.is_phone_verified) else {
            self.commit_accepted(unit).await?;
            return Err(AccountError::NoPhone);
        };
        let signed_in = self.open_user_session(unit.as_mut(), user, false, device_label.as_deref(), "sms").await?;
        self.commit_accepted(unit).await?;
        Ok(signed_in)
    }

    /// The signed-in user's own profile of a role, linked or made when there is none; true if there was none.
    ///
    /// # Errors
    /// [`AccountError::Access`] without a user's session.
    pub async fn open_profile(&self, actor: &Actor, role: Role) -> Result<bool, AccountError> {
        let id = actor.require_user()?.user;
        let mut unit = self.store.begin().await?;
        let user = unit.users().find(id).await?.ok_or(domain::actor::AccessError::Unauthenticated)?;
        let linked = match (role, user.verified_phone()) {
            (Role::Patient, phone) => {
                self.ensure_patient(unit.as_mut(), id, phone).await?.map(|id| format!("patient:{id}"))
            }
            (Role::Doctor, phone) => {
                self.ensure_doctor(unit.as_mut(), id, phone).await?.map(|id| format!("doctor:{id}"))
            }
        };
        let is_new = linked.is_some();
        if let Some(subject) = linked {
            let event = self.audit_event(actor, "profile.link", subject);
            unit.audit().append_all(&[event]).await?;
        }
        unit.commit().await?;
        Ok(is_new)
    }

    /// Begins a session of a user who has proven to be it, and writes down how.
    pub(crate) async fn open_user_session(
        &self,
        unit: &mut dyn AccountUnit,
        user: User,
        is_new: bool,
        device_label: Option<&str>,
        method: &'static str,
    ) -> Result<SignedIn, AccountError> {
        let session = self.begin_session(unit, SessionSubject::User(user.id), device_label).await?;
        let patient = unit.patients().find_by_user(user.id).await?.map(|p| p.id);
        let doctor = unit.doctors().find_by_user(user.id).await?.map(|d| d.id);
        let detail = json!({ "method": method, "isNew": is_new });
        let event = self.audit_detail(
            format!("user:{}", user.id),
            "sign_in",
            format!("session:{}", session.session.id),
            detail,
        );
        unit.audit().append_all(&[event]).await?;
        Ok(SignedIn { user, patient, doctor, session, is_new })
    }

    /// The account whose number this is, made if there is none; true if it was made.
    pub(crate) async fn user_of_proven_phone(
        &self,
        unit: &mut dyn AccountUnit,
        phone: &Phone,
    ) -> Result<(User, bool), AccountError> {
        if let Some(user) = unit.users().find_by_phone(phone).await?.filter(|user| user.is_phone_verified) {
            return Ok((user, false));
        }
        self.release_unproven_phone(unit, phone).await?;
        let mut name = phone.national().to_owned();
        if unit.users().find_by_username(&name).await?.is_some() {
            name = format!("{name}-{}", self.random.base62(NAME_SUFFIX_CHARS));
        }
        let mut user = User::new(UserId(self.ids.next()), name, self.clock.now());
        user.phone = Some(phone.clone());
        user.is_phone_verified = true;
        unit.users().insert(&user).await?;
        Ok((user, true))
    }

    /// A number somebody merely wrote into an account is no claim to it: whoever shows that it is theirs gets it,
    /// and nothing else of that account.
    pub(crate) async fn release_unproven_phone(
        &self,
        unit: &mut dyn AccountUnit,
        phone: &Phone,
    ) -> Result<(), AccountError> {
        let Some(mut holder) = unit.users().find_by_phone(phone).await? else {
            return Ok(());
        };
        if holder.is_phone_verified {
            return Err(AccountError::PhoneTaken);
        }
        holder.phone = None;
        holder.updated_at = self.clock.now();
        unit.users().update(&holder).await?;
        let event = self.audit_event(&Actor::System, "phone.release", format!("user:{}", holder.id));
        Ok(unit.audit().append_all(&[event]).await?)
    }

    /// The profile of the role: the user's own, else an imported one with the proven number that nobody signs in
    /// as yet, else a new one.
    pub(crate) async fn ensure_profile(
        &self,
        unit: &mut dyn AccountUnit,
        role: Role,
        user: UserId,
        phone: Option<&Phone>,
    ) -> Result<(), AccountError> {
        let linked = match role {
            Role::Patient => self.ensure_patient(unit, user, phone).await?.map(|id| format!("patient:{id}")),
            Role::Doctor => self.ensure_doctor(unit, user, phone).await?.map(|id| format!("doctor:{id}")),
        };
        if let Some(subject) = linked {
            let event = self.audit_detail(format!("user:{user}"), "profile.link", subject, json!({}));
            unit.audit().append_all(&[event]).await?;
        }
        Ok(())
    }

    /// Answers the profile that was linked or made, if one was.
    async fn ensure_patient(
        &self,
        unit: &mut dyn AccountUnit,
        user: UserId,
        phone: Option<&Phone>,
    ) -> Result<Option<PatientId>, AccountError> {
        if unit.patients().find_by_user(user).await?.is_some() {
            return Ok(None);
        }
        let now = self.clock.now();
        let imported = match phone {
            Some(phone) => unit.patients().find_unlinked_by_phone(phone).await?,
            None => None,
        };
        if let Some(mut imported) = imported {
            imported.user_id = Some(user);
            imported.updated_at = now;
            unit.patients().update(&imported).await?;
            return Ok(Some(imported.id));
        }
        let mut patient = Patient::new(PatientId(self.ids.next()), now);
        patient.user_id = Some(user);
        patient.phone = phone.cloned();
        unit.patients().insert(&patient).await?;
        Ok(Some(patient.id))
    }

    /// Answers the profile that was linked or made, if one was.
    async fn ensure_doctor(
        &self,
        unit: &mut dyn AccountUnit,
        user: UserId,
        phone: Option<&Phone>,
    ) -> Result<Option<DoctorId>, AccountError> {
        if unit.doctors().find_by_user(user).await?.is_some() {
            return Ok(None);
        }
        let now = self.clock.now();
        let imported = match phone {
            Some(phone) => unit.doctors().find_unlinked_by_phone(phone).await?,
            None => None,
        };
        if let Some(mut imported) = imported {
            imported.user_id = Some(user);
            imported.updated_at = now;
            unit.doctors().update(&imported).await?;
            return Ok(Some(imported.id));
        }
        let mut doctor = Doctor::new(DoctorId(self.ids.next()), now);
        doctor.user_id = Some(user);
        doctor.phone = phone.cloned();
        unit.doctors().insert(&doctor).await?;
        Ok(Some(doctor.id))
    }
}

#[cfg(test)]
mod tests {
    use domain::time::span;

    use super::*;
    use crate::memory::{fixture, origin};

    #[tokio::test]
    async fn a_new_number_makes_an_account_with_its_profile_and_a_session() {
        let f = fixture();
        let signed = f.sign_in_as("13900000000", Some(Role::Patient)).await;
        assert!(signed.is_new);
        assert_eq!(signed.user.username, "13900000000");
        assert!(signed.user.verified_phone().is_some());
        let state = f.state();
        assert_eq!(state.patients[0].user_id, Some(signed.user.id));
        assert_eq!(state.patients[0].phone, signed.user.phone);
        assert!(signed.doctor.is_none());
        assert!(state.audit.iter().any(|e| e.action == "sign_in"));
    }

    #[tokio::test]
    async fn a_known_number_signs_in_again_without_a_second_profile() {
        let f = fixture();
        let first = f.sign_in_as("13900000000", Some(Role::Patient)).await;
        f.clock.advance(span::minutes(2));
        let second = f.sign_in_as("13900000000", Some(Role::Patient)).await;
        assert_eq!((second.is_new, second.user.id, second.patient), (false, first.user.id, first.patient));
        assert_eq!(f.state().patients.len(), 1);
    }

    #[tokio::test]
    async fn one_person_may_be_patient_and_doctor() {
        let f = fixture();
        f.sign_in_as("13900000000", Some(Role::Patient)).await;
        f.clock.advance(span::minutes(2));
        let signed = f.sign_in_as("13900000000", Some(Role::Doctor)).await;
        assert!(signed.patient.is_some() && signed.doctor.is_some());
        let resolved = f.accounts.resolve(&signed.session.token).await.unwrap().unwrap();
        assert_eq!((resolved.actor.patient(), resolved.actor.doctor()), (signed.patient, signed.doctor));
    }

    #[tokio::test]
    async fn an_imported_profile_with_the_proven_number_is_linked() {
        let f = fixture();
        let phone: Phone = "13900000000".parse().unwrap();
        let imported = PatientId(f.ids.next_id());
        let doctor = DoctorId(f.ids.next_id());
        f.edit(|state| {
            state.patients.push(Patient { phone: Some(phone.clone()), ..Patient::new(imported, f.clock.now()) });
            state.doctors.push(Doctor { phone: Some(phone.clone()), ..Doctor::new(doctor, f.clock.now()) });
        });
        let signed = f.sign_in_as("13900000000", Some(Role::Patient)).await;
        assert_eq!((signed.patient, signed.doctor), (Some(imported), None));
        f.clock.advance(span::minutes(2));
        let signed = f.sign_in_as("13900000000", Some(Role::Doctor)).await;
        assert_eq!((signed.patient, signed.doctor), (Some(imported), Some(doctor)));
    }

    #[tokio::test]
    async fn without_a_role_no_profile_is_touched() {
        let f = fixture();
        let signed = f.sign_in_as("13900000000", None).await;
        assert_eq!((signed.patient, signed.doctor, f.state().patients.len()), (None, None, 0));
    }

    #[tokio::test]
    async fn a_number_somebody_merely_wrote_down_is_no_claim_to_it() {
        let f = fixture();
        let phone: Phone = "13900000000".parse().unwrap();
        let squatter = UserId(f.ids.next_id());
        f.edit(|state| {
            let user = User { phone: Some(phone.clone()), ..User::new(squatter, "13900000000", f.clock.now()) };
            state.users.push(user);
        });
        let signed = f.sign_in_as("13900000000", Some(Role::Patient)).await;
        assert_ne!(signed.user.id, squatter);
        assert!(signed.user.username.starts_with("13900000000-"), "the name was taken");
        let state = f.state();
        assert_eq!(state.users.iter().find(|u| u.id == squatter).unwrap().phone, None);
        assert!(state.audit.iter().any(|e| e.action == "phone.release"));
    }

    #[tokio::test]
    async fn staff_cannot_sign_in_this_way() {
        let f = fixture();
        let admin = f.admin().await;
        let request = SmsSignIn {
            challenge: ChallengeRef::Phone("13900000000".parse().unwrap()),
            code: "000000".into(),
            role: None,
            device_label: None,
            origin: origin(),
        };
        let refused = f.accounts.sign_in_with_sms(&admin, request).await.unwrap_err();
        assert!(matches!(refused, AccountError::Access(_)));
    }
}
