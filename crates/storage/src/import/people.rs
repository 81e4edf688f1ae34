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
use domain::{ObjectId, StoreError, Timestamp};
use sea_orm::QueryResult;
use serde_json::json;

use super::Taken;
use super::files::remember_origins;
use crate::account::user;
use crate::backend::store_error;
use crate::convert::{corrupt, list, parse, text};
use crate::people::{doctor, file, patient};
use crate::store::SeaUnit;

#[async_trait]
impl ImportPeople for SeaUnit {
    async fn login_owners(&mut self, keys: &[LoginKey]) -> Result<Vec<(LoginKey, UserId)>, StoreError> {
        let mut usernames = BTreeMap::new();
        let mut emails = Vec::new();
        let mut phones = BTreeMap::new();
        let mut identities = Vec::new();
        for key in keys {
            match key {
                LoginKey::Username(name) => _ = usernames.insert(self.seal.name(name), name.clone()),
                LoginKey::Email(email) => emails.push(email.clone()),
                LoginKey::Phone(phone) => _ = phones.insert(self.seal.phone(phone), phone.clone()),
                LoginKey::Identity(identity) => identities.push(identity.clone()),
            }
        }
        let mut owners = Vec::new();
        for (stored, id) in owners_by(self, "username", usernames.keys().cloned().collect()).await? {
            owners.extend(usernames.get(&stored).map(|name| (LoginKey::Username(name.clone()), id)));
        }
        for (email, id) in owners_by(self, "email", emails).await? {
            owners.push((LoginKey::Email(email), id));
        }
        for (stored, id) in owners_by(self, "phone", phones.keys().cloned().collect()).await? {
            owners.extend(phones.get(&stored).map(|phone| (LoginKey::Phone(phone.clone()), id)));
        }
        owners.extend(owners_of_identities(self, &identities).await?);
        Ok(owners)
    }

    async fn save_users(&mut self, users: &[User]) -> Result<(), StoreError> {
        let rows = users.iter().map(|user| user::row(&self.seal, user)).collect();
        self.put::<user::Entity>(rows, Taken::Replace { except: &[] }).await?;
        let of_users = format!("DELETE FROM user_identity WHERE {}", self.backend.is_among("user_id", "$1"));
        self.execute(&of_users, [list(users.iter().map(|user| user.id))]).await?;
        let of_user = |user: &User| {
            let id = text(&user.id);
            identities(&user.auth_data).into_iter().map(move |identity| json!([identity.provider, identity.uid, id]))
        };
        let all: Vec<_> = users.iter().flat_map(of_user).collect();
        let sql = format!(
            "INSERT INTO user_identity (provider, uid, user_id) SELECT value ->> 0, value ->> 1, value ->> 2 FROM {}",
            self.backend.each(1)
        );
        self.execute(&sql, [json!(all).to_string().into()]).await?;
        Ok(())
    }

    async fn add_sessions(&mut self, sessions: &[Session]) -> Result<(), StoreError> {
        let row = |session: &Session| {
            let (kind, subject) = match session.subject {
                SessionSubject::User(id) => ("user", text(&id)),
                SessionSubject::Agent(id) => ("agent", text(&id)),
            };
            let times = [session.created_at, session.last_seen_at, session.expires_at].map(Timestamp::as_millis);
            json!([text(&session.id), kind, subject, session.token_hash.0, times[0], times[1], times[2]])
        };
        let rows: Vec<_> = sessions.iter().map(row).collect();
        // WHERE keeps ON CONFLICT from being taken for the condition of a join.
        let sql = format!(
            "INSERT INTO session (id, subject_kind, subject_id, token_hash, created_at, last_seen_at, expires_at) \
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, CAST(value ->> 4 AS bigint), \
             CAST(value ->> 5 AS bigint), CAST(value ->> 6 AS bigint) FROM {} AS given WHERE true \
             ON CONFLICT (token_hash) DO NOTHING",
            self.backend.each(1)
        );
        self.execute(&sql, [json!(rows).to_string().into()]).await?;
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
        let rows = doctors.iter().map(|doctor| doctor::row(&self.seal, doctor)).collect();
        self.put::<doctor::Entity>(rows, Taken::Replace { except: &[] }).await
    }

    async fn save_patients(&mut self, patients: &[Patient]) -> Result<(), StoreError> {
        let rows = patients.iter().map(|patient| patient::row(&self.seal, patient)).collect();
        self.put::<patient::Entity>(rows, Taken::Replace { except: &[] }).await
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
    let sql = format!("SELECT {column} AS value, id FROM {table} WHERE {}", unit.backend.is_among(column, "$1"));
    let found = |row: &QueryResult| {
        let id: String = row.try_get("", "id").map_err(store_error)?;
        Ok((row.try_get("", "value").map_err(store_error)?, parse("id", &id)?))
    };
    unit.query(&sql, [list(wanted)]).await?.iter().map(found).collect()
}

async fn owners_of_identities(unit: &SeaUnit, wanted: &[AuthIdentity]) -> Result<Vec<(LoginKey, UserId)>, StoreError> {
    let pairs: Vec<[&str; 2]> = wanted.iter().map(|identity| [identity.provider.as_str(), &identity.uid]).collect();
    let sql = format!(
        "SELECT provider, uid, user_id FROM user_identity WHERE (provider, uid) IN (SELECT value ->> 0, value ->> 1 FROM {})",
        unit.backend.each(1)
    );
    let found = |row: &QueryResult| {
        let column = |name: &str| row.try_get::<String>("", name).map_err(store_error);
        let identity = AuthIdentity { provider: column("provider")?, uid: column("uid")? };
        Ok((LoginKey::Identity(identity), parse("user_identity.user_id", &column("user_id")?)?))
    };
    unit.query(&sql, [json!(pairs).to_string().into()]).await?.iter().map(found).collect()
}
