//! Closing an account: nobody signs in to it any more, the number and the identities are free for another one, and
//! its profiles are hidden. What was written down with it stays for as long as records are kept.
//!
//! What the person had begun elsewhere ends by a job, after the commit: see [`domain::closure`].

use std::time::Duration;

use domain::actor::AccessError;
use domain::closure::{ACCOUNT_CLOSED, ClosedAccount};
use domain::doctor::Doctor;
use domain::id::{DoctorId, JobId, PatientId};
use domain::outbox::NewJob;
use domain::patient::Patient;
use domain::time::span;
use domain::{Actor, text};
use serde_json::json;

use crate::AccountError;
use crate::challenge::{Origin, Purpose};
use crate::codes::{CodeCheck, CodeVerdict};
use crate::phone_binding::CodeAnswer;
use crate::service::Accounts;
use crate::session::{self, SessionSubject};
use crate::unit::AccountUnit;
use crate::user::User;

/// Most characters of the reason an administrator gives.
pub const MAX_REASON_CHARS: usize = 500;
/// Whatever was being written at the moment of the closure is there by then: it is looked at once more.
const LOOK_AGAIN_AFTER: Duration = span::minutes(1);

/// Whose account an administrator closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Person {
    Patient(PatientId),
    Doctor(DoctorId),
}

/// An account with its profiles. Imported profiles may have no account.
struct Closing {
    user: Option<User>,
    patient: Option<Patient>,
    doctor: Option<Doctor>,
}

impl Closing {
    /// How the audit log names it.
    fn subject(&self) -> String {
        match (&self.user, &self.patient, &self.doctor) {
            (Some(user), ..) => format!("user:{}", user.id),
            (None, Some(patient), _) => format!("patient:{}", patient.id),
            (None, None, Some(doctor)) => format!("doctor:{}", doctor.id),
            (None, None, None) => String::new(),
        }
    }

    fn told(&self) -> ClosedAccount {
        ClosedAccount {
            user: self.user.as_ref().map(|user| user.id),
            patient: self.patient.as_ref().map(|patient| patient.id),
            doctor: self.doctor.as_ref().map(|doctor| doctor.id),
        }
    }
}

impl Accounts {
    /// Closes the signed-in account, its profiles with it. Without an answer to a code of purpose `CloseAccount`, the
    /// sign-in has to be a recent one.
    ///
    /// # Errors
    /// [`AccountError::ClosureUnproven`], the errors of a code; [`AccountError::Access`] without a user's session.
    pub async fn close_own_account(
        &self,
        actor: &Actor,
        answer: Option<CodeAnswer>,
        origin: Origin,
    ) -> Result<(), AccountError> {
        let caller = actor.require_user()?;
        let mut unit = self.store.begin().await?;
        let user = unit.users().find(caller.user).await?.ok_or(AccessError::Unauthenticated)?;
        let has_code = answer.is_some();
        match answer {
            None if !self.is_fresh(unit.as_mut(), caller).await? => return Err(AccountError::ClosureUnproven),
            None => {}
            Some(CodeAnswer { challenge, code }) => {
                let check = CodeCheck { purpose: Purpose::CloseAccount, challenge, code, origin };
                match self.check_code(unit.as_mut(), actor, &check).await? {
                    CodeVerdict::Right(proven) if user.phone.as_ref() == Some(&proven.phone) => {}
                    CodeVerdict::Right(_) => return Err(AccountError::NoPhone),
                    CodeVerdict::Wrong(error) => {
                        unit.commit().await?;
                        return Err(error);
                    }
                }
            }
        }
        self.close_user(unit.as_mut(), actor, user, None).await?;
        if has_code { self.commit_accepted(unit).await } else { Ok(unit.commit().await?) }
    }

