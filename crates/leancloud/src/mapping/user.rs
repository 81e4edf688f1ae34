//! `_User` rows.

use account::password::StoredPassword;
use account::session::SessionToken;
use account::user::User;
use domain::id::UserId;
use serde_json::{Map, Value};

use super::fields::Fields;
use super::{Mapped, Unmappable, read};
use crate::finding::{Note, Problem};

/// Longest session token that is taken, in bytes. LeanCloud's have 25.
const MAX_TOKEN_BYTES: usize = 128;
/// Longest user name, e-mail or the like that is taken: these are indexed.
const MAX_NAME_BYTES: usize = 512;

/// A user and the session token that the application's clients hold.
#[derive(Debug, Clone, PartialEq)]
pub struct UserRow {
    pub user: User,
    pub session_token: Option<SessionToken>,
}

/// Maps a `_User` row. A user always has a name; where the export has none, the id stands in for it.
///
/// # Errors
/// [`Unmappable`] when it has no usable id.
pub fn map_user(row: &Map<String, Value>) -> Result<Mapped<UserRow>, Unmappable> {
    let mut fields = Fields::new("_User", row)?;
    let username = fields.convert("username", name).unwrap_or_else(|| {
        fields.note(Note::field("username", Problem::MissingUsername));
        fields.id.to_string()
    });
    let user = User {
        email: fields.convert("email", name),
        phone: fields.phone("mobilePhoneNumber"),
        is_phone_verified: fields.flag("mobilePhoneVerified").unwrap_or(false),
        is_email_verified: fields.flag("emailVerified").unwrap_or(false),
        password: password(&mut fields),
        auth_data: auth_data(&mut fields),
        acl: fields.take("ACL"),
        updated_at: fields.updated_at,
        ..User::new(UserId(fields.id), username, fields.created_at)
    };
    let session_token = session_token(&mut fields);
    Ok(fields.finish(|extra| UserRow { user: User { extra, ..user }, session_token }))
}

fn name(value: &Value) -> Result<String, Problem> {
    let name = read::text(value)?;
    if name.trim().is_empty() || name.len() > MAX_NAME_BYTES { Err(Problem::WrongType) } else { Ok(name) }
}

/// LeanCloud's hash and salt. They say nothing apart, and are kept nowhere else.
fn password(fields: &mut Fields) -> Option<StoredPassword> {
    let (hash, salt) = (fields.take("password"), fields.take("salt"));
    let hash = hash?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let stored = text(&hash).zip(salt.as_ref().and_then(text));
    let stored = stored.and_then(|(hash, salt)| StoredPassword::from_leancloud(&salt, &hash).ok());
    if stored.is_none() {
        fields.note(Note::field("password", Problem::BadPassword));
    }
    stored
}

fn session_token(fields: &mut Fields) -> Option<SessionToken> {
    let value = fields.take("sessionToken")?;
    let token = value.as_str().filter(|token| !token.is_empty() && token.len() <= MAX_TOKEN_BYTES);
    if token.is_none() {
        fields.note(Note::field("sessionToken", Problem::BadToken));
    }
    token.map(SessionToken::shown)
}

fn auth_data(fields: &mut Fields) -> Map<String, Value> {
    match fields.take("authData") {
        None => Map::new(),
        Some(Value::Object(data)) => data,
        Some(other) => {
            fields.note(Note::field("authData", Problem::WrongType));
            fields.keep("authData", other);
            Map::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::tests::{row, sample, told};
    use super::*;

    const SALT: &str = "h60d8x797d3oa0naxybxxv9bn7xpt2yiowz68mpiwou7gwr2";
    const HASH: &str = "tA7BLW+NK0UeARng0693gCaVnljkglCB9snqlpCSUKjx2RgYp8VZZOQt0S5iUtlDrkJXfT3gknS4rRqjYsd/Ug==";

    fn user(fields: Value) -> Mapped<UserRow> {
        map_user(&row(fields)).unwrap()
    }

    #[test]
    fn the_sample_maps_without_a_note_and_with_nothing_left_over() {
        let rows = sample("_User");
        assert_eq!(rows.len(), 20);
        for row in rows {
            let Mapped { entity: UserRow { user, session_token }, notes, .. } = map_user(&row).unwrap();
            assert_eq!((notes, user.extra.len()), (vec![], 0));
            assert!(session_token.is_some() && user.password.is_some() && user.acl.is_some());
            assert_eq!(user.verified_phone().unwrap().national(), user.username);
        }
    }

    #[test]
    fn secrets_that_cannot_be_used_are_told_and_kept_nowhere() {
        let mapped = user(json!({"username": "u", "password": "plain", "salt": SALT, "sessionToken": 5}));
        assert_eq!(told(&mapped), ["password: bad_password", "sessionToken: bad_token"]);
        assert!(mapped.entity.user.extra.is_empty());
        let mapped = user(json!({"username": "u", "password": HASH, "sessionToken": "t".repeat(129)}));
        assert_eq!(told(&mapped), ["password: bad_password", "sessionToken: bad_token"]);
        let mapped = user(json!({"username": "u", "salt": SALT}));
        assert!(mapped.notes.is_empty() && mapped.entity.user.password.is_none());
    }

    #[test]
    fn debug_shows_no_secret() {
        let mapped = user(json!({"username": "u", "password": HASH, "salt": SALT, "sessionToken": "verysecret"}));
        let shown = format!("{mapped:?}");
        assert!(!shown.contains("verysecret") && !shown.contains(SALT) && !shown.contains(HASH), "{shown}");
    }

    #[rstest]
    #[case(json!({}), "username: missing_username")]
    #[case(json!({"username": ""}), "username: missing_username")]
    #[case(json!({"username": "x", "mobilePhoneNumber": "12"}), "mobilePhoneNumber: bad_phone")]
    #[case(json!({"username": "x", "email": ["a"]}), "email: wrong_type")]
    #[case(json!({"username": "x", "emailVerified": "perhaps"}), "emailVerified: wrong_type")]
    #[case(json!({"username": "x", "authData": "y"}), "authData: wrong_type")]
    fn a_users_field_that_does_not_fit_is_kept_and_told(#[case] mut fields: Value, #[case] note: &str) {
        let mapped = user(fields.clone());
        assert_eq!(told(&mapped), [note]);
        let kept = fields.as_object_mut().unwrap();
        kept.retain(|_, value| value != "x");
        assert_eq!(&mapped.entity.user.extra, kept);
    }

    #[test]
    fn a_user_without_a_name_is_named_by_the_id() {
        let mapped = user(json!({"username": "x".repeat(MAX_NAME_BYTES + 1)}));
        assert_eq!(mapped.entity.user.username, mapped.entity.user.id.to_string());
        assert_eq!(told(&mapped), ["username: wrong_type", "username: missing_username"]);
        assert!(user(json!({"username": "x".repeat(MAX_NAME_BYTES)})).notes.is_empty());
    }
}
