//! Giving an account a number, changing it, and confirming one that was only written down.

use std::time::Duration;

use domain::actor::{AccessError, UserActor};
use domain::sms::SmsRequest;
use domain::time::span;
use domain::{Actor, Phone};
use serde_json::json;

use crate::AccountError;
use crate::challenge::{ChallengeRef, Origin, Purpose};
use crate::codes::{CodeCheck, CodeVerdict};
use crate::service::Accounts;
use crate::session::SessionSubject;
use crate::unit::AccountUnit;
use crate::user::User;

/// The logical template of the notice to a number that was replaced; it has no variables.
const CHANGE_TEMPLATE: &str = "phone_changed";
/// A notice that could not leave for so long is not worth sending any more.
const USEFUL_FOR: Duration = span::hours(6);

/// An answer to one challenge.
#[derive(Clone)]
pub struct CodeAnswer {
    pub challenge: ChallengeRef,
    pub code: String,
}

/// A new number for the signed-in account.
#[derive(Clone)]
pub struct PhoneBinding {
    /// The answer to a code of purpose `BindPhone` sent to the new number.
    pub new: CodeAnswer,
    /// The answer to a code of purpose `ConfirmOldPhone`; needed when the account has a verified number and the
    /// sign-in is not recent.
    pub old: Option<CodeAnswer>,
    pub origin: Origin,
}

impl Accounts {
    /// Gives the signed-in account the number that the code was sent to, and its profiles with it.
    ///
    /// # Errors
    /// The errors of a code; [`AccountError::PhoneTaken`], [`AccountError::PhoneChangeUnproven`];
    /// [`AccountError::Access`] without a user's session.
    pub async fn bind_phone(&self, actor: &Actor, binding: PhoneBinding) -> Result<User, AccountError> {
        let caller = actor.require_user()?;
        let mut unit = self.store.begin().await?;
        let mut user = unit.users().find(caller.user).await?.ok_or(AccessError::Unauthenticated)?;
        let replaced = user.verified_phone().cloned();
        let had_number = replaced.is_some();
        if had_number && binding.old.is_none() && !self.is_fresh(unit.as_mut(), caller).await? {
            return Err(AccountError::PhoneChangeUnproven);
        }
        let PhoneBinding { new, old, origin } = binding;
        let mut answers = vec![(Purpose::BindPhone, new)];
        answers.extend(old.filter(|_| had_number).map(|answer| (Purpose::ConfirmOldPhone, answer)));
        let mut proven = Vec::new();
        for (purpose, CodeAnswer { challenge, code }) in answers {
            let check = CodeCheck { purpose, challenge, code, origin: origin.clone() };
            match self.check_code(unit.as_mut(), actor, &check).await? {
                CodeVerdict::Right(challenge) => proven.push(challenge.phone),
                CodeVerdict::Wrong(error) => {
                    unit.commit().await?;
                    return Err(error);
                }
            }
        }
        let mut proven = proven.into_iter();
        let phone = proven.next().ok_or(AccountError::CodeNotAccepted)?;
        if proven.next().is_some_and(|old| user.phone.as_ref() != Some(&old)) {
            return Err(AccountError::PhoneChangeUnproven);
        }
        if user.phone.as_ref() != Some(&phone) {
            self.release_unproven_phone(unit.as_mut(), &phone).await?;
        }
        let before = user.phone.replace(phone.clone());
        user.is_phone_verified = true;
        let user = self.save_user(unit.as_mut(), user).await?;
        self.carry_to_profiles(unit.as_mut(), &user, &phone).await?;
        let detail = json!({
            "from": before.map(|phone| self.keys.phone_index(&phone)),
            "to": self.keys.phone_index(&phone),
        });
        let event = self.audit_detail(actor.label(), "phone.bind", format!("user:{}", user.id), detail);
        unit.audit().append_all(&[event]).await?;
        self.commit_accepted(unit).await?;
        self.tell_replaced_number(replaced, &user).await;
        Ok(user)
    }

    /// Tells whoever holds a number that an account is not reached by it any more: somebody who took over a session must
    /// not be able to take the number away unnoticed. That the message cannot be sent changes nothing.
    pub(crate) async fn tell_replaced_number(&self, replaced: Option<Phone>, user: &User) {
        let Some(phone) = replaced.filter(|phone| user.phone.as_ref() != Some(phone)) else { return };
        let name = format!("phone_changed:{}", self.ids.next());
        let notice = SmsRequest {
            phone,
            template: CHANGE_TEMPLATE,
            params: Vec::new(),
            idempotency_key: name.clone(),
            thread: name,
            useful_until: self.clock.now() + USEFUL_FOR,
            origin: None,
        };
        if self.sms.send(notice).await.is_err() {
            tracing::warn!(user.id = %user.id, "the replaced number could not be told");
        }
    }

