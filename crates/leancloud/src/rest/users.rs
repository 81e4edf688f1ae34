//! `_User`: signing up and in, and what people change of their accounts.

use account::AccountError;
use account::challenge::ChallengeRef;
use account::identity::{ProvenIdentity, WEAPP, WeappSeat};
use account::identity_sign_in::IdentitySignIn;
use account::own_account::{AccountChange, SignUp};
use account::password::Password;
use account::profile::Me;
use account::sign_in::{SignedIn, SmsSignIn};
use account::user::User;
use account::user_password::{PasswordSignIn, UserName};
use async_trait::async_trait;
use domain::id::UserId;
use domain::{Actor, ObjectId, Patch, Phone};
use serde_json::{Map, Value, json};

use super::RestError;
use super::objects::{Caller, Created, Rest};
use crate::acl::Acl;
use crate::ops::{AclChange, Changes, Op};
use crate::query::Params;
use crate::value::Path;

/// Seconds that clients are told a WeChat session lasts.
const WEAPP_EXPIRES_IN: u32 = 7_200;
/// Shortest id an anonymous account is known by: whoever guesses it is signed in.
const MIN_ANONYMOUS_CHARS: usize = 16;
const MAX_NAME_CHARS: usize = 128;

/// Who a mini-program's one-time code stands for. No `Debug`: the key of the session opens what WeChat encrypts.
#[derive(Clone, PartialEq, Eq)]
pub struct WeappPerson {
    pub seat: WeappSeat,
    pub session_key: String,
}

/// A one-time code was not traded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MiniProgramError {
    #[error("no mini-program is configured")]
    NotConfigured,
    #[error("the code is wrong, used or expired")]
    CodeNotAccepted,
    #[error("WeChat does not answer")]
    Unavailable,
}

/// Trades the one-time code of `wx.login` for who the person is.
#[async_trait]
pub trait MiniProgramLogin: Send + Sync {
    async fn exchange(&self, code: &str) -> Result<WeappPerson, MiniProgramError>;
    /// Remembers whose account this person has.
    async fn remember(&self, person: &WeappPerson, user: UserId) -> Result<(), MiniProgramError>;
    /// Whether clients that decrypt for themselves are given the key of the session.
    fn shows_session_key(&self) -> bool;
}

/// An identity that was proven, with the person of a mini-program behind it.
struct Proof {
    identity: ProvenIdentity,
    person: Option<WeappPerson>,
}

impl From<MiniProgramError> for RestError {
    fn from(error: MiniProgramError) -> Self {
        match error {
            MiniProgramError::NotConfigured => Self::ProviderUnknown,
            MiniProgramError::CodeNotAccepted => Self::WeixinSession,
            MiniProgramError::Unavailable => Self::NotSupported("WeChat does not answer"),
        }
    }
}

/// An answer that shows an account to its owner.
#[derive(Debug, Clone, PartialEq)]
pub struct UserAnswer {
    pub id: ObjectId,
    pub is_new: bool,
    pub answer: Value,
}

impl Rest {
    /// `POST /users`: by `authData` signs in or up, else signs up with name and password.
    ///
    /// # Errors
    /// [`RestError`] naming what is refused.
    pub async fn post_user(
        &self,
        caller: &Caller,
        body: Map<String, Value>,
        params: &Params,
    ) -> Result<UserAnswer, RestError> {
        match body.get("authData") {
            Some(Value::Object(data)) if !data.is_empty() => {
                let data = data.clone();
                self.sign_in_by_auth_data(caller, body, data, params).await
            }
            _ => self.sign_up(caller, body).await,
        }
    }

    pub(super) async fn create_user(
        &self,
        caller: &Caller,
        body: Map<String, Value>,
        params: &Params,
    ) -> Result<Created, RestError> {
        let UserAnswer { id, answer, .. } = self.post_user(caller, body, params).await?;
        Ok(Created { id, answer })
    }

