//! Uploads in two steps: somebody signed in gets a token, and whoever brings the token may put one file in its name.
//!
//! The token says everything, so that nothing is stored before the bytes are there.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::actor::{AccessError, UserActor};
use domain::file::{File, FileOwner, FilePlace};
use domain::id::{FileId, SessionId, UserId};
use domain::time::span;
use domain::{Actor, FieldError, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;
use subtle::ConstantTimeEq;

use crate::AccountError;
use crate::files::{NewUpload, file_name, owner_of, sniff};
use crate::service::Accounts;

/// How long a token is good.
const LIFETIME: Duration = span::hours(1);
/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Largest metadata, in bytes of its JSON.
pub const MAX_META_BYTES: usize = 2 * 1024;

/// What a token allows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UploadGrant {
    pub id: FileId,
    /// Nobody: the master key asked.
    user: Option<UserId>,
    session: Option<SessionId>,
    pub name: String,
    pub meta_data: Map<String, Value>,
    pub created_at: Timestamp,
    expires_at: Timestamp,
}

impl UploadGrant {
    /// Who was given it.
    fn actor(&self) -> Actor {
        match (self.user, self.session) {
            (Some(user), Some(session)) => Actor::User(UserActor { user, session, patient: None, doctor: None }),
            _ => Actor::Integrator,
        }
    }
}

/// Says what an upload may be; opaque to clients.
#[derive(Clone, PartialEq, Eq)]
pub struct UploadToken(pub String);

impl Accounts {
    /// Leave to put in one file.
    ///
    /// # Errors
    /// [`AccountError::Access`] without a session or the master key; [`AccountError::Invalid`] for metadata too large.
    pub fn grant_upload(
        &self,
        actor: &Actor,
        name: &str,
        meta_data: Map<String, Value>,
    ) -> Result<(UploadGrant, UploadToken), AccountError> {
        let (user, session) = match actor {
            Actor::User(user) => (Some(user.user), Some(user.session)),
            Actor::Integrator => (None, None),
            other => return Err(other.refuse(AccessError::Forbidden).into()),
        };
        if serde_json::to_vec(&meta_data).map_or(usize::MAX, |json| json.len()) > MAX_META_BYTES {
            return Err(FieldError::new("metaData", format!("has at most {MAX_META_BYTES} bytes")).into());
        }
        let created_at = self.clock.now();
        let id = FileId(self.ids.next());
        let name = file_name(name);
        let expires_at = created_at + LIFETIME;
        let grant = UploadGrant { id, user, session, name, meta_data, created_at, expires_at };
        let text = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&grant).or(Err(AccountError::LinkNotAccepted))?);
        let mac = hex::encode(self.keys.upload_mac(&text));
        Ok((grant, UploadToken(format!("{text}.{mac}"))))
    }

    /// What a token allows, if it is genuine and still good.
    ///
    /// # Errors
    /// [`AccountError::LinkNotAccepted`].
    pub fn read_upload_token(&self, token: &str) -> Result<UploadGrant, AccountError> {
        let read = || {
            let (text, mac) = token.split_once('.').filter(|_| token.len() <= MAX_TOKEN_BYTES)?;
            let mac = hex::decode(mac).ok()?;
            if !bool::from(self.keys.upload_mac(text).ct_eq(&mac)) {
                return None;
            }
            let grant: UploadGrant = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
            (grant.expires_at > self.clock.now()).then_some(grant)
        };
        read().ok_or(AccountError::LinkNotAccepted)
    }

    /// Takes in the file of a token, once.
    ///
    /// # Errors
    /// As [`Accounts::upload`]; [`AccountError::LinkNotAccepted`]; [`AccountError::Conflict`] when it was used.
    pub async fn upload_by_token(&self, token: &str, bytes: Vec<u8>) -> Result<File, AccountError> {
        let grant = self.read_upload_token(token)?;
        let max_bytes = self.settings.files.max_bytes;
        if bytes.len() > max_bytes {
            return Err(AccountError::FileTooLarge { max_bytes });
        }
        let mime_type = sniff(&bytes).ok_or(AccountError::FileTypeRefused)?;
        if self.store.read().files().find(grant.id).await?.is_some() {
            return Err(AccountError::Conflict);
        }
        let actor = grant.actor();
        self.count_upload(&actor).await?;
        let extra = if grant.meta_data.is_empty() {
            Map::new()
        } else {
            Map::from_iter([("metaData".to_owned(), Value::Object(grant.meta_data))])
        };
        let upload = NewUpload { name: grant.name, bytes };
        self.keep(grant.id, owner_of(&actor)?, upload, mime_type, extra).await
    }

    /// Takes the file of a token back out: whoever put it in says that it failed. Nothing happens when there is none, or
    /// when a profile shows it.
    ///
    /// # Errors
    /// [`AccountError::LinkNotAccepted`]; [`AccountError::Store`].
    pub async fn withdraw_upload(&self, token: &str) -> Result<(), AccountError> {
        let grant = self.read_upload_token(token)?;
        match self.delete_file(&grant.actor(), grant.id).await {
            Ok(()) | Err(AccountError::FileNotFound(_) | AccountError::Conflict) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes down a file that is at an outside address.
    ///
    /// # Errors
    /// [`AccountError::Access`] without a session or the master key; [`AccountError::TooManyUploads`];
    /// [`AccountError::Invalid`] unless the address is one of the web.
    pub async fn add_external_file(&self, actor: &Actor, new: ExternalFile) -> Result<File, AccountError> {
        let owner = owner_of(actor)?;
        let is_web = new.url.starts_with("https://") || new.url.starts_with("http://");
        if !is_web || new.url.len() > 2_048 || new.url.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(FieldError::new("url", "is an address that begins with https:// or http://").into());
        }
        self.count_upload(actor).await?;
        let file = File {
            id: FileId(self.ids.next()),
            owner,
            name: file_name(&new.name),
            mime_type: new.mime_type,
            size: None,
            sha256: None,
            place: FilePlace::External { url: new.url },
            extra: Map::from_iter([("metaData".to_owned(), Value::Object(new.meta_data))]),
            created_at: self.clock.now(),
        };
        self.insert_file(&file).await?;
        Ok(file)
    }

    /// Deletes a file of the caller's, unless a profile shows it.
    ///
    /// # Errors
    /// [`AccountError::FileNotFound`], also for files of others; [`AccountError::Conflict`] when it is in use;
    /// [`AccountError::Access`] without a session.
    pub async fn delete_file(&self, actor: &Actor, id: FileId) -> Result<(), AccountError> {
        let file = self.file(actor, id).await?;
        let is_own = match actor {
            Actor::User(user) => file.owner == FileOwner::User(user.user),
            other => other.is_trusted(),
        };
        if !is_own {
            return Err(AccountError::FileNotFound(id));
        }
        let mut unit = self.store.begin().await?;
        if !unit.files().delete(id).await? {
            return Err(AccountError::Conflict);
        }
        unit.audit().append_all(&[self.audit_event(actor, "file.delete", format!("file:{id}"))]).await?;
        unit.commit().await?;
        if let FilePlace::Stored { key } = file.place {
            self.blobs.delete(&key).await?;
        }
        Ok(())
    }
}

