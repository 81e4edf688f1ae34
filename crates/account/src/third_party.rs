//! Signing in by an identity at another provider, which somebody else has checked.

use domain::Actor;
use domain::id::UserId;
use serde_json::{Map, Value};

use crate::AccountError;
use crate::codes::is_public;
use crate::service::Accounts;
use crate::sign_in::SignedIn;
use crate::unit::AccountUnit;
use crate::user::{AuthIdentity, User, identities};

/// Random characters of a user name nobody chose.
const USERNAME_CHARS: usize = 25;

/// An identity that has been proven to the provider. No `Debug`: what providers give is personal.
#[derive(Clone, PartialEq)]
pub struct ProvenIdentity {
    /// Per provider, in the shape it is kept in.
    pub auth_data: Map<String, Value>,
    /// The identities to find an account by; the first that has one decides.
    pub look_up: Vec<AuthIdentity>,
}

impl Accounts {
    /// Signs in by an identity; makes the account where that is wanted. `None` when there is none.
    ///
    /// # Errors
    /// [`AccountError::Conflict`] when two sign-ins of a new identity meet; [`AccountError::Access`] for staff.
    pub async fn sign_in_with_third_party(
        &self,
        actor: &Actor,
        proven: ProvenIdentity,
        makes_account: bool,
    ) -> Result<Option<SignedIn>, AccountError> {
        actor.require(is_public(actor))?;
        let mut unit = self.store.begin().await?;
        let found = find(unit.as_mut(), &proven).await?;
        let (user, is_new) = match found {
            Some(mut user) => {
                // What another account holds stays there.
                for (provider, data) in proven.auth_data {
                    let one = Map::from_iter([(provider, data)]);
                    let is_free = is_free(unit.as_mut(), &one, user.id).await?;
                    user.auth_data.extend(one.into_iter().filter(|_| is_free));
                }
                (self.save_user(unit.as_mut(), user).await?, false)
            }
            None if makes_account => {
                let name = self.random.base62(USERNAME_CHARS).to_lowercase();
                let mut user = User::new(UserId(self.ids.next()), name, self.clock.now());
                user.auth_data = proven.auth_data;
                unit.users().insert(&user).await?;
                (user, true)
            }
            None => return Ok(None),
        };
        let signed_in = self.open_user_session(unit.as_mut(), user, is_new, None, "identity").await?;
        unit.commit().await?;
        Ok(Some(signed_in))
    }
}

async fn find(unit: &mut dyn AccountUnit, proven: &ProvenIdentity) -> Result<Option<User>, AccountError> {
    for identity in &proven.look_up {
        if let Some(user) = unit.users().find_by_identity(identity).await? {
            return Ok(Some(user));
        }
    }
    Ok(None)
}

async fn is_free(unit: &mut dyn AccountUnit, data: &Map<String, Value>, user: UserId) -> Result<bool, AccountError> {
    for identity in identities(data) {
        if unit.users().find_by_identity(&identity).await?.is_some_and(|found| found.id != user) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Nobody else has this identity.
pub(crate) async fn require_free(
    unit: &mut dyn AccountUnit,
    proven: &ProvenIdentity,
    user: UserId,
) -> Result<(), AccountError> {
    if is_free(unit, &proven.auth_data, user).await? { Ok(()) } else { Err(AccountError::IdentityTaken) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::memory::{Fixture, fixture};
    use crate::own_account::AccountChange;

    fn weapp(openid: &str, unionid: Option<&str>) -> ProvenIdentity {
        let mut auth_data = Map::from_iter([("lc_weapp".to_owned(), json!({ "openid": openid }))]);
        let mut look_up = vec![AuthIdentity { provider: "lc_weapp".into(), uid: openid.into() }];
        if let Some(uid) = unionid {
            auth_data.insert("_weixin_unionid".into(), json!({ "uid": uid }));
            look_up.insert(0, AuthIdentity { provider: "_weixin_unionid".into(), uid: uid.into() });
        }
        ProvenIdentity { auth_data, look_up }
    }

    async fn sign_in(f: &Fixture, proven: ProvenIdentity) -> SignedIn {
        f.accounts.sign_in_with_third_party(&Actor::App, proven, true).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn the_same_identity_is_the_same_account() {
        let f = fixture();
        let first = sign_in(&f, weapp("o1", None)).await;
        assert!(first.is_new && first.user.username.len() == USERNAME_CHARS);
        let again = sign_in(&f, weapp("o1", None)).await;
        assert_eq!((again.is_new, again.user.id), (false, first.user.id));
        assert_ne!(sign_in(&f, weapp("o2", None)).await.user.id, first.user.id);
    }

    #[tokio::test]
    async fn a_person_is_found_by_unionid_across_apps() {
        let f = fixture();
        let first = sign_in(&f, weapp("o1", Some("u1"))).await;
        let other_app = sign_in(&f, weapp("o2", Some("u1"))).await;
        assert_eq!(other_app.user.id, first.user.id);
    }

    #[tokio::test]
    async fn without_leave_no_account_is_made() {
        let f = fixture();
        let found = f.accounts.sign_in_with_third_party(&Actor::App, weapp("o1", None), false).await.unwrap();
        assert!(found.is_none() && f.state().users.is_empty());
    }

    #[tokio::test]
    async fn an_identity_is_linked_once_and_can_be_given_up() {
        let f = fixture();
        let holder = sign_in(&f, weapp("o1", None)).await;
        let other = f.sign_in("13900000000").await;
        let actor = f.accounts.resolve(&other.session.token).await.unwrap().unwrap().actor;
        let link = |openid: &str| AccountChange { link: vec![weapp(openid, None)], ..AccountChange::default() };
        let taken = f.accounts.change_account(&actor, other.user.id, link("o1")).await;
        assert!(matches!(taken, Err(AccountError::IdentityTaken)));
        f.accounts.change_account(&actor, other.user.id, link("o2")).await.unwrap();
        assert_eq!(sign_in(&f, weapp("o2", None)).await.user.id, other.user.id);
        let unlink = AccountChange { unlink: vec!["lc_weapp".into()], ..AccountChange::default() };
        f.accounts.change_account(&actor, other.user.id, unlink).await.unwrap();
        assert!(sign_in(&f, weapp("o2", None)).await.is_new);
        assert_eq!(sign_in(&f, weapp("o1", None)).await.user.id, holder.user.id);
    }
}
