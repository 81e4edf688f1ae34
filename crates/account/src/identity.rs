//! Identities that another provider has proven, in the shape LeanCloud keeps them in.

use domain::id::UserId;
use serde_json::{Map, Value, json};

use crate::AccountError;
use crate::sign_in::Role;
use crate::unit::AccountUnit;
use crate::user::{AuthIdentity, User, identities};

/// Provider of mini-program identities, as LeanCloud's clients name it.
pub const WEAPP: &str = "lc_weapp";
/// Provider of identities across the apps of one owner, when nobody says otherwise.
pub const WEIXIN_UNIONID: &str = "_weixin_unionid";

/// Who somebody is in a mini-program. No `Debug`: what the platform gives is personal.
#[derive(Clone, PartialEq, Eq)]
pub struct WeappSeat {
    /// Own name of the app.
    pub app: String,
    /// Whose app it is.
    pub audience: Role,
    pub openid: String,
    pub unionid: Option<String>,
}

/// An identity that has been proven to the provider. No `Debug`.
#[derive(Clone, PartialEq)]
pub struct ProvenIdentity {
    /// Per provider, in the shape it is kept in.
    pub auth_data: Map<String, Value>,
    /// The identities to find an account by; the first that has one decides.
    pub look_up: Vec<AuthIdentity>,
    /// Who the person is in the mini-program it came from.
    pub seat: Option<WeappSeat>,
}

impl ProvenIdentity {
    /// Somebody at a provider that gives an id and nothing else.
    pub fn of(provider: &str, uid: &str) -> Self {
        let auth_data = Map::from_iter([(provider.to_owned(), json!({ "id": uid }))]);
        Self { auth_data, look_up: vec![identity(provider, uid)], seat: None }
    }

    /// Somebody as a client describes them at a provider, taken at its word; found by `uid`, else `openid`, else `id`.
    /// `None` when it names none of these.
    pub fn claimed(provider: &str, data: &Map<String, Value>) -> Option<Self> {
        let auth_data = Map::from_iter([(provider.to_owned(), Value::Object(data.clone()))]);
        let look_up = identities(&auth_data);
        (!look_up.is_empty()).then_some(Self { auth_data, look_up, seat: None })
    }

    /// Somebody in a mini-program; found by the app's own id.
    pub fn of_weapp(seat: WeappSeat) -> Self {
        let mut own = Map::from_iter([("openid".to_owned(), json!(seat.openid))]);
        if let Some(unionid) = &seat.unionid {
            own.insert("unionid".to_owned(), json!(unionid));
        }
        let look_up = vec![identity(WEAPP, &seat.openid), identity(&own_provider(&seat.app), &seat.openid)];
        let auth_data = Map::from_iter([(WEAPP.to_owned(), Value::Object(own))]);
        Self { auth_data, look_up, seat: Some(seat) }
    }

    /// The same, known across the apps of one owner: before the app's own id (`comes_first`), or after it.
    #[must_use]
    pub fn across_apps(self, provider: &str, comes_first: bool) -> Self {
        match self.seat.as_ref().and_then(|seat| seat.unionid.clone()) {
            Some(unionid) => self.also_known_as(provider, &unionid, comes_first),
            None => self,
        }
    }

    /// The same, found by an id at another provider too: before its own (`comes_first`), or after it.
    #[must_use]
    pub fn also_known_as(mut self, provider: &str, uid: &str, comes_first: bool) -> Self {
        self.auth_data.insert(provider.to_owned(), json!({ "uid": uid }));
        let at = if comes_first { 0 } else { self.look_up.len() };
        self.look_up.insert(at, identity(provider, uid));
        self
    }

    /// The provider under which `user` keeps what is proven for `provider`: the common name for the first mini-program, a
    /// name of its own for each further one of the same person.
    fn kept_as(&self, provider: &str, user: &User) -> String {
        let held = |name: &str| user.auth_data.get(name).and_then(|data| data.get("openid"));
        match &self.seat {
            Some(seat) if provider == WEAPP => {
                let own = own_provider(&seat.app);
                let is_another = held(WEAPP).is_some_and(|openid| *openid != json!(seat.openid));
                if is_another || held(&own).is_some() { own } else { WEAPP.to_owned() }
            }
            _ => provider.to_owned(),
        }
    }
}

fn identity(provider: &str, uid: &str) -> AuthIdentity {
    AuthIdentity { provider: provider.to_owned(), uid: uid.to_owned() }
}

/// Provider of a further app's identities.
fn own_provider(app: &str) -> String {
    format!("{WEAPP}_{app}")
}

/// The account of an identity, if there is one.
pub(crate) async fn holder(unit: &mut dyn AccountUnit, proven: &ProvenIdentity) -> Result<Option<User>, AccountError> {
    for identity in &proven.look_up {
        if let Some(user) = unit.users().find_by_identity(identity).await? {
            return Ok(Some(user));
        }
    }
    Ok(None)
}

/// Writes an identity into an account that is not stored yet; what another account holds stays there.
pub(crate) async fn attach(
    unit: &mut dyn AccountUnit,
    user: &mut User,
    proven: &ProvenIdentity,
) -> Result<(), AccountError> {
    for (provider, data) in &proven.auth_data {
        let one = Map::from_iter([(proven.kept_as(provider, user), data.clone())]);
        if is_free(unit, &one, user.id).await? {
            user.auth_data.extend(one);
        }
    }
    Ok(())
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
    use rstest::rstest;

    use super::*;

    fn seat(unionid: Option<&str>) -> WeappSeat {
        let unionid = unionid.map(str::to_owned);
        WeappSeat { app: "patient".into(), audience: Role::Patient, openid: "o".into(), unionid }
    }

    #[rstest]
    #[case(None, true, &["lc_weapp=o", "lc_weapp_patient=o"])]
    #[case(Some("u"), false, &["lc_weapp=o", "lc_weapp_patient=o", "_weixin_unionid=u"])]
    #[case(Some("u"), true, &["_weixin_unionid=u", "lc_weapp=o", "lc_weapp_patient=o"])]
    fn people_are_found_across_apps(#[case] unionid: Option<&str>, #[case] first: bool, #[case] expected: &[&str]) {
        let proven = ProvenIdentity::of_weapp(seat(unionid)).across_apps(WEIXIN_UNIONID, first);
        let shown: Vec<String> = proven.look_up.iter().map(|i| format!("{}={}", i.provider, i.uid)).collect();
        assert_eq!(shown, expected);
        assert_eq!(proven.auth_data.contains_key(WEIXIN_UNIONID), unionid.is_some());
    }
}
