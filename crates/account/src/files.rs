//! Uploads and downloads: what may come in, under which name it is kept, and addresses that expire.

use std::time::Duration;

use domain::actor::AccessError;
use domain::file::{File, FileOwner, FilePlace};
use domain::id::FileId;
use domain::time::span;
use domain::{Actor, FieldError, Timestamp};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::counter::{LedgerKey, LedgerScope, Window};
use crate::keys::AccountKeys;
use crate::service::Accounts;
use crate::{AccountError, text};

/// Types that are accepted, by what the bytes say. Nothing a browser would run.
pub const ALLOWED_TYPES: [&str; 15] = [
    "application/pdf",
    "audio/aac",
    "audio/amr",
    "audio/m4a",
    "audio/mpeg",
    "audio/ogg",
    "audio/x-wav",
    "image/bmp",
    "image/gif",
    "image/heif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "video/mp4",
    "video/quicktime",
];
/// Most characters kept of a file's name.
pub const MAX_FILE_NAME_CHARS: usize = 120;

/// Settings of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSettings {
    /// Default 20 MiB.
    pub max_bytes: usize,
    /// Per account. Default 120/h.
    pub uploads: Window,
    /// How long a download address is good. Default 1 hour.
    pub link_lifetime: Duration,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self { max_bytes: 20 * 1024 * 1024, uploads: Window::new(120, span::hours(1)), link_lifetime: span::hours(1) }
    }
}

/// A file as it arrives. What the client says about its type does not count.
#[derive(Clone)]
pub struct NewUpload {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// What makes a download address: to be carried in its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileLink {
    pub id: FileId,
    pub expires_at: Timestamp,
    /// Lower-case hex HMAC-SHA256 over id and expiry.
    pub signature: String,
}

/// A file with its bytes, or where they are.
#[derive(Clone, PartialEq)]
pub enum FileContent {
    Stored { file: File, bytes: Vec<u8> },
    External { file: File, url: String },
}

/// The type that the first bytes show, if it is one of [`ALLOWED_TYPES`].
pub fn sniff(bytes: &[u8]) -> Option<&'static str> {
    let shown = infer::get(bytes)?.mime_type();
    ALLOWED_TYPES.into_iter().find(|allowed| *allowed == shown)
}

/// Whether this caller may see a file as such. Parties of a consultation see files through its records.
pub fn may_use(actor: &Actor, file: &File) -> bool {
    let is_owner = match actor {
        Actor::User(user) => file.is_owned_by_user(user.user),
        _ => false,
    };
    is_owner || actor.staff().is_some() || actor.is_trusted()
}

impl FileLink {
    /// Signs a link with the deployment's keys. Whoever calls this has checked that the person it is for may see the
    /// file.
    pub fn sign(keys: &AccountKeys, id: FileId, expires_at: Timestamp) -> Self {
        let signature = hex::encode(keys.download_mac(&id.to_string(), expires_at.as_millis()));
        Self { id, expires_at, signature }
    }

    /// The address below the address of the native API, e.g. `https://…/api/v1`.
    pub fn address(&self, api: &str) -> String {
        let expires = self.expires_at.as_millis();
        format!("{api}/files/{}/content?expires={expires}&signature={}", self.id, self.signature)
    }
}

impl Accounts {
    /// Takes a file in.
    ///
    /// # Errors
    /// [`AccountError::FileTooLarge`], [`AccountError::FileTypeRefused`], [`AccountError::TooManyUploads`],
    /// [`AccountError::Blob`]; [`AccountError::Access`] without a session or the master key.
    pub async fn upload(&self, actor: &Actor, upload: NewUpload) -> Result<File, AccountError> {
        let owner = owner_of(actor)?;
        let max_bytes = self.settings.files.max_bytes;
        if upload.bytes.len() > max_bytes {
            return Err(AccountError::FileTooLarge { max_bytes });
        }
        if upload.bytes.is_empty() {
            return Err(FieldError::new("file", "must not be empty").into());
        }
        let mime_type = sniff(&upload.bytes).ok_or(AccountError::FileTypeRefused)?;
        self.count_upload(actor).await?;
        let id = FileId(self.ids.next());
        self.keep(id, owner, upload, mime_type, Map::new()).await
    }

