//! Accounts with a name of their own choosing, and what people change of theirs.

use domain::actor::AccessError;
use domain::id::UserId;
use domain::{Actor, Patch, Phone};
use serde_json::{Map, Value, json};

use crate::AccountError;
use crate::challenge::Origin;
use crate::codes::is_public;
use crate::identity::{self, ProvenIdentity};
use crate::password::Password;
use crate::service::Accounts;
use crate::sign_in::SignedIn;
use crate::unit::AccountUnit;
use crate::user::User;

/// An account somebody wants to have.
#[derive(Clone)]
pub struct SignUp {
    pub username: String,
    /// Checked by [`Password::chosen_by_user`].
    pub password: Password,
    pub email: Option<String>,
    /// Not proven yet.
    pub phone: Option<Phone>,
    pub extra: Map<String, Value>,
    pub origin: Origin,
}

/// What changes of an account.
#[derive(Clone, Default)]
pub struct AccountChange {
    pub username: Option<String>,
    pub email: Patch<String>,
    /// A number that is merely written down; one that was proven stays.
    pub phone: Patch<Phone>,
    /// A first password. One that is set changes with the old one.
    pub password: Option<Password>,
    pub link: Vec<ProvenIdentity>,
    /// Providers whose identities go.
    pub unlink: Vec<String>,
    /// Replaces all fields the product does not model.
    pub extra: Option<Map<String, Value>>,
    pub acl: Patch<Value>,
}

impl Accounts {
    /// Makes an account with name and password, and signs in to it.
    ///
    /// # Errors
    /// [`AccountError::UserNameTaken`], [`AccountError::EmailTaken`], [`AccountError::PhoneTaken`],
    /// [`AccountError::SignInThrottled`]; [`AccountError::Access`] for staff.
    pub async fn sign_up(&self, actor: &Actor, new: SignUp) -> Result<SignedIn, AccountError> {
        actor.require(is_public(actor))?;
        let mut unit = self.store.begin().await?;
        self.count_password_address(unit.as_mut(), &new.origin).await?;
        unit.commit().await?;
        let password = self.hasher.hash(new.password).await?;

        let mut unit = self.store.begin().await?;
        let mut user = User::new(UserId(self.ids.next()), new.username, self.clock.now());
        user.password = Some(password);
        user.email = new.email;
        user.phone = new.phone;
        user.extra = new.extra;
        check_free(unit.as_mut(), &user).await?;
        unit.users().insert(&user).await?;
        let signed_in = self.open_user_session(unit.as_mut(), user, true, None, "sign_up").await?;
        unit.commit().await?;
        Ok(signed_in)
    }

    /// An account, for its owner and integrators.
    ///
    /// # Errors
    /// [`AccountError::Access`] for anybody else, and when there is none.
    pub async fn account(&self, actor: &Actor, id: UserId) -> Result<User, AccountError> {
        require_owner(actor, id)?;
        let found = self.store.read().users().find(id).await?;
        Ok(found.ok_or(AccessError::Hidden)?)
    }

    /// Changes an account, for its owner and integrators.
    ///
    /// # Errors
    /// [`AccountError::UserNameTaken`], [`AccountError::EmailTaken`], [`AccountError::PhoneTaken`],
    /// [`AccountError::PhoneChangeUnproven`], [`AccountError::IdentityTaken`], [`AccountError::PasswordSet`],
    /// [`AccountError::Conflict`]; [`AccountError::Access`] for anybody else.
    pub async fn change_account(&self, actor: &Actor, id: UserId, change: AccountChange) -> Result<User, AccountError> {
        require_owner(actor, id)?;
        let password = match change.password {
            Some(password) => Some(self.hasher.hash(password).await?),
            None => None,
        };
        let mut unit = self.store.begin().await?;
        let mut user = unit.users().find(id).await?.ok_or(AccessError::Hidden)?;
        if let Some(username) = change.username {
            user.username = username;
        }
        let email = user.email.clone();
        change.email.apply(&mut user.email);
        user.is_email_verified &= email == user.email;
        change_phone(&mut user, change.phone, actor)?;
        if let Some(password) = password {
            if user.password.is_some() && !actor.is_trusted() {
                return Err(AccountError::PasswordSet);
            }
            user.password = Some(password);
        }
        for provider in &change.unlink {
            user.auth_data.remove(provider);
        }
        for identity in &change.link {
            identity::require_free(unit.as_mut(), identity, id).await?;
            identity::attach(unit.as_mut(), &mut user, identity).await?;
        }
        if let Some(extra) = change.extra {
            user.extra = extra;
        }
        change.acl.apply(&mut user.acl);
        check_free(unit.as_mut(), &user).await?;
        let user = self.save_user(unit.as_mut(), user).await?;
        let linked: Vec<&String> = change.link.iter().flat_map(|identity| identity.auth_data.keys()).collect();
        let detail = json!({ "linked": linked, "unlinked": change.unlink });
        let event = self.audit_detail(actor.label(), "user.change", format!("user:{id}"), detail);
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        Ok(user)
    }
}

fn require_owner(actor: &Actor, id: UserId) -> Result<(), AccessError> {
    let is_own = matches!(actor, Actor::User(user) if user.user == id);
    actor.require(is_own || actor.is_trusted())
}

