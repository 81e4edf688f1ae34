//! Users with passwords: those imported from LeanCloud, and whoever sets one.

use domain::actor::AccessError;
use domain::{Actor, Phone};

use crate::AccountError;
use crate::challenge::{Origin, Purpose};
use crate::codes::{CodeCheck, CodeVerdict, is_public};
use crate::counter::{GuardKey, GuardScope};
use crate::password::Password;
use crate::phone_binding::CodeAnswer;
use crate::service::Accounts;
use crate::session::{NewSession, SessionSubject};
use crate::sign_in::SignedIn;
use crate::user::User;

/// What somebody calls their account at a sign-in.
#[derive(Clone, PartialEq, Eq)]
pub enum UserName {
    Username(String),
    /// Counts only if the account has verified it.
    Phone(Phone),
    Email(String),
}

/// A sign-in with a password.
#[derive(Clone)]
pub struct PasswordSignIn {
    pub name: UserName,
    pub password: Password,
    pub device_label: Option<String>,
    pub origin: Origin,
}

impl Accounts {
    /// Signs a user in with a password. An imported hash is replaced by a modern one on the way.
    ///
    /// # Errors
    /// [`AccountError::SignInFailed`] for an unknown name and a wrong password alike;
    /// [`AccountError::SignInThrottled`].
    pub async fn sign_in_with_password(
        &self,
        actor: &Actor,
        request: PasswordSignIn,
    ) -> Result<SignedIn, AccountError> {
        actor.require(is_public(actor))?;
        let found = self.find_by_name(&request.name).await?;
        let guard = self.user_guard(found.as_ref(), &request.name);
        self.reserve_password_try(&guard, &self.settings.passwords.user_guard, &request.origin).await?;
        let stored = found.as_ref().and_then(|user| user.password.clone());
        let is_right = self.hasher.verify(request.password.clone(), stored.clone()).await?;
        let (user, stored) = found.zip(stored).filter(|_| is_right).ok_or(AccountError::SignInFailed)?;
        let renewed =
            if self.hasher.is_outdated(&stored) { Some(self.hasher.hash(request.password).await?) } else { None };

        let mut unit = self.store.begin().await?;
        self.clear_guard(unit.as_mut(), &guard).await?;
        // Read again: the password may have been changed while this one was checked.
        let current = unit.users().find(user.id).await?;
        let mut user =
            current.filter(|now| now.password.as_ref() == Some(&stored)).ok_or(AccountError::SignInFailed)?;
        if let Some(renewed) = renewed {
            user.password = Some(renewed);
            user = self.save_user(unit.as_mut(), user).await?;
        }
        let label = request.device_label.as_deref();
        let signed_in = self.open_user_session(unit.as_mut(), user, false, label, "password").await?;
        unit.commit().await?;
        Ok(signed_in)
    }

    /// Changes the caller's own password. All devices are signed out and a new session begins.
    ///
    /// # Errors
    /// [`AccountError::SignInFailed`] when the current password is wrong or there is none,
    /// [`AccountError::SignInThrottled`], [`AccountError::Invalid`]; [`AccountError::Access`] without a user's session.
    pub async fn change_user_password(
        &self,
        actor: &Actor,
        current: Password,
        new: &str,
        origin: &Origin,
    ) -> Result<NewSession, AccountError> {
        let id = actor.require_user()?.user;
        let new = Password::chosen_by_user("newPassword", new)?;
        let user = self.store.read().users().find(id).await?.ok_or(AccessError::Unauthenticated)?;
        let guard = self.user_guard(Some(&user), &UserName::Username(user.username.clone()));
        self.reserve_password_try(&guard, &self.settings.passwords.user_guard, origin).await?;
        if !self.hasher.verify(current, user.password.clone()).await? {
            return Err(AccountError::SignInFailed);
        }
        let password = Some(self.hasher.hash(new).await?);
        let subject = SessionSubject::User(id);
        let mut unit = self.store.begin().await?;
        self.clear_guard(unit.as_mut(), &guard).await?;
        self.save_user(unit.as_mut(), User { password, ..user }).await?;
        unit.sessions().revoke_all(subject, None, self.clock.now()).await?;
        let session = self.begin_session(unit.as_mut(), subject, None).await?;
        unit.audit().append_all(&[self.audit_event(actor, "user.change_password", format!("user:{id}"))]).await?;
        unit.commit().await?;
        Ok(session)
    }