    async fn sign_up(&self, caller: &Caller, mut body: Map<String, Value>) -> Result<UserAnswer, RestError> {
        let username = text(&mut body, "username").ok_or(RestError::UsernameMissing)?;
        let password = text(&mut body, "password").ok_or(RestError::PasswordMissing)?;
        let password = Password::chosen_by_user("password", password).map_err(AccountError::from)?;
        let email = text(&mut body, "email").map(|email| checked_email(&email)).transpose()?;
        let phone = text(&mut body, "mobilePhoneNumber").map(|phone| checked_phone(&phone)).transpose()?;
        let new = SignUp {
            username: checked_name(&username)?,
            password,
            email,
            phone,
            extra: own_fields(body)?,
            origin: caller.origin.clone(),
        };
        Ok(signed_in(&self.ports.accounts.sign_up(&Actor::App, new).await?))
    }

    async fn sign_in_by_auth_data(
        &self,
        caller: &Caller,
        mut body: Map<String, Value>,
        data: Map<String, Value>,
        params: &Params,
    ) -> Result<UserAnswer, RestError> {
        let mut data = data.into_iter();
        let (Some((provider, data)), None) = (data.next(), data.next()) else {
            return Err(RestError::NoLinkedId);
        };
        let accounts = &self.ports.accounts;
        accounts.admit_identity_sign_in(&Actor::App, &caller.origin).await?;
        let Proof { identity, person } = self.prove(&provider, &data).await?;
        body.remove("authData");
        let extra = own_fields(body)?;
        let request = IdentitySignIn {
            proven: identity,
            role: None,
            phone: None,
            device_label: None,
            makes_account: !params.fails_on_missing,
        };
        let signed = accounts.sign_in_with_identity(&Actor::App, &request).await?;
        self.remember(person.as_ref(), signed.user.id).await?;
        let mut answer = self.with_first_fields(signed, extra).await?;
        if let Some(person) = person {
            self.complete_weapp(&mut answer.answer, &person);
        }
        Ok(answer)
    }

    async fn remember(&self, person: Option<&WeappPerson>, user: UserId) -> Result<(), RestError> {
        match person {
            Some(person) => Ok(self.ports.mini_program.remember(person, user).await?),
            None => Ok(()),
        }
    }

    /// What clients expect of a sign-in with a mini-program: the identity it was made with, though the account may
    /// keep another one under the common name.
    fn complete_weapp(&self, answer: &mut Value, person: &WeappPerson) {
        let WeappPerson { seat, session_key } = person;
        let mut own = Map::from_iter([
            ("openid".to_owned(), json!(seat.openid)),
            ("expires_in".to_owned(), json!(WEAPP_EXPIRES_IN)),
        ]);
        own.extend(seat.unionid.as_ref().map(|unionid| ("unionid".to_owned(), json!(unionid))));
        if self.ports.mini_program.shows_session_key() {
            own.insert("session_key".to_owned(), json!(session_key));
        }
        if let Some(data) = answer.get_mut("authData").and_then(Value::as_object_mut) {
            data.insert(WEAPP.to_owned(), Value::Object(own));
        }
    }