/// A proven number is given up only for another proven one.
fn change_phone(user: &mut User, phone: Patch<Phone>, actor: &Actor) -> Result<(), AccountError> {
    let before = user.phone.clone();
    phone.apply(&mut user.phone);
    if before == user.phone {
        return Ok(());
    }
    if user.is_phone_verified && before.is_some() && !actor.is_trusted() {
        return Err(AccountError::PhoneChangeUnproven);
    }
    user.is_phone_verified = false;
    Ok(())
}

/// Name, e-mail and number are nobody else's.
async fn check_free(unit: &mut dyn AccountUnit, user: &User) -> Result<(), AccountError> {
    let is_other = |found: Option<User>| found.is_some_and(|found| found.id != user.id);
    if is_other(unit.users().find_by_username(&user.username).await?) {
        return Err(AccountError::UserNameTaken);
    }
    if let Some(email) = &user.email
        && is_other(unit.users().find_by_email(email).await?)
    {
        return Err(AccountError::EmailTaken);
    }
    if let Some(phone) = &user.phone
        && is_other(unit.users().find_by_phone(phone).await?)
    {
        return Err(AccountError::PhoneTaken);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Fixture, fixture, origin};
    use crate::user_password::{PasswordSignIn, UserName};

    const PASSWORD: &str = "a long password";

    async fn sign_up(f: &Fixture, username: &str, phone: Option<&str>) -> Result<SignedIn, AccountError> {
        let new = SignUp {
            username: username.into(),
            password: Password::chosen("password", PASSWORD).unwrap(),
            email: None,
            phone: phone.map(|phone| phone.parse().unwrap()),
            extra: Map::new(),
            origin: origin(),
        };
        f.accounts.sign_up(&Actor::App, new).await
    }

    async fn actor(f: &Fixture, signed: &SignedIn) -> Actor {
        f.accounts.resolve(&signed.session.token).await.unwrap().unwrap().actor
    }

    #[tokio::test]
    async fn a_new_account_is_signed_in_and_its_password_works() {
        let f = fixture();
        let signed = sign_up(&f, "alice", None).await.unwrap();
        assert!(signed.is_new);
        let again = PasswordSignIn {
            name: UserName::Username("alice".into()),
            password: Password::typed(PASSWORD),
            device_label: None,
            origin: origin(),
        };
        assert_eq!(f.accounts.sign_in_with_password(&Actor::App, again).await.unwrap().user.id, signed.user.id);
    }

    #[tokio::test]
    async fn names_and_numbers_of_others_are_refused() {
        let f = fixture();
        f.sign_in("13900000000").await;
        sign_up(&f, "alice", None).await.unwrap();
        assert!(matches!(sign_up(&f, "alice", None).await, Err(AccountError::UserNameTaken)));
        assert!(matches!(sign_up(&f, "bob", Some("13900000000")).await, Err(AccountError::PhoneTaken)));
        let bob = sign_up(&f, "bob", None).await.unwrap();
        let change = AccountChange { username: Some("alice".into()), ..AccountChange::default() };
        let refused = f.accounts.change_account(&actor(&f, &bob).await, bob.user.id, change).await;
        assert!(matches!(refused, Err(AccountError::UserNameTaken)));
    }

    #[tokio::test]
    async fn nobody_changes_or_reads_the_account_of_another() {
        let f = fixture();
        let alice = sign_up(&f, "alice", None).await.unwrap();
        let bob = actor(&f, &sign_up(&f, "bob", None).await.unwrap()).await;
        for stranger in [bob, Actor::App, Actor::Nobody] {
            let change = AccountChange { username: Some("mine".into()), ..AccountChange::default() };
            assert!(f.accounts.change_account(&stranger, alice.user.id, change).await.is_err());
            assert!(f.accounts.account(&stranger, alice.user.id).await.is_err());
        }
        assert!(f.accounts.account(&Actor::Integrator, alice.user.id).await.is_ok());
    }

    #[tokio::test]
    async fn a_proven_number_is_not_given_up_for_one_written_down() {
        let f = fixture();
        let signed = f.sign_in("13900000000").await;
        let actor = actor(&f, &signed).await;
        for phone in [Patch::Set("13900000001".parse().unwrap()), Patch::Null] {
            let change = AccountChange { phone, ..AccountChange::default() };
            let refused = f.accounts.change_account(&actor, signed.user.id, change).await;
            assert!(matches!(refused, Err(AccountError::PhoneChangeUnproven)));
        }
        let same = AccountChange { phone: Patch::Set("13900000000".parse().unwrap()), ..AccountChange::default() };
        assert!(f.accounts.change_account(&actor, signed.user.id, same).await.unwrap().is_phone_verified);
    }

    #[tokio::test]
    async fn a_password_that_is_set_is_not_overwritten() {
        let f = fixture();
        let signed = sign_up(&f, "alice", None).await.unwrap();
        let password = || Some(Password::chosen("password", "another password").unwrap());
        let change = AccountChange { password: password(), ..AccountChange::default() };
        let refused = f.accounts.change_account(&actor(&f, &signed).await, signed.user.id, change).await;
        assert!(matches!(refused, Err(AccountError::PasswordSet)));
        let first = f.sign_in("13900000000").await;
        let change = AccountChange { password: password(), ..AccountChange::default() };
        f.accounts.change_account(&actor(&f, &first).await, first.user.id, change).await.unwrap();
    }
}