    /// Sets a new password with a code of purpose `ResetPassword`, and signs all devices out. A number without
    /// an account answers like a wrong code.
    ///
    /// # Errors
    /// The errors of a code; [`AccountError::SignInThrottled`] for too many of one address;
    /// [`AccountError::Invalid`]; [`AccountError::Access`] for staff.
    pub async fn reset_user_password(
        &self,
        actor: &Actor,
        answer: CodeAnswer,
        new: &str,
        origin: Origin,
    ) -> Result<(), AccountError> {
        actor.require(is_public(actor))?;
        let new = Password::chosen_by_user("password", new)?;
        let mut unit = self.store.begin().await?;
        self.count_password_address(unit.as_mut(), &origin).await?;
        unit.commit().await?;
        let password = Some(self.hasher.hash(new).await?);

        let mut unit = self.store.begin().await?;
        let CodeAnswer { challenge, code } = answer;
        let check = CodeCheck { purpose: Purpose::ResetPassword, challenge, code, origin };
        let proven = self.check_code(unit.as_mut(), actor, &check).await?;
        let user = match proven {
            CodeVerdict::Right(challenge) => {
                let found = unit.users().find_by_phone(&challenge.phone).await?;
                found.filter(|user| user.is_phone_verified).ok_or(AccountError::CodeNotAccepted)
            }
            CodeVerdict::Wrong(error) => Err(error),
        };
        let user = match user {
            Ok(user) => user,
            Err(error) => {
                unit.commit().await?;
                return Err(error);
            }
        };
        let id = user.id;
        self.save_user(unit.as_mut(), User { password, ..user }).await?;
        unit.sessions().revoke_all(SessionSubject::User(id), None, self.clock.now()).await?;
        let event = self.audit_event(actor, "user.reset_password", format!("user:{id}"));
        unit.audit().append_all(&[event]).await?;
        self.commit_accepted(unit).await
    }

    async fn find_by_name(&self, name: &UserName) -> Result<Option<User>, AccountError> {
        let mut unit = self.store.read();
        let users = unit.users();
        Ok(match name {
            UserName::Username(name) => users.find_by_username(name).await?,
            UserName::Phone(phone) => users.find_by_phone(phone).await?.filter(|user| user.is_phone_verified),
            UserName::Email(email) => users.find_by_email(email).await?,
        })
    }

    /// One guard per account, whatever it is called; names without an account have one as well.
    fn user_guard(&self, user: Option<&User>, name: &UserName) -> GuardKey {
        let subject = match (user, name) {
            (Some(user), _) => self.keys.index_of("user", &user.id.to_string()),
            (None, UserName::Username(text) | UserName::Email(text)) => self.keys.index_of("name", text),
            (None, UserName::Phone(phone)) => self.keys.phone_index(phone),
        };
        GuardKey { scope: GuardScope::User, subject }
    }
}

#[cfg(test)]
mod tests {
    use domain::time::span;

    use super::*;
    use crate::challenge::ChallengeRef;
    use crate::memory::{Fixture, fixture, origin};
    use crate::password::StoredPassword;

    const PHONE: &str = "13900000000";
    const LC_SALT: &str = "h60d8x797d3oa0naxybxxv9bn7xpt2yiowz68mpiwou7gwr2";
    const LC_HASH: &str = "tA7BLW+NK0UeARng0693gCaVnljkglCB9snqlpCSUKjx2RgYp8VZZOQt0S5iUtlDrkJXfT3gknS4rRqjYsd/Ug==";

    /// A user as imported, whose password is `password`.
    async fn imported(f: &Fixture) -> SignedIn {
        let signed = f.sign_in(PHONE).await;
        let password = StoredPassword::from_leancloud(LC_SALT, LC_HASH).unwrap();
        f.edit(|state| state.users[0].password = Some(password));
        f.clock.advance(span::minutes(2));
        signed
    }

    async fn sign_in(f: &Fixture, name: UserName, password: &str) -> Result<SignedIn, AccountError> {
        let password = Password::typed(password);
        let request = PasswordSignIn { name, password, device_label: None, origin: origin() };
        f.accounts.sign_in_with_password(&Actor::App, request).await
    }

    fn by_phone() -> UserName {
        UserName::Phone(PHONE.parse().unwrap())
    }