    /// Confirms the number that is written in the signed-in account.
    ///
    /// # Errors
    /// The errors of a code; [`AccountError::NoPhone`] when the number was changed meanwhile;
    /// [`AccountError::Access`] without a user's session.
    pub async fn verify_phone(&self, actor: &Actor, answer: CodeAnswer, origin: Origin) -> Result<User, AccountError> {
        let caller = actor.require_user()?;
        let mut unit = self.store.begin().await?;
        let CodeAnswer { challenge, code } = answer;
        let check = CodeCheck { purpose: Purpose::VerifyPhone, challenge, code, origin };
        let phone = match self.check_code(unit.as_mut(), actor, &check).await? {
            CodeVerdict::Right(challenge) => challenge.phone,
            CodeVerdict::Wrong(error) => {
                unit.commit().await?;
                return Err(error);
            }
        };
        let mut user = unit.users().find(caller.user).await?.ok_or(AccessError::Unauthenticated)?;
        if user.phone.as_ref() != Some(&phone) {
            return Err(AccountError::NoPhone);
        }
        user.is_phone_verified = true;
        let user = self.save_user(unit.as_mut(), user).await?;
        let event = self.audit_event(actor, "phone.verify", format!("user:{}", user.id));
        unit.audit().append_all(&[event]).await?;
        self.commit_accepted(unit).await?;
        Ok(user)
    }

    /// Writes a changed user; answers it as stored.
    pub(crate) async fn save_user(&self, unit: &mut dyn AccountUnit, mut user: User) -> Result<User, AccountError> {
        user.updated_at = self.clock.now();
        unit.users().update(&user).await?;
        user.version += 1;
        Ok(user)
    }

    /// Whether the caller's session began a short while ago.
    pub(crate) async fn is_fresh(&self, unit: &mut dyn AccountUnit, caller: &UserActor) -> Result<bool, AccountError> {
        let now = self.clock.now();
        let sessions = unit.sessions().list(SessionSubject::User(caller.user), now).await?;
        let current = sessions.iter().find(|session| session.id == caller.session);
        Ok(current.is_some_and(|session| now.since(session.created_at) <= self.settings.fresh_sign_in))
    }