    /// Keeps the bytes and what is known of them; the bytes go again when that cannot be written down.
    pub(crate) async fn keep(
        &self,
        id: FileId,
        owner: FileOwner,
        upload: NewUpload,
        mime_type: &str,
        extra: Map<String, Value>,
    ) -> Result<File, AccountError> {
        let key = blob_key(id);
        let file = File {
            id,
            owner,
            name: file_name(&upload.name),
            mime_type: mime_type.to_owned(),
            size: i64::try_from(upload.bytes.len()).ok(),
            sha256: Some(hex::encode(Sha256::digest(&upload.bytes))),
            place: FilePlace::Stored { key: key.clone() },
            extra,
            created_at: self.clock.now(),
        };
        self.blobs.put(&key, upload.bytes, mime_type).await?;
        if let Err(error) = self.insert_file(&file).await {
            if let Err(left) = self.blobs.delete(&key).await {
                tracing::warn!(file.id = %id, error = &left as &dyn std::error::Error, "bytes of a refused upload remain");
            }
            return Err(error);
        }
        Ok(file)
    }

    pub(crate) async fn insert_file(&self, file: &File) -> Result<(), AccountError> {
        let mut unit = self.store.begin().await?;
        unit.files().insert(file).await?;
        Ok(unit.commit().await?)
    }

    pub(crate) async fn count_upload(&self, actor: &Actor) -> Result<(), AccountError> {
        if actor.is_trusted() {
            return Ok(());
        }
        let (now, window) = (self.clock.now(), self.settings.files.uploads);
        let key = LedgerKey::new(LedgerScope::Upload, self.keys.index_of("actor", &actor.label()));
        let mut unit = self.store.begin().await?;
        let mut ledgers = unit.counters().lock_ledgers(&[key]).await?;
        for ledger in &mut ledgers {
            if let Some(wait) = ledger.wait(&[window], now) {
                return Err(AccountError::TooManyUploads { wait });
            }
            ledger.record(now, None, Duration::ZERO, window.within);
        }
        unit.counters().save_ledgers(&ledgers, now).await?;
        Ok(unit.commit().await?)
    }

    /// What is known of a file the caller may use.
    ///
    /// # Errors
    /// [`AccountError::FileNotFound`], also for files of others; [`AccountError::Access`] without a session.
    pub async fn file(&self, actor: &Actor, id: FileId) -> Result<File, AccountError> {
        actor.require_visible(!matches!(actor, Actor::Nobody | Actor::App))?;
        let found = self.store.read().files().find(id).await?;
        found.filter(|file| may_use(actor, file)).ok_or(AccountError::FileNotFound(id))
    }

    /// A download address that needs no further credentials until it expires. Whoever calls this has
    /// checked that the person it is for may see the file.
    pub fn sign_link(&self, id: FileId) -> FileLink {
        FileLink::sign(&self.keys, id, self.clock.now() + self.settings.files.link_lifetime)
    }

    /// As [`Accounts::sign_link`], good until a time of the caller's choosing.
    pub fn sign_link_until(&self, id: FileId, expires_at: Timestamp) -> FileLink {
        FileLink::sign(&self.keys, id, expires_at)
    }

    /// The bytes behind a download address.
    ///
    /// # Errors
    /// [`AccountError::LinkNotAccepted`] when forged or expired; [`AccountError::FileNotFound`], [`AccountError::Blob`].
    pub async fn open_link(&self, link: &FileLink) -> Result<FileContent, AccountError> {
        let expected = hex::encode(self.keys.download_mac(&link.id.to_string(), link.expires_at.as_millis()));
        let is_genuine = bool::from(expected.as_bytes().ct_eq(link.signature.as_bytes()));
        if !is_genuine || link.expires_at <= self.clock.now() {
            return Err(AccountError::LinkNotAccepted);
        }
        let found = self.store.read().files().find(link.id).await?;
        self.content(found.ok_or(AccountError::FileNotFound(link.id))?).await
    }