    /// `POST /login`: by name, number or e-mail with a password, or by number with a code.
    ///
    /// # Errors
    /// [`RestError::PasswordMismatch`], also for names nobody has; [`RestError::LoginLocked`], [`RestError::SmsCode`],
    /// [`RestError::PhoneUnknown`] after the right code of a number without an account.
    pub async fn log_in(&self, caller: &Caller, mut body: Map<String, Value>) -> Result<UserAnswer, RestError> {
        let origin = caller.origin.clone();
        let phone = text(&mut body, "mobilePhoneNumber");
        if let Some(code) = text(&mut body, "smsCode") {
            let phone = checked_phone(&phone.ok_or(RestError::PhoneMissing)?)?;
            let challenge = ChallengeRef::Phone(phone);
            let request = SmsSignIn { challenge, code, role: None, device_label: None, origin };
            return Ok(signed_in(&self.ports.accounts.log_in_with_sms(&Actor::App, request).await?));
        }
        let password = text(&mut body, "password").ok_or(RestError::PasswordMissing)?;
        let name = match (text(&mut body, "username"), phone, text(&mut body, "email")) {
            (Some(username), _, _) => UserName::Username(username),
            (None, Some(phone), _) => UserName::Phone(checked_phone(&phone)?),
            (None, None, Some(email)) => UserName::Email(email),
            (None, None, None) => return Err(RestError::UsernameMissing),
        };
        let request = PasswordSignIn { name, password: Password::typed(password), device_label: None, origin };
        Ok(signed_in(&self.ports.accounts.sign_in_with_password(&Actor::App, request).await?))
    }

    /// `POST /usersByMobilePhone`: signs in, or up, by number and code.
    ///
    /// # Errors
    /// [`RestError::SmsCode`], [`RestError::BadPhone`].
    pub async fn users_by_phone(&self, caller: &Caller, mut body: Map<String, Value>) -> Result<UserAnswer, RestError> {
        let phone = text(&mut body, "mobilePhoneNumber").ok_or(RestError::PhoneMissing)?;
        let code = text(&mut body, "smsCode").ok_or(RestError::SmsCode)?;
        let extra = own_fields(body)?;
        let challenge = ChallengeRef::Phone(checked_phone(&phone)?);
        let origin = caller.origin.clone();
        let request = SmsSignIn { challenge, code, role: None, device_label: None, origin };
        let signed = self.ports.accounts.sign_in_with_sms(&Actor::App, request).await?;
        self.with_first_fields(signed, extra).await
    }

    /// Fields sent along with a sign-in are those of a new account.
    async fn with_first_fields(
        &self,
        mut signed: SignedIn,
        extra: Map<String, Value>,
    ) -> Result<UserAnswer, RestError> {
        if signed.is_new && !extra.is_empty() {
            let change = AccountChange { extra: Some(extra), ..AccountChange::default() };
            signed.user = self.ports.accounts.change_account(&Actor::System, signed.user.id, change).await?;
        }
        Ok(signed_in(&signed))
    }

    /// `GET /users/me`.
    ///
    /// # Errors
    /// [`RestError::UserNotFound`] when the session is not valid: clients tell by its number.
    pub async fn me(&self, caller: &Caller) -> Result<Value, RestError> {
        let Actor::User(_) = caller.actor else { return Err(RestError::UserNotFound) };
        match self.ports.accounts.me(&caller.actor).await? {
            Me::User { user, .. } => Ok(user_value(&user, caller.token.as_deref())),
            Me::Staff(_) => Err(RestError::UserNotFound),
        }
    }

    /// `PUT /users/:id/refreshSessionToken`: the old token is dead afterwards.
    ///
    /// # Errors
    /// [`RestError::NotOwnUser`].
    pub async fn refresh_token(&self, caller: &Caller, id: &str) -> Result<Value, RestError> {
        let user = self.own_user(caller, id).await?;
        let session = self.ports.accounts.replace_session(&caller.actor).await?;
        Ok(token_answer(&user, session.token.reveal()))
    }

    /// `PUT /users/:id/updatePassword`: all sessions end but the one answered.
    ///
    /// # Errors
    /// [`RestError::NotOwnUser`], [`RestError::PasswordMismatch`], [`RestError::LoginLocked`].
    pub async fn update_password(
        &self,
        caller: &Caller,
        id: &str,
        mut body: Map<String, Value>,
    ) -> Result<Value, RestError> {
        let user = self.own_user(caller, id).await?;
        let old = text(&mut body, "old_password").ok_or(RestError::PasswordMissing)?;
        let new = text(&mut body, "new_password").ok_or(RestError::PasswordMissing)?;
        let accounts = &self.ports.accounts;
        let changed = accounts.change_user_password(&caller.actor, Password::typed(old), &new, &caller.origin).await;
        Ok(token_answer(&user, changed?.token.reveal()))
    }