    #[tokio::test]
    async fn an_imported_password_signs_in_and_is_hashed_anew() {
        let f = fixture();
        let user = imported(&f).await.user;
        let signed = sign_in(&f, UserName::Username(PHONE.into()), "password").await.unwrap();
        assert_eq!(signed.user.id, user.id);
        assert!(f.accounts.resolve(&signed.session.token).await.unwrap().is_some());
        let stored = f.state().users[0].password.clone().unwrap();
        assert!(stored.as_stored().starts_with("$argon2id$"));
        assert!(sign_in(&f, by_phone(), "password").await.is_ok(), "and still signs in");
    }

    #[tokio::test]
    async fn unknown_names_wrong_passwords_and_missing_passwords_look_alike() {
        let f = fixture();
        imported(&f).await;
        f.sign_in("13900000001").await;
        for (name, password) in [(PHONE, "wrong"), ("nobody", "password"), ("13900000001", "password")] {
            let refused = sign_in(&f, UserName::Username(name.into()), password).await;
            assert!(matches!(refused, Err(AccountError::SignInFailed)), "{name}");
        }
    }

    #[tokio::test]
    async fn seven_failures_lock_all_names_of_one_account() {
        let f = fixture();
        imported(&f).await;
        for i in 0..7 {
            let name = if i % 2 == 0 { by_phone() } else { UserName::Username(PHONE.into()) };
            assert!(matches!(sign_in(&f, name, "wrong").await, Err(AccountError::SignInFailed)));
        }
        assert!(matches!(sign_in(&f, by_phone(), "password").await, Err(AccountError::SignInThrottled { .. })));
        f.clock.advance(span::minutes(15));
        assert!(sign_in(&f, by_phone(), "password").await.is_ok());
    }

    #[tokio::test]
    async fn an_unverified_number_is_not_a_name() {
        let f = fixture();
        imported(&f).await;
        f.edit(|state| state.users[0].is_phone_verified = false);
        assert!(matches!(sign_in(&f, by_phone(), "password").await, Err(AccountError::SignInFailed)));
    }

    #[tokio::test]
    async fn changing_the_password_ends_all_sessions_but_the_new_one() {
        let f = fixture();
        let before = imported(&f).await.session.token;
        let actor = f.accounts.resolve(&before).await.unwrap().unwrap().actor;
        let change = |current: &str| {
            let (f, actor, current) = (&f, &actor, Password::typed(current));
            async move { f.accounts.change_user_password(actor, current, "a new password", &origin()).await }
        };
        assert!(matches!(change("wrong").await, Err(AccountError::SignInFailed)));
        let after = change("password").await.unwrap().token;
        assert!(f.accounts.resolve(&before).await.unwrap().is_none());
        assert!(f.accounts.resolve(&after).await.unwrap().is_some());
        assert!(sign_in(&f, by_phone(), "a new password").await.is_ok());
    }

    #[tokio::test]
    async fn a_code_resets_the_password_and_ends_all_sessions() {
        let f = fixture();
        let before = imported(&f).await.session.token;
        let issued = f.request_as(&Actor::App, Purpose::ResetPassword, PHONE).await.unwrap();
        let answer = CodeAnswer { challenge: ChallengeRef::Id(issued.id), code: f.last_code() };
        let reset = f.accounts.reset_user_password(&Actor::App, answer.clone(), "a new password", origin());
        reset.await.unwrap();
        assert!(f.accounts.resolve(&before).await.unwrap().is_none());
        assert!(sign_in(&f, by_phone(), "a new password").await.is_ok());
        let again = f.accounts.reset_user_password(&Actor::App, answer, "another password", origin()).await;
        assert!(matches!(again, Err(AccountError::CodeNotAccepted)), "a code is used once");
    }

    #[tokio::test]
    async fn a_number_without_an_account_gets_a_code_and_then_the_answer_of_a_wrong_one() {
        let f = fixture();
        let issued = f.request_as(&Actor::App, Purpose::ResetPassword, "13900000007").await.unwrap();
        let answer = CodeAnswer { challenge: ChallengeRef::Id(issued.id), code: f.last_code() };
        let refused = f.accounts.reset_user_password(&Actor::App, answer, "a new password", origin()).await;
        assert!(matches!(refused, Err(AccountError::CodeNotAccepted)));
    }
}
