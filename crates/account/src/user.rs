//! The account a person signs in with (`_User` on LeanCloud).

use async_trait::async_trait;
use domain::id::UserId;
use domain::{Phone, StoreError, Timestamp};
use serde_json::{Map, Value};

use crate::password::StoredPassword;

/// A sign-in account. Patients and doctors are profiles linked to it. `Debug` shows only id and version.
#[derive(Clone, PartialEq)]
pub struct User {
    pub id: UserId,
    /// Unique. The national phone number for accounts made by a text message.
    pub username: String,
    /// Unique where set.
    pub email: Option<String>,
    /// Unique where set.
    pub phone: Option<Phone>,
    pub is_phone_verified: bool,
    pub is_email_verified: bool,
    pub password: Option<StoredPassword>,
    /// Third-party identities per provider, in LeanCloud's shape.
    pub auth_data: Map<String, Value>,
    /// LeanCloud's `ACL`, kept as it came.
    pub acl: Option<Value>,
    /// Imported fields this product does not model, under their wire names.
    pub extra: Map<String, Value>,
    /// When the account was closed: nobody signs in to it any more.
    pub closed_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows by one with every write; a write names the version it read.
    pub version: i64,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("version", &self.version).finish_non_exhaustive()
    }
}

impl User {
    /// A new account with nothing but its name.
    pub fn new(id: UserId, username: impl Into<String>, now: Timestamp) -> Self {
        Self {
            id,
            username: username.into(),
            email: None,
            phone: None,
            is_phone_verified: false,
            is_email_verified: false,
            password: None,
            auth_data: Map::new(),
            acl: None,
            extra: Map::new(),
            closed_at: None,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    pub const fn is_closed(&self) -> bool {
        self.closed_at.is_some()
    }

    /// Ends the account: every name and identity it is found by is free for another one.
    pub fn close(&mut self, now: Timestamp) {
        self.username = format!("closed-{}", self.id);
        (self.email, self.phone, self.password) = (None, None, None);
        (self.is_phone_verified, self.is_email_verified) = (false, false);
        self.auth_data.clear();
        self.closed_at = Some(now);
    }

    /// The number, if this person has shown that it is theirs.
    pub fn verified_phone(&self) -> Option<&Phone> {
        self.phone.as_ref().filter(|_| self.is_phone_verified)
    }
}

/// An identity at another provider, by which a user can be found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthIdentity {
    pub provider: String,
    pub uid: String,
}

/// The identities in `authData`: of each provider `uid`, else `openid`, else `id`, as LeanCloud looks them up.
pub fn identities(auth_data: &Map<String, Value>) -> Vec<AuthIdentity> {
    let uid_of = |data: &Value| {
        let value = ["uid", "openid", "id"].into_iter().find_map(|name| data.get(name).filter(|v| !v.is_null()))?;
        match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    };
    let identity =
        |(provider, data): (&String, &Value)| uid_of(data).map(|uid| AuthIdentity { provider: provider.clone(), uid });
    auth_data.iter().filter_map(identity).collect()
}

/// Stores users. Breaking a unique rule (name, e-mail, phone, identity) is [`StoreError::Unique`].
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait UserRepository: Send {
    async fn find(&mut self, id: UserId) -> Result<Option<User>, StoreError>;
    async fn find_by_phone(&mut self, phone: &Phone) -> Result<Option<User>, StoreError>;
    async fn find_by_username(&mut self, username: &str) -> Result<Option<User>, StoreError>;
    async fn find_by_email(&mut self, email: &str) -> Result<Option<User>, StoreError>;
    /// The user whose [`identities`] hold this one.
    async fn find_by_identity(&mut self, identity: &AuthIdentity) -> Result<Option<User>, StoreError>;
    async fn insert(&mut self, user: &User) -> Result<(), StoreError>;
    /// Writes the user if its version is still the one read, and bumps it; else [`StoreError::Conflict`].
    async fn update(&mut self, user: &User) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use domain::ObjectId;
    use serde_json::json;

    use super::*;

    #[test]
    fn identities_prefer_uid_then_openid_then_id() {
        let data = json!({
            "_weixin_unionid": {"uid": "u1"},
            "lc_weapp": {"openid": "o1", "session_key": "secret"},
            "weibo": {"id": 42},
            "both": {"uid": null, "openid": "o2"},
            "empty": {"openid": ""},
            "broken": "text",
        });
        let found = identities(data.as_object().unwrap());
        let shown: Vec<_> = found.iter().map(|i| format!("{}={}", i.provider, i.uid)).collect();
        assert_eq!(shown, ["_weixin_unionid=u1", "both=o2", "lc_weapp=o1", "weibo=42"]);
    }

    #[test]
    fn nothing_finds_a_closed_account() {
        let mut user = User::new(UserId(ObjectId::from_parts(1, [0; 5], 1)), "13900000000", Timestamp::EPOCH);
        user.auth_data = json!({"lc_weapp": {"openid": "o"}}).as_object().unwrap().clone();
        (user.phone, user.is_phone_verified) = (Some("13900000000".parse().unwrap()), true);
        (user.email, user.is_email_verified) = (Some("a@example.com".into()), true);
        user.close(Timestamp::EPOCH);
        assert_eq!(user.username, format!("closed-{}", user.id));
        assert!(user.is_closed() && user.phone.is_none() && user.email.is_none() && user.password.is_none());
        assert!(identities(&user.auth_data).is_empty() && user.verified_phone().is_none() && !user.is_email_verified);
    }

    #[test]
    fn debug_shows_no_personal_data() {
        let mut user = User::new(UserId(ObjectId::from_parts(1, [0; 5], 1)), "13900000000", Timestamp::EPOCH);
        user.auth_data = json!({"lc_weapp": {"session_key": "secret"}}).as_object().unwrap().clone();
        let shown = format!("{user:?}");
        assert!(!shown.contains("139") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn an_unproven_number_is_not_a_verified_phone() {
        let mut user = User::new(UserId(ObjectId::from_parts(1, [0; 5], 1)), "a", Timestamp::EPOCH);
        user.phone = Some("13900000000".parse().unwrap());
        assert_eq!(user.verified_phone(), None);
        user.is_phone_verified = true;
        assert!(user.verified_phone().is_some());
    }
}