    async fn own_user(&self, caller: &Caller, id: &str) -> Result<User, RestError> {
        let Actor::User(user) = &caller.actor else { return Err(RestError::NotOwnUser) };
        if user.user.to_string() != id {
            return Err(RestError::NotOwnUser);
        }
        Ok(self.ports.accounts.account(&caller.actor, user.user).await?)
    }

    pub(super) async fn update_user(
        &self,
        caller: &Caller,
        id: ObjectId,
        body: Map<String, Value>,
        params: &Params,
    ) -> Result<Value, RestError> {
        let is_own = matches!(&caller.actor, Actor::User(user) if user.user.0 == id);
        if !is_own && !caller.viewer.is_master() {
            return Err(RestError::NotOwnUser);
        }
        let id = UserId(id);
        let mut changes = Changes::parse(body)?;
        let before = self.ports.accounts.account(&caller.actor, id).await?;
        let mut change = AccountChange::default();
        let (mut rest, mut people) = (Vec::new(), Vec::new());
        for (path, op) in std::mem::take(&mut changes.fields) {
            if !self.take_account_field(&mut change, &mut people, &path, &op).await? {
                rest.push((path, op));
            }
        }
        changes.fields = rest;
        if !changes.fields.is_empty() {
            let mut extra = before.extra.clone();
            if !changes.apply(&mut extra)?.is_empty() {
                return Err(RestError::wrong_type("accounts have no relations"));
            }
            change.extra = Some(extra);
        }
        change.acl = match changes.acl {
            Some(AclChange::Set(acl)) => Patch::Set(acl.to_value()),
            Some(AclChange::Clear) => Patch::Null,
            None => Patch::Absent,
        };
        let after = self.ports.accounts.change_account(&caller.actor, id, change).await?;
        for person in &people {
            self.remember(Some(person), id).await?;
        }
        if params.wants_new {
            return Ok(user_value(&after, None));
        }
        Ok(json!({ "objectId": id.to_string(), "updatedAt": after.updated_at.to_rfc3339() }))
    }

    /// Takes a field that the account itself has; false when it is one of the client's own.
    async fn take_account_field(
        &self,
        change: &mut AccountChange,
        people: &mut Vec<WeappPerson>,
        path: &Path,
        op: &Op,
    ) -> Result<bool, RestError> {
        let name = path.first();
        if name == "authData" {
            self.take_auth_data(change, people, path, op).await?;
            return Ok(true);
        }
        if matches!(name, "emailVerified" | "mobilePhoneVerified" | "sessionToken" | "salt") {
            return Err(RestError::ReadOnly(name.to_owned()));
        }
        let value = match op {
            Op::Set(Value::Null) | Op::Unset => None,
            Op::Set(Value::String(text)) => Some(text.as_str()),
            Op::Set(_) if is_account_field(name) => return Err(RestError::wrong_type(format!("'{name}' is a text"))),
            _ if is_account_field(name) => return Err(RestError::wrong_type(format!("'{name}' is set as a whole"))),
            _ => return Ok(false),
        };
        match (name, value) {
            ("username", Some(name)) => change.username = Some(checked_name(name)?),
            ("username", None) => return Err(RestError::UsernameMissing),
            ("password", Some(password)) => {
                change.password = Some(Password::chosen_by_user("password", password).map_err(AccountError::from)?);
            }
            ("password", None) => return Err(RestError::PasswordMissing),
            ("email", Some(email)) => change.email = Patch::Set(checked_email(email)?),
            ("email", None) => change.email = Patch::Null,
            ("mobilePhoneNumber", Some(phone)) => change.phone = Patch::Set(checked_phone(phone)?),
            ("mobilePhoneNumber", None) => change.phone = Patch::Null,
            _ => return Ok(false),
        }
        Ok(true)
    }