    /// Closes somebody's account, with a reason that is kept. Doing it twice changes nothing.
    ///
    /// # Errors
    /// [`AccountError::PatientNotFound`], [`AccountError::DoctorNotFound`], [`AccountError::Invalid`] without a reason;
    /// [`AccountError::Access`] for anybody but an administrator.
    pub async fn close_account_of(&self, actor: &Actor, person: Person, reason: &str) -> Result<(), AccountError> {
        actor.require_admin()?;
        let reason = text::required("reason", reason, MAX_REASON_CHARS)?;
        let mut unit = self.store.begin().await?;
        let (patient, doctor) = match person {
            Person::Patient(id) => {
                (Some(unit.patients().find(id).await?.ok_or(AccountError::PatientNotFound(id))?), None)
            }
            Person::Doctor(id) => (None, Some(unit.doctors().find(id).await?.ok_or(AccountError::DoctorNotFound(id))?)),
        };
        let is_closed =
            patient.as_ref().is_some_and(Patient::is_closed) || doctor.as_ref().is_some_and(Doctor::is_closed);
        if is_closed {
            return Ok(());
        }
        let user = patient.as_ref().and_then(|p| p.user_id).or_else(|| doctor.as_ref().and_then(|d| d.user_id));
        let user = match user {
            Some(id) => unit.users().find(id).await?,
            None => None,
        };
        match user {
            Some(user) => self.close_user(unit.as_mut(), actor, user, Some(&reason)).await?,
            None => self.close(unit.as_mut(), actor, Closing { user: None, patient, doctor }, Some(&reason)).await?,
        }
        Ok(unit.commit().await?)
    }

    async fn close_user(
        &self,
        unit: &mut dyn AccountUnit,
        actor: &Actor,
        user: User,
        reason: Option<&str>,
    ) -> Result<(), AccountError> {
        let patient = unit.patients().find_by_user(user.id).await?;
        let doctor = unit.doctors().find_by_user(user.id).await?;
        self.close(unit, actor, Closing { user: Some(user), patient, doctor }, reason).await
    }

    async fn close(
        &self,
        unit: &mut dyn AccountUnit,
        actor: &Actor,
        closing: Closing,
        reason: Option<&str>,
    ) -> Result<(), AccountError> {
        let now = self.clock.now();
        let (subject, closed) = (closing.subject(), closing.told());
        let phone =
            closing.user.as_ref().and_then(|user| user.phone.as_ref()).map(|phone| self.keys.phone_index(phone));
        if let Some(mut user) = closing.user {
            let of_user = SessionSubject::User(user.id);
            for session in unit.sessions().list(of_user, now).await? {
                unit.sessions().revoke(of_user, session.id, session::ACCOUNT_CLOSED, now).await?;
            }
            user.close(now);
            self.save_user(unit, user).await?;
        }
        if let Some(mut patient) = closing.patient {
            patient.close(now);
            unit.patients().update(&patient).await?;
        }
        if let Some(mut doctor) = closing.doctor {
            doctor.close(now);
            unit.doctors().update(&doctor).await?;
        }
        let detail = json!({ "patient": closed.patient, "doctor": closed.doctor, "phone": phone, "reason": reason });
        let event = self.audit_detail(actor.label(), "account.close", subject.clone(), detail);
        unit.audit().append_all(&[event]).await?;
        Ok(unit.outbox().append_all(&self.tell_closed(&subject, closed)).await?)
    }

