//! Users, their sessions, profiles and files.

use std::collections::BTreeMap;

use ::account::session::{Session, SessionSubject};
use ::account::user::{AuthIdentity, User, identities};
use ::leancloud::import::store::{ImportClass, ImportPeople, LoginKey};
use async_trait::async_trait;
use domain::doctor::Doctor;
use domain::file::File;
use domain::id::UserId;
use domain::patient::Patient;
use domain::{ObjectId, StoreError};
use sea_orm::Value;

use super::files::remember_origins;
use super::{MAX_NAMED_PARAMETERS, Taken};
use crate::account::user;
use crate::backend::store_error;
use crate::convert::{corrupt, parse, text};
use crate::people::{doctor, file, patient};
use crate::store::SeaUnit;
use crate::values::tuples;

#[async_trait]
impl ImportPeople for SeaUnit {
    async fn login_owners(&mut self, keys: &[LoginKey]) -> Result<Vec<(LoginKey, UserId)>, StoreError> {
        let mut usernames = Vec::new();
        let mut emails = Vec::new();
        let mut phones = BTreeMap::new();
        let mut identities = Vec::new();
        for key in keys {
            match key {
                LoginKey::Username(name) => usernames.push(name.clone()),
                LoginKey::Email(email) => emails.push(email.clone()),
                LoginKey::Phone(phone) => _ = phones.insert(phone.as_e164().to_owned(), phone.clone()),
                LoginKey::Identity(identity) => identities.push(identity.clone()),
            }
        }
        let mut owners = Vec::new();
        for (name, id) in owners_by(self, "username", usernames).await? {
            owners.push((LoginKey::Username(name), id));
        }
        for (email, id) in owners_by(self, "email", emails).await? {
            owners.push((LoginKey::Email(email), id));
        }
        for (number, id) in owners_by(self, "phone", phones.keys().cloned().collect()).await? {
            owners.extend(phones.get(&number).map(|phone| (LoginKey::Phone(phone.clone()), id)));
        }
        owners.extend(owners_of_identities(self, &identities).await?);
        Ok(owners)
    }

    async fn save_users(&mut self, users: &[User]) -> Result<(), StoreError> {
        let rows = users.iter().map(user::row).collect();
        self.put::<user::Entity>(rows, Taken::Replace { except: &[] }).await?;
        for users in users.chunks(MAX_NAMED_PARAMETERS) {
            let list = tuples(1, users.len(), 1);
            let sql = format!("DELETE FROM user_identity WHERE user_id IN {list}");
            self.execute(&sql, users.iter().map(|user| text(&user.id).into())).await?;
        }
        let of_user = |user: &User| {
            let id = user.id;
            identities(&user.auth_data).into_iter().map(move |identity| (identity, id))
        };
        let all: Vec<(AuthIdentity, UserId)> = users.iter().flat_map(of_user).collect();
        for all in all.chunks(MAX_NAMED_PARAMETERS / 3) {
            let list = tuples(all.len(), 3, 1);
            let sql = format!("INSERT INTO user_identity (provider, uid, user_id) VALUES {list}");
            let values = all.iter().flat_map(|(identity, user)| -> [Value; 3] {
                [identity.provider.as_str().into(), identity.uid.as_str().into(), text(user).into()]
            });
            self.execute(&sql, values).await?;
        }
        Ok(())
    }

    async fn add_sessions(&mut self, sessions: &[Session]) -> Result<(), StoreError> {
        for sessions in sessions.chunks(MAX_NAMED_PARAMETERS / 7) {
            let sql = format!(
                "INSERT INTO session (id, subject_kind, subject_id, token_hash, created_at, last_seen_at, expires_at) \
                 VALUES {} ON CONFLICT (token_hash) DO NOTHING",
                tuples(sessions.len(), 7, 1)
            );
            let values = sessions.iter().flat_map(|session| -> [Value; 7] {
                let (kind, subject) = match session.subject {
                    SessionSubject::User(id) => ("user", text(&id)),
                    SessionSubject::Agent(id) => ("agent", text(&id)),
                };
                [
                    text(&session.id).into(),
                    kind.into(),
                    subject.into(),
                    session.token_hash.0.as_str().into(),
                    session.created_at.as_millis().into(),
                    session.last_seen_at.as_millis().into(),
                    session.expires_at.as_millis().into(),
                ]
            });
            self.execute(&sql, values).await?;
        }
        Ok(())
    }