    pub(crate) async fn carry_to_profiles(
        &self,
        unit: &mut dyn AccountUnit,
        user: &User,
        phone: &Phone,
    ) -> Result<(), AccountError> {
        let now = self.clock.now();
        if let Some(mut patient) = unit.patients().find_by_user(user.id).await? {
            patient.phone = Some(phone.clone());
            patient.updated_at = now;
            unit.patients().update(&patient).await?;
        }
        if let Some(mut doctor) = unit.doctors().find_by_user(user.id).await? {
            doctor.phone = Some(phone.clone());
            doctor.updated_at = now;
            unit.doctors().update(&doctor).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::memory::{Fixture, fixture, origin, other_code};

    const OLD: &str = "13900000000";
    const NEW: &str = "13900000009";

    async fn signed_in(f: &Fixture) -> Actor {
        let token = f.sign_in(OLD).await.session.token;
        f.clock.advance(span::minutes(2));
        f.accounts.resolve(&token).await.unwrap().unwrap().actor
    }

    async fn answer(f: &Fixture, actor: &Actor, purpose: Purpose, phone: &str) -> CodeAnswer {
        let issued = f.request_as(actor, purpose, phone).await.unwrap();
        CodeAnswer { challenge: ChallengeRef::Id(issued.id), code: f.last_code() }
    }

    #[tokio::test]
    async fn a_recent_sign_in_may_change_the_number_and_the_profile_follows() {
        let f = fixture();
        let actor = signed_in(&f).await;
        let new = answer(&f, &actor, Purpose::BindPhone, NEW).await;
        let user = f.accounts.bind_phone(&actor, PhoneBinding { new, old: None, origin: origin() }).await.unwrap();
        assert_eq!(user.verified_phone().unwrap().national(), NEW);
        let told = f.messages().pop().unwrap();
        assert_eq!((told.phone.national(), told.template, told.params.len()), (OLD, "phone_changed", 0));
        let state = f.state();
        assert_eq!(state.patients[0].phone.as_ref().unwrap().national(), NEW);
        assert_eq!(state.users[0], user);
        let audited = state.audit.iter().find(|e| e.action == "phone.bind").unwrap();
        assert!(!audited.detail.to_string().contains("139"), "numbers are not in the audit log");
    }

    #[tokio::test]
    async fn later_the_old_number_has_to_confirm() {
        let f = fixture();
        let actor = signed_in(&f).await;
        f.clock.advance(span::minutes(8) + Duration::from_millis(1));
        let new = answer(&f, &actor, Purpose::BindPhone, NEW).await;
        let bare = PhoneBinding { new: new.clone(), old: None, origin: origin() };
        let refused = f.accounts.bind_phone(&actor, bare).await.unwrap_err();
        assert!(matches!(refused, AccountError::PhoneChangeUnproven));
        let old = Some(answer(&f, &actor, Purpose::ConfirmOldPhone, OLD).await);
        let user = f.accounts.bind_phone(&actor, PhoneBinding { new, old, origin: origin() }).await.unwrap();
        assert_eq!(user.verified_phone().unwrap().national(), NEW);
    }

    #[tokio::test]
    async fn a_wrong_old_code_changes_nothing() {
        let f = fixture();
        let actor = signed_in(&f).await;
        let new = answer(&f, &actor, Purpose::BindPhone, NEW).await;
        let mut old = answer(&f, &actor, Purpose::ConfirmOldPhone, OLD).await;
        old.code = other_code(&old.code);
        let binding = PhoneBinding { new, old: Some(old), origin: origin() };
        assert!(matches!(f.accounts.bind_phone(&actor, binding).await, Err(AccountError::CodeNotAccepted)));
        assert_eq!(f.state().users[0].phone.as_ref().unwrap().national(), OLD);
    }

    #[tokio::test]
    async fn a_login_code_cannot_bind_a_number() {
        let f = fixture();
        let actor = signed_in(&f).await;
        let issued = f.request_as(&actor, Purpose::Login, NEW).await.unwrap();
        let new = CodeAnswer { challenge: ChallengeRef::Id(issued.id), code: f.last_code() };
        let binding = PhoneBinding { new, old: None, origin: origin() };
        assert!(matches!(f.accounts.bind_phone(&actor, binding).await, Err(AccountError::CodeNotAccepted)));
    }

    #[tokio::test]
    async fn a_code_asked_for_by_one_account_is_of_no_use_to_another() {
        let f = fixture();
        let actor = signed_in(&f).await;
        let new = answer(&f, &actor, Purpose::BindPhone, NEW).await;
        let other = f.sign_in("13900000005").await.session.token;
        let other = f.accounts.resolve(&other).await.unwrap().unwrap().actor;
        let binding = PhoneBinding { new, old: None, origin: origin() };
        assert!(matches!(f.accounts.bind_phone(&other, binding).await, Err(AccountError::CodeNotAccepted)));
    }

    #[tokio::test]
    async fn a_number_with_an_account_of_its_own_is_taken() {
        let f = fixture();
        f.sign_in(NEW).await;
        let actor = signed_in(&f).await;
        let new = answer(&f, &actor, Purpose::BindPhone, NEW).await;
        let binding = PhoneBinding { new, old: None, origin: origin() };
        assert!(matches!(f.accounts.bind_phone(&actor, binding).await, Err(AccountError::PhoneTaken)));
    }

    #[tokio::test]
    async fn a_number_that_was_only_written_down_can_be_verified() {
        let f = fixture();
        let actor = signed_in(&f).await;
        f.edit(|state| state.users[0].is_phone_verified = false);
        let code = answer(&f, &actor, Purpose::VerifyPhone, OLD).await;
        let user = f.accounts.verify_phone(&actor, code, origin()).await.unwrap();
        assert!(user.is_phone_verified);
        let foreign = f.request_as(&actor, Purpose::VerifyPhone, NEW).await.unwrap_err();
        assert!(matches!(foreign, AccountError::NoPhone), "such codes go to the own number only");
    }

    #[tokio::test]
    async fn binding_needs_a_session() {
        let f = fixture();
        let refused = f.request_as(&Actor::App, Purpose::BindPhone, NEW).await.unwrap_err();
        assert!(matches!(refused, AccountError::Access(AccessError::Unauthenticated)));
    }
}