    /// The bytes of a file the caller may use.
    ///
    /// # Errors
    /// As for [`Accounts::file`]; [`AccountError::Blob`].
    pub async fn download(&self, actor: &Actor, id: FileId) -> Result<FileContent, AccountError> {
        let file = self.file(actor, id).await?;
        self.content(file).await
    }

    async fn content(&self, file: File) -> Result<FileContent, AccountError> {
        match file.place.clone() {
            FilePlace::External { url } => Ok(FileContent::External { file, url }),
            FilePlace::Stored { key } => {
                let bytes = self.blobs.get(&key).await?.ok_or(AccountError::FileNotFound(file.id))?;
                Ok(FileContent::Stored { file, bytes })
            }
        }
    }
}

pub(crate) fn owner_of(actor: &Actor) -> Result<FileOwner, AccessError> {
    match actor {
        Actor::User(user) => Ok(FileOwner::User(user.user)),
        Actor::Agent(id) | Actor::Admin(id) => Ok(FileOwner::Staff(*id)),
        Actor::Integrator | Actor::System => Ok(FileOwner::System),
        Actor::Nobody | Actor::App => Err(AccessError::Unauthenticated),
        Actor::Client(_) => Err(AccessError::Forbidden),
    }
}

/// Spread over 256 folders by the id's last byte, which counts.
fn blob_key(id: FileId) -> String {
    let [.., last] = *id.0.as_bytes();
    format!("{last:02x}/{id}")
}