    async fn take_auth_data(
        &self,
        change: &mut AccountChange,
        people: &mut Vec<WeappPerson>,
        path: &Path,
        op: &Op,
    ) -> Result<(), RestError> {
        let data: Vec<(String, Option<Value>)> = match (path.parts(), op) {
            ([_], Op::Set(Value::Object(data))) => {
                data.iter().map(|(provider, data)| (provider.clone(), Some(data.clone()))).collect()
            }
            ([_, provider], Op::Set(data)) => vec![(provider.clone(), Some(data.clone()))],
            ([_, provider], Op::Unset) => vec![(provider.clone(), None)],
            _ => return Err(RestError::wrong_type("authData is an object per provider")),
        };
        for (provider, data) in data {
            match data.filter(|data| !data.is_null()) {
                Some(data) => {
                    let Proof { identity, person } = self.prove(&provider, &data).await?;
                    change.link.push(identity);
                    people.extend(person);
                }
                None => change.unlink.push(provider),
            }
        }
        Ok(())
    }

    /// Checks an identity. What a client merely claims of itself at another provider proves nothing, and is taken where the
    /// deployment says so.
    async fn prove(&self, provider: &str, data: &Value) -> Result<Proof, RestError> {
        let part = |key: &str| data.get(key).and_then(Value::as_str);
        match provider {
            WEAPP => {
                let code = part("code").ok_or(RestError::NoLinkedId)?;
                let person = self.ports.mini_program.exchange(code).await?;
                Ok(Proof { identity: weapp_identity(&person.seat, part("platform")), person: Some(person) })
            }
            "anonymous" => {
                let id = part("id").filter(|id| id.len() >= MIN_ANONYMOUS_CHARS).ok_or(RestError::NoLinkedId)?;
                Ok(Proof { identity: ProvenIdentity::of(provider, id), person: None })
            }
            provider if self.ports.takes_claims && is_claimable(provider) => {
                let data = data.as_object().ok_or(RestError::NoLinkedId)?;
                let identity = claimed_identity(provider, data).ok_or(RestError::NoLinkedId)?;
                Ok(Proof { identity, person: None })
            }
            _ => Err(RestError::ProviderUnknown),
        }
    }
}

/// Whether a client may say who it is at this provider. Mini-programs prove it, and what begins with `_` is the server's.
fn is_claimable(provider: &str) -> bool {
    let is_name = provider.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    is_name && provider.len() <= MAX_NAME_CHARS && !provider.starts_with('_') && !provider.starts_with(WEAPP)
}

/// Who a client says it is; in union mode across the platform's apps first.
fn claimed_identity(provider: &str, data: &Map<String, Value>) -> Option<ProvenIdentity> {
    let claimed = ProvenIdentity::claimed(provider, data)?;
    let part = |key: &str| data.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    Some(match (part("unionid"), part("platform").filter(|platform| is_claimable(platform))) {
        (Some(unionid), Some(platform)) => claimed.also_known_as(&format!("_{platform}_unionid"), unionid, true),
        _ => claimed,
    })
}

/// In union mode the person is found across the platform's apps, else by the app's own id.
fn weapp_identity(seat: &WeappSeat, platform: Option<&str>) -> ProvenIdentity {
    let proven = ProvenIdentity::of_weapp(seat.clone());
    match platform.filter(|platform| platform.chars().all(|c| c.is_ascii_alphanumeric())) {
        Some(platform) => proven.across_apps(&format!("_{platform}_unionid"), true),
        None => proven,
    }
}

fn is_account_field(name: &str) -> bool {
    const FIELDS: [&str; 9] = [
        "username",
        "password",
        "email",
        "mobilePhoneNumber",
        "emailVerified",
        "mobilePhoneVerified",
        "sessionToken",
        "salt",
        "authData",
    ];
    FIELDS.contains(&name)
}

