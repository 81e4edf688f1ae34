//! Writing users and the sessions their clients hold.

use std::collections::BTreeMap;

use account::session::{Session, SessionSubject};
use account::user::{AuthIdentity, User, identities};
use async_trait::async_trait;
use domain::id::{SessionId, UserId};
use domain::{ObjectId, StoreError, Timestamp};
use serde_json::{Map, Value};

use super::batch::{Candidate, ClassImport, Outcome, Run};
use super::store::{ImportClass, ImportUnit, LoginKey};
use crate::finding::{Note, Problem};
use crate::mapping::{MapContext, Mapped, Unmappable, UserRow, map_user};

pub(super) enum Users {}

#[async_trait]
impl ClassImport for Users {
    type Row = UserRow;
    const CLASS: ImportClass = ImportClass::User;

    fn map(row: &Map<String, Value>, _: &MapContext) -> Result<Mapped<UserRow>, Unmappable> {
        map_user(row)
    }

    fn key(row: &UserRow) -> (ObjectId, Timestamp) {
        (row.user.id.0, row.user.updated_at)
    }

    async fn write(
        run: &Run<'_>,
        unit: &mut dyn ImportUnit,
        mut rows: Vec<Candidate<UserRow>>,
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        let keys: Vec<LoginKey> = rows.iter().flat_map(|row| keys_of(&row.entity.user)).collect();
        let mut owners: BTreeMap<LoginKey, UserId> = unit.people().login_owners(&keys).await?.into_iter().collect();
        for row in &mut rows {
            give_up_taken_keys(row, &mut owners, outcome);
        }
        let begin = |row: &Candidate<UserRow>| -> Option<Session> {
            let token = row.entity.session_token.as_ref()?;
            let subject = SessionSubject::User(row.entity.user.id);
            Some(run.sessions.begin(SessionId(run.ids.next()), subject, token, None, run.now))
        };
        let sessions: Vec<Session> = rows.iter().filter_map(begin).collect();
        let users: Vec<User> = rows.into_iter().map(|row| row.entity.user).collect();
        unit.people().save_users(&users).await?;
        unit.people().add_sessions(&sessions).await
    }
}

fn keys_of(user: &User) -> Vec<LoginKey> {
    let mut keys = vec![LoginKey::Username(user.username.clone())];
    keys.extend(user.email.clone().map(LoginKey::Email));
    keys.extend(user.phone.clone().map(LoginKey::Phone));
    keys.extend(identities(&user.auth_data).into_iter().map(LoginKey::Identity));
    keys
}

/// Each key signs in one user: the first one keeps it. The other user is imported without it, so that its session and
/// everything that refers to it live on; the original goes to `extra`.
fn give_up_taken_keys(row: &mut Candidate<UserRow>, owners: &mut BTreeMap<LoginKey, UserId>, outcome: &mut Outcome) {
    let id = row.entity.user.id;
    for key in keys_of(&row.entity.user) {
        let owner = *owners.entry(key.clone()).or_insert(id);
        if owner == id {
            continue;
        }
        let user = &mut row.entity.user;
        let field = match key {
            LoginKey::Username(_) => {
                user.username = id.to_string();
                "username"
            }
            LoginKey::Email(_) => {
                user.email = None;
                "email"
            }
            LoginKey::Phone(_) => {
                user.phone = None;
                user.is_phone_verified = false;
                "mobilePhoneNumber"
            }
            LoginKey::Identity(AuthIdentity { provider, .. }) => {
                user.auth_data.remove(&provider);
                "authData"
            }
        };
        let original = row.original(field);
        row.entity.user.extra.insert(field.to_owned(), original);
        outcome.note(row, Note::field(field, Problem::DuplicateValue).about(&owner));
    }
}