/// The last part of what the client calls it, for people to read.
pub(crate) fn file_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = text::shortened(last, MAX_FILE_NAME_CHARS);
    if name.is_empty() { "file".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::memory::{Fixture, PNG, fixture};

    async fn user(f: &Fixture, phone: &str) -> Actor {
        let token = f.sign_in(phone).await.session.token;
        f.accounts.resolve(&token).await.unwrap().unwrap().actor
    }

    fn png(name: &str) -> NewUpload {
        NewUpload { name: name.into(), bytes: PNG.to_vec() }
    }

    #[rstest]
    #[case(b"\xff\xd8\xff\xe0\x00\x10JFIF", Some("image/jpeg"))]
    #[case(b"%PDF-1.7\n", Some("application/pdf"))]
    #[case(b"#!AMR\n\x3c\0\0\0\0\0\0", Some("audio/amr"))]
    #[case(b"ID3\x04\x00", Some("audio/mpeg"))]
    #[case(b"<!DOCTYPE html><html></html>", None)]
    #[case(b"<svg xmlns='http://www.w3.org/2000/svg'></svg>", None)]
    #[case(b"MZ\x90\x00", None)]
    #[case(b"PK\x03\x04", None)]
    #[case(b"plain text", None)]
    #[case(b"", None)]
    fn the_bytes_decide_the_type(#[case] bytes: &[u8], #[case] expected: Option<&str>) {
        assert_eq!(sniff(bytes), expected);
    }

    #[tokio::test]
    async fn an_upload_is_hashed_named_and_stored() {
        let f = fixture();
        let actor = user(&f, "13900000000").await;
        let file = f.accounts.upload(&actor, png("C:\\照片/..\\证书.png\u{0}")).await.unwrap();
        assert_eq!((file.name.as_str(), file.mime_type.as_str()), ("证书.png", "image/png"));
        assert_eq!(file.size, i64::try_from(PNG.len()).ok());
        assert_eq!(file.sha256, Some(hex::encode(Sha256::digest(PNG))));
        let FileContent::Stored { bytes, .. } = f.accounts.download(&actor, file.id).await.unwrap() else {
            panic!("stored here")
        };
        assert_eq!(bytes, PNG);
    }

    #[tokio::test]
    async fn the_size_limit_holds_at_the_boundary() {
        let f = fixture();
        let actor = user(&f, "13900000000").await;
        let of_size = |len: usize| {
            let mut bytes = PNG.to_vec();
            bytes.resize(len, 0);
            NewUpload { name: "a".into(), bytes }
        };
        let max_bytes = FileSettings::default().max_bytes;
        assert!(f.accounts.upload(&actor, of_size(max_bytes)).await.is_ok());
        let refused = f.accounts.upload(&actor, of_size(max_bytes + 1)).await;
        assert!(matches!(refused, Err(AccountError::FileTooLarge { .. })));
        assert!(matches!(f.accounts.upload(&actor, of_size(0)).await, Err(AccountError::Invalid(_))));
        let text = NewUpload { name: "a.png".into(), bytes: b"not a picture".to_vec() };
        assert!(matches!(f.accounts.upload(&actor, text).await, Err(AccountError::FileTypeRefused)));
        assert!(f.accounts.upload(&Actor::App, png("a.png")).await.is_err());
    }

    #[tokio::test]
    async fn one_account_uploads_at_most_so_much_an_hour() {
        let f = fixture();
        let actor = user(&f, "13900000000").await;
        for _ in 0..120 {
            f.accounts.upload(&actor, png("a.png")).await.unwrap();
        }
        let refused = f.accounts.upload(&actor, png("a.png")).await;
        assert!(matches!(refused, Err(AccountError::TooManyUploads { wait }) if wait == span::hours(1)));
        f.clock.advance(span::hours(1));
        assert!(f.accounts.upload(&actor, png("a.png")).await.is_ok());
    }

    #[tokio::test]
    async fn only_the_owner_and_staff_may_use_a_file() {
        let f = fixture();
        let (own, other) = (user(&f, "13900000000").await, user(&f, "13900000001").await);
        let id = f.accounts.upload(&own, png("a.png")).await.unwrap().id;
        assert!(matches!(f.accounts.download(&other, id).await, Err(AccountError::FileNotFound(_))));
        assert!(matches!(f.accounts.download(&Actor::App, id).await, Err(AccountError::Access(_))));
        assert!(f.accounts.download(&f.admin().await, id).await.is_ok());
        assert!(f.accounts.download(&Actor::Integrator, id).await.is_ok());
    }

    #[tokio::test]
    async fn a_link_opens_until_it_expires_and_cannot_be_changed() {
        let f = fixture();
        let actor = user(&f, "13900000000").await;
        let id = f.accounts.upload(&actor, png("a.png")).await.unwrap().id;
        let other = f.accounts.upload(&actor, png("b.png")).await.unwrap().id;
        let link = f.accounts.sign_link(id);
        assert!(f.accounts.open_link(&link).await.is_ok());
        let swapped = FileLink { id: other, ..link.clone() };
        let prolonged = FileLink { expires_at: link.expires_at + span::hours(1), ..link.clone() };
        let unsigned = FileLink { signature: String::new(), ..link.clone() };
        for forged in [swapped, prolonged, unsigned] {
            assert!(matches!(f.accounts.open_link(&forged).await, Err(AccountError::LinkNotAccepted)));
        }
        f.clock.advance(span::hours(1));
        assert!(matches!(f.accounts.open_link(&link).await, Err(AccountError::LinkNotAccepted)));
    }

    #[tokio::test]
    async fn a_row_that_cannot_be_written_leaves_no_bytes() {
        let f = fixture();
        let actor = user(&f, "13900000000").await;
        f.store.fail_file_inserts();
        assert!(f.accounts.upload(&actor, png("a.png")).await.is_err());
        assert!(f.blobs.is_empty());
    }

    #[tokio::test]
    async fn an_imported_file_is_still_where_it_was() {
        let f = fixture();
        let id = FileId(f.ids.next_id());
        let url = "https://files.example/a.png".to_owned();
        let file = File {
            id,
            owner: FileOwner::System,
            name: "a.png".into(),
            mime_type: "image/png".into(),
            size: None,
            sha256: None,
            place: FilePlace::External { url: url.clone() },
            extra: Map::new(),
            created_at: f.clock.now(),
        };
        f.edit(|state| state.files.push(file.clone()));
        let opened = f.accounts.open_link(&f.accounts.sign_link(id)).await.unwrap();
        assert!(opened == FileContent::External { file, url });
    }
}