/// What a sign-up says beside the account's own fields.
fn own_fields(mut body: Map<String, Value>) -> Result<Map<String, Value>, RestError> {
    body.retain(|key, _| !is_account_field(key) && !matches!(key.as_str(), "smsCode"));
    if let Some(acl) = body.remove("ACL") {
        Acl::parse(&acl)?;
    }
    let mut extra = Map::new();
    Changes::parse(body)?.apply(&mut extra)?;
    Ok(extra)
}

fn text(body: &mut Map<String, Value>, key: &str) -> Option<String> {
    match body.remove(key) {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    }
}

fn checked_name(name: &str) -> Result<String, RestError> {
    let name = name.trim();
    let is_fine = !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS && !name.chars().any(char::is_control);
    if is_fine { Ok(name.to_owned()) } else { Err(RestError::UsernameMissing) }
}

fn checked_email(email: &str) -> Result<String, RestError> {
    let email = email.trim().to_lowercase();
    let has_parts = email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.'));
    let is_fine = has_parts && email.len() <= MAX_NAME_CHARS && !email.contains(char::is_whitespace);
    if is_fine { Ok(email) } else { Err(RestError::BadEmail) }
}

pub(super) fn checked_phone(phone: &str) -> Result<Phone, RestError> {
    phone.parse().or(Err(RestError::BadPhone))
}

fn signed_in(signed: &SignedIn) -> UserAnswer {
    let answer = user_value(&signed.user, Some(signed.session.token.reveal()));
    UserAnswer { id: signed.user.id.0, is_new: signed.is_new, answer }
}

fn token_answer(user: &User, token: &str) -> Value {
    json!({ "objectId": user.id.to_string(), "updatedAt": user.updated_at.to_rfc3339(), "sessionToken": token })
}

/// An account as its owner sees it.
pub fn user_value(user: &User, token: Option<&str>) -> Value {
    let mut object = user.extra.clone();
    object.retain(|key, _| !is_account_field(key));
    let mut put = |key: &str, value: Value| _ = object.insert(key.to_owned(), value);
    put("objectId", json!(user.id.to_string()));
    put("createdAt", json!(user.created_at.to_rfc3339()));
    put("updatedAt", json!(user.updated_at.to_rfc3339()));
    put("username", json!(user.username));
    put("emailVerified", json!(user.is_email_verified));
    put("mobilePhoneVerified", json!(user.is_phone_verified));
    if let Some(token) = token {
        put("sessionToken", json!(token));
    }
    if let Some(email) = &user.email {
        put("email", json!(email));
    }
    if let Some(phone) = &user.phone {
        put("mobilePhoneNumber", json!(phone.national()));
    }
    if !user.auth_data.is_empty() {
        put("authData", Value::Object(user.auth_data.clone()));
    }
    hide_session_keys(&mut object);
    Value::Object(object)
}

/// The keys of WeChat's sessions stay here, those too that were brought along.
pub(super) fn hide_session_keys(user: &mut Map<String, Value>) {
    let providers = user.get_mut("authData").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut);
    for provider in providers.filter_map(Value::as_object_mut) {
        provider.remove("session_key");
    }
}

#[cfg(test)]
mod tests {
    use account::sign_in::Role;
    use domain::Timestamp;
    use rstest::rstest;

    use super::*;

    fn user() -> User {
        User::new(UserId(ObjectId::from_parts(1, [0; 5], 1)), "alice", Timestamp::EPOCH)
    }

    #[test]
    fn secrets_of_an_account_are_shown_to_nobody() {
        let mut user = user();
        user.auth_data = json!({"lc_weapp": {"openid": "o", "session_key": "k"}}).as_object().unwrap().clone();
        user.extra = json!({"nick": "A", "password": "x", "sessionToken": "y"}).as_object().unwrap().clone();
        let shown = user_value(&user, None);
        assert_eq!(shown["authData"], json!({"lc_weapp": {"openid": "o"}}));
        assert_eq!((shown.get("password"), shown.get("sessionToken"), &shown["nick"]), (None, None, &json!("A")));
        assert_eq!(user_value(&user, Some("t"))["sessionToken"], "t");
    }