/// A file that stays where it is.
#[derive(Clone)]
pub struct ExternalFile {
    pub name: String,
    pub url: String,
    pub mime_type: String,
    pub meta_data: Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::memory::{Fixture, PNG, fixture};

    async fn actor(f: &Fixture, phone: &str) -> Actor {
        let signed = f.sign_in(phone).await;
        f.accounts.resolve(&signed.session.token).await.unwrap().unwrap().actor
    }

    #[tokio::test]
    async fn a_token_puts_one_file_in_its_owners_name() {
        let f = fixture();
        let owner = actor(&f, "13900000000").await;
        let meta = json!({"width": 1}).as_object().unwrap().clone();
        let (grant, token) = f.accounts.grant_upload(&owner, "a/b.png", meta).unwrap();
        let file = f.accounts.upload_by_token(&token.0, PNG.to_vec()).await.unwrap();
        assert_eq!((file.id, file.name.as_str()), (grant.id, "b.png"));
        assert_eq!(file.extra["metaData"], json!({"width": 1}));
        assert!(f.accounts.file(&owner, file.id).await.is_ok());
        let again = f.accounts.upload_by_token(&token.0, PNG.to_vec()).await;
        assert!(matches!(again, Err(AccountError::Conflict)));
    }

    #[tokio::test]
    async fn forged_and_old_tokens_and_strangers_get_nothing() {
        let f = fixture();
        let owner = actor(&f, "13900000000").await;
        assert!(f.accounts.grant_upload(&Actor::App, "x", Map::new()).is_err());
        let (_, UploadToken(token)) = f.accounts.grant_upload(&owner, "x", Map::new()).unwrap();
        let (text, mac) = token.split_once('.').unwrap();
        let other = URL_SAFE_NO_PAD.encode(b"{}");
        for forged in ["", ".", text, &format!("{other}.{mac}"), &format!("{text}.00")] {
            assert!(f.accounts.read_upload_token(forged).is_err(), "{forged}");
        }
        f.clock.advance(LIFETIME);
        assert!(matches!(f.accounts.read_upload_token(&token), Err(AccountError::LinkNotAccepted)));
    }

    #[tokio::test]
    async fn what_is_not_accepted_as_an_upload_is_not_by_token() {
        let f = fixture();
        let owner = actor(&f, "13900000000").await;
        let (_, token) = f.accounts.grant_upload(&owner, "x.html", Map::new()).unwrap();
        let refused = f.accounts.upload_by_token(&token.0, b"<script>".to_vec()).await;
        assert!(matches!(refused, Err(AccountError::FileTypeRefused)));
        let large = json!({"x": "y".repeat(MAX_META_BYTES)}).as_object().unwrap().clone();
        assert!(f.accounts.grant_upload(&owner, "x", large).is_err());
    }

    #[tokio::test]
    async fn only_the_owner_deletes_a_file() {
        let f = fixture();
        let owner = actor(&f, "13900000000").await;
        let (_, token) = f.accounts.grant_upload(&owner, "x.png", Map::new()).unwrap();
        let file = f.accounts.upload_by_token(&token.0, PNG.to_vec()).await.unwrap();
        f.clock.advance(span::minutes(2));
        let stranger = actor(&f, "13900000001").await;
        assert!(f.accounts.delete_file(&stranger, file.id).await.is_err());
        assert!(f.accounts.delete_file(&Actor::App, file.id).await.is_err());
        f.accounts.delete_file(&owner, file.id).await.unwrap();
        assert!(f.accounts.file(&owner, file.id).await.is_err());
    }

    #[tokio::test]
    async fn outside_files_are_at_addresses_of_the_web() {
        let f = fixture();
        let owner = actor(&f, "13900000000").await;
        let new = |url: &str| ExternalFile {
            name: "x".into(),
            url: url.into(),
            mime_type: "image/png".into(),
            meta_data: Map::new(),
        };
        assert!(f.accounts.add_external_file(&owner, new("https://example.invalid/a.png")).await.is_ok());
        for bad in ["javascript:alert(1)", "file:///etc/passwd", "https://a b"] {
            assert!(f.accounts.add_external_file(&owner, new(bad)).await.is_err(), "{bad}");
        }
    }
}