    async fn save_files(&mut self, files: &[File]) -> Result<(), StoreError> {
        remember_origins(self, files).await?;
        let except = &["blob_key", "url", "size", "sha256"];
        self.put::<file::Entity>(files.iter().map(file::row).collect(), Taken::Replace { except }).await
    }

    async fn add_files(&mut self, files: &[File]) -> Result<(), StoreError> {
        remember_origins(self, files).await?;
        self.put::<file::Entity>(files.iter().map(file::row).collect(), Taken::Keep).await
    }

    async fn save_doctors(&mut self, doctors: &[Doctor]) -> Result<(), StoreError> {
        self.put::<doctor::Entity>(doctors.iter().map(doctor::row).collect(), Taken::Replace { except: &[] }).await
    }

    async fn save_patients(&mut self, patients: &[Patient]) -> Result<(), StoreError> {
        self.put::<patient::Entity>(patients.iter().map(patient::row).collect(), Taken::Replace { except: &[] }).await
    }

    async fn profiles_of(
        &mut self,
        class: ImportClass,
        users: &[UserId],
    ) -> Result<Vec<(UserId, ObjectId)>, StoreError> {
        let table = match class {
            ImportClass::Doctor => "doctor",
            ImportClass::Patient => "patient",
            _ => return corrupt("import class without users"),
        };
        let users: Vec<String> = users.iter().map(text).collect();
        let found = ids_by(self, table, "user_id", users).await?;
        found.into_iter().map(|(user, id)| Ok((parse("user_id", &user)?, id))).collect()
    }
}

async fn owners_by(
    unit: &SeaUnit,
    column: &'static str,
    wanted: Vec<String>,
) -> Result<Vec<(String, UserId)>, StoreError> {
    let found = ids_by(unit, "account_user", column, wanted).await?;
    Ok(found.into_iter().map(|(value, id)| (value, UserId(id))).collect())
}

/// The ids of rows whose text column has one of the values, each with its value.
async fn ids_by(
    unit: &SeaUnit,
    table: &'static str,
    column: &'static str,
    wanted: Vec<String>,
) -> Result<Vec<(String, ObjectId)>, StoreError> {
    let mut found = Vec::new();
    for wanted in wanted.chunks(MAX_NAMED_PARAMETERS) {
        let list = tuples(1, wanted.len(), 1);
        let sql = format!("SELECT {column} AS value, id FROM {table} WHERE {column} IN {list}");
        for row in unit.query(&sql, wanted.iter().map(|value| value.as_str().into())).await? {
            let id: String = row.try_get("", "id").map_err(store_error)?;
            found.push((row.try_get("", "value").map_err(store_error)?, parse("id", &id)?));
        }
    }
    Ok(found)
}

async fn owners_of_identities(unit: &SeaUnit, wanted: &[AuthIdentity]) -> Result<Vec<(LoginKey, UserId)>, StoreError> {
    let mut found = Vec::new();
    for wanted in wanted.chunks(MAX_NAMED_PARAMETERS / 2) {
        let list = tuples(wanted.len(), 2, 1);
        let sql = format!("SELECT provider, uid, user_id FROM user_identity WHERE (provider, uid) IN (VALUES {list})");
        let values = wanted
            .iter()
            .flat_map(|identity| -> [Value; 2] { [identity.provider.as_str().into(), identity.uid.as_str().into()] });
        for row in unit.query(&sql, values).await? {
            let column = |name: &str| row.try_get::<String>("", name).map_err(store_error);
            let identity = AuthIdentity { provider: column("provider")?, uid: column("uid")? };
            found.push((LoginKey::Identity(identity), parse("user_identity.user_id", &column("user_id")?)?));
        }
    }
    Ok(found)
}