    /// The jobs that end what the person had begun: at once, and a moment later.
    fn tell_closed(&self, subject: &str, closed: ClosedAccount) -> [NewJob; 2] {
        let now = self.clock.now();
        [("now", now), ("again", now + LOOK_AGAIN_AFTER)].map(|(which, run_at)| NewJob {
            id: JobId(self.ids.next()),
            kind: ACCOUNT_CLOSED,
            payload: json!(closed),
            run_at,
            idempotency_key: format!("{ACCOUNT_CLOSED}:{subject}:{which}"),
            created_at: now,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::challenge::ChallengeRef;
    use crate::memory::{Fixture, fixture, just_under, origin, other_code};
    use crate::sign_in::{Role, SignedIn};

    const NUMBER: &str = "13900000000";

    async fn actor_of(f: &Fixture, signed_in: &SignedIn) -> Actor {
        f.accounts.resolve(&signed_in.session.token).await.unwrap().unwrap().actor
    }

    async fn answer(f: &Fixture, actor: &Actor) -> CodeAnswer {
        f.clock.advance(span::minutes(2));
        let issued = f.request_as(actor, Purpose::CloseAccount, NUMBER).await.unwrap();
        CodeAnswer { challenge: ChallengeRef::Id(issued.id), code: f.last_code() }
    }

    #[tokio::test]
    async fn a_closed_account_has_no_sessions_number_or_identities_and_its_profiles_are_hidden() {
        let f = fixture();
        f.sign_in(NUMBER).await;
        f.clock.advance(span::minutes(2));
        let signed_in = f.sign_in_as(NUMBER, Some(Role::Doctor)).await;
        let actor = actor_of(&f, &signed_in).await;
        f.edit(|state| {
            state.patients[0].openids.insert("app".into(), json!("openid"));
            state.users[0].auth_data.insert("lc_weapp".into(), json!({ "openid": "openid" }));
        });
        f.accounts.close_own_account(&actor, None, origin()).await.unwrap();
        let state = f.state();
        assert!(state.sessions.iter().all(|row| row.revoked_at.is_some()));
        assert!(f.accounts.resolve(&signed_in.session.token).await.unwrap().is_none());
        assert!(state.users[0].is_closed() && state.users[0].phone.is_none() && state.users[0].auth_data.is_empty());
        assert!(
            state.patients[0].is_closed() && state.patients[0].phone.is_none() && state.patients[0].openids.is_empty()
        );
        assert!(state.doctors[0].is_closed() && state.doctors[0].phone.is_none());
        let event = state.audit.iter().find(|event| event.action == "account.close").unwrap();
        assert_eq!((&event.subject, &event.actor), (&actor.label(), &actor.label()));
        assert!(!event.detail.to_string().contains("139"), "numbers are not in the audit log");
        let told: Vec<_> = state.jobs.iter().filter(|job| job.kind == ACCOUNT_CLOSED).collect();
        let closed =
            ClosedAccount { user: Some(signed_in.user.id), patient: signed_in.patient, doctor: signed_in.doctor };
        assert_eq!(told.len(), 2, "at once, and once more for whatever was on its way");
        assert!(told.iter().all(|job| job.payload == json!(closed)));
        assert_eq!(told[1].run_at.since(told[0].run_at), LOOK_AGAIN_AFTER);
    }

    #[tokio::test]
    async fn whoever_has_the_number_begins_anew() {
        let f = fixture();
        let before = f.sign_in(NUMBER).await;
        f.accounts.close_own_account(&actor_of(&f, &before).await, None, origin()).await.unwrap();
        f.clock.advance(span::minutes(2));
        let after = f.sign_in(NUMBER).await;
        assert!(after.is_new);
        assert_ne!((after.user.id, after.patient), (before.user.id, before.patient));
        assert_eq!(after.user.username, NUMBER);
    }

    #[tokio::test]
    async fn a_session_that_began_beside_the_closure_is_worth_nothing() {
        let f = fixture();
        let signed_in = f.sign_in(NUMBER).await;
        f.accounts.close_own_account(&actor_of(&f, &signed_in).await, None, origin()).await.unwrap();
        f.edit(|state| state.sessions[0].revoked_at = None);
        assert!(f.accounts.resolve(&signed_in.session.token).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_older_sign_in_needs_a_code_to_the_own_number() {
        let f = fixture();
        let signed_in = f.sign_in(NUMBER).await;
        let actor = actor_of(&f, &signed_in).await;
        f.clock.advance(span::minutes(11));
        let refused = f.accounts.close_own_account(&actor, None, origin()).await;
        assert!(matches!(refused, Err(AccountError::ClosureUnproven)), "{:?}", refused.err().map(|e| e.to_string()));
        let mut wrong = answer(&f, &actor).await;
        wrong.code = other_code(&wrong.code);
        let refused = f.accounts.close_own_account(&actor, Some(wrong), origin()).await;
        assert!(matches!(refused, Err(AccountError::CodeNotAccepted)));
        assert!(!f.state().users[0].is_closed());
        let right = answer(&f, &actor).await;
        f.accounts.close_own_account(&actor, Some(right), origin()).await.unwrap();
        assert!(f.state().users[0].is_closed());
    }

    #[tokio::test]
    async fn a_sign_in_is_recent_for_ten_minutes() {
        let f = fixture();
        let actor = actor_of(&f, &f.sign_in(NUMBER).await).await;
        f.clock.advance(just_under(span::minutes(10)));
        f.accounts.close_own_account(&actor, None, origin()).await.unwrap();
    }

    #[tokio::test]
    async fn a_code_for_something_else_closes_nothing() {
        let f = fixture();
        let actor = actor_of(&f, &f.sign_in(NUMBER).await).await;
        f.clock.advance(span::minutes(2));
        let issued = f.request_as(&actor, Purpose::ConfirmOldPhone, NUMBER).await.unwrap();
        let answer = CodeAnswer { challenge: ChallengeRef::Id(issued.id), code: f.last_code() };
        let refused = f.accounts.close_own_account(&actor, Some(answer), origin()).await;
        assert!(matches!(refused, Err(AccountError::CodeNotAccepted)));
    }

    #[tokio::test]
    async fn an_administrator_closes_with_a_reason_and_twice_is_once() {
        let f = fixture();
        let patient = Person::Patient(f.sign_in(NUMBER).await.patient.unwrap());
        let admin = f.admin().await;
        let refused = f.accounts.close_account_of(&admin, patient, " ").await.unwrap_err();
        assert!(matches!(refused, AccountError::Invalid(faults) if faults[0].field == "reason"));
        for _ in 0..2 {
            f.accounts.close_account_of(&admin, patient, "本人申请").await.unwrap();
        }
        let state = f.state();
        assert!(state.users[0].is_closed() && state.patients[0].is_closed());
        let events: Vec<_> = state.audit.iter().filter(|event| event.action == "account.close").collect();
        assert_eq!((events.len(), &events[0].actor), (1, &admin.label()));
        assert_eq!(events[0].detail["reason"], json!("本人申请"));
    }

    #[tokio::test]
    async fn an_imported_profile_without_an_account_is_closed_alone() {
        let f = fixture();
        let id = DoctorId(f.ids.next_id());
        let phone = Some(NUMBER.parse().unwrap());
        f.edit(|state| state.doctors.push(Doctor { phone, ..Doctor::new(id, f.clock.now()) }));
        let admin = f.admin().await;
        f.accounts.close_account_of(&admin, Person::Doctor(id), "重复").await.unwrap();
        assert!(f.state().doctors[0].is_closed());
        let signed_in = f.sign_in_as(NUMBER, Some(Role::Doctor)).await;
        assert_ne!(signed_in.doctor, Some(id), "a hidden profile is not taken up again");
    }

    #[tokio::test]
    async fn nobody_closes_the_account_of_another() {
        let f = fixture();
        let patient = Person::Patient(f.sign_in(NUMBER).await.patient.unwrap());
        let stranger = actor_of(&f, &f.sign_in("13900000001").await).await;
        for actor in [stranger, Actor::App, Actor::Nobody, Actor::Integrator] {
            let refused = f.accounts.close_account_of(&actor, patient, "理由").await;
            assert!(matches!(refused, Err(AccountError::Access(_))), "{actor:?}");
        }
        for actor in [Actor::App, Actor::Nobody, f.admin().await] {
            let refused = f.accounts.close_own_account(&actor, None, origin()).await;
            assert!(matches!(refused, Err(AccountError::Access(_))), "{actor:?}");
        }
        assert!(f.state().users.iter().all(|user| !user.is_closed()));
    }
}