    #[rstest]
    #[case(None, None, &["lc_weapp=o", "lc_weapp_patient=o"])]
    #[case(Some("u"), None, &["lc_weapp=o", "lc_weapp_patient=o"])]
    #[case(Some("u"), Some("weixin"), &["_weixin_unionid=u", "lc_weapp=o", "lc_weapp_patient=o"])]
    #[case(Some("u"), Some("../x"), &["lc_weapp=o", "lc_weapp_patient=o"])]
    fn union_mode_looks_across_apps_first(
        #[case] unionid: Option<&str>,
        #[case] platform: Option<&str>,
        #[case] expected: &[&str],
    ) {
        let unionid = unionid.map(str::to_owned);
        let seat = WeappSeat { app: "patient".into(), audience: Role::Patient, openid: "o".into(), unionid };
        let proven = weapp_identity(&seat, platform);
        let shown: Vec<String> = proven.look_up.iter().map(|i| format!("{}={}", i.provider, i.uid)).collect();
        assert_eq!(shown, expected);
        assert_eq!(proven.auth_data[WEAPP]["openid"], "o");
    }

    #[rstest]
    #[case("weibo", json!({"uid": "u", "openid": "o"}), Some(&["weibo=u"][..]))]
    #[case("qq", json!({"openid": "o"}), Some(&["qq=o"][..]))]
    #[case("apple", json!({"id": "i"}), Some(&["apple=i"][..]))]
    #[case("qq", json!({"openid": "o", "unionid": "u", "platform": "tencent"}), Some(&["_tencent_unionid=u", "qq=o"][..]))]
    #[case("qq", json!({"openid": "o", "unionid": "u", "platform": "lc_weapp"}), Some(&["qq=o"][..]))]
    #[case("qq", json!({"access_token": "t"}), None)]
    fn a_claim_is_found_by_the_id_it_names(
        #[case] provider: &str,
        #[case] data: Value,
        #[case] expected: Option<&[&str]>,
    ) {
        let claimed = claimed_identity(provider, data.as_object().unwrap());
        let shown = claimed.map(|claimed| -> Vec<String> {
            claimed.look_up.iter().map(|i| format!("{}={}", i.provider, i.uid)).collect()
        });
        assert_eq!(shown, expected.map(|expected| expected.iter().map(ToString::to_string).collect()));
    }

    #[rstest]
    #[case("weibo", true)]
    #[case("my-sso", true)]
    #[case("lc_weapp", false)]
    #[case("lc_weapp_patient", false)]
    #[case("_weixin_unionid", false)]
    #[case("a.b", false)]
    fn what_the_server_proves_is_not_claimed(#[case] provider: &str, #[case] expected: bool) {
        assert_eq!(is_claimable(provider), expected);
    }

    #[rstest]
    #[case("a@b.cn", true)]
    #[case("A@B.cn", true)]
    #[case("a@b", false)]
    #[case("@b.cn", false)]
    #[case("a b@c.cn", false)]
    fn email_addresses(#[case] text: &str, #[case] is_fine: bool) {
        assert_eq!(checked_email(text).is_ok(), is_fine);
    }

    #[test]
    fn what_a_sign_up_brings_along_is_kept_without_the_accounts_own_fields() {
        let body =
            json!({"nick": "x", "password": "p", "emailVerified": true, "smsCode": "1", "ACL": {"*": {"read": true}}});
        let extra = own_fields(body.as_object().unwrap().clone()).unwrap();
        assert_eq!(Value::Object(extra), json!({"nick": "x"}));
    }
}
