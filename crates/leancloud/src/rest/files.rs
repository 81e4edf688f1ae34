//! `_File`: tokens for uploads, the uploads themselves, and files at outside addresses.

use account::uploads::{ExternalFile, UploadGrant};
use domain::file::{File, FileOwner, FilePlace};
use domain::id::FileId;
use serde_json::{Map, Value, json};

use super::objects::{Caller, Created, Rest};
use super::shape::{address, meta_data};
use super::{FileUrls, RestError};
use crate::ops::Changes;

pub use account::uploads::UploadToken;

const UNKNOWN_MIME_TYPE: &str = "application/octet-stream";
/// The name of the place files are kept in; SDKs want one.
const BUCKET: &str = "zhaoguan";

/// Leave to upload one file, and where.
#[derive(Clone)]
pub struct FileTicket {
    pub grant: UploadGrant,
    pub token: UploadToken,
    pub mime_type: String,
    /// The address the file will have.
    pub url: String,
}

impl FileTicket {
    /// The answer to `fileTokens`.
    pub fn answer(&self, provider: &str, upload_url: &str) -> Value {
        let id = self.grant.id.to_string();
        json!({
            "objectId": id,
            "createdAt": self.grant.created_at.to_rfc3339(),
            "name": self.grant.name,
            "url": self.url,
            "mime_type": self.mime_type,
            "provider": provider,
            "bucket": BUCKET,
            "key": id,
            "token": self.token.0,
            "upload_url": upload_url,
        })
    }
}

impl Rest {
    /// Leave to upload a file.
    ///
    /// # Errors
    /// [`RestError::WriteForbidden`] without a session; [`RestError::WrongType`] for metadata too large.
    pub fn file_token(&self, caller: &Caller, body: &Map<String, Value>) -> Result<FileTicket, RestError> {
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        let meta = body.get("metaData").and_then(Value::as_object).cloned().unwrap_or_default();
        let name = text("name").unwrap_or("file");
        let granted = self.ports.accounts.grant_upload(&caller.actor, name, meta);
        let (grant, token) = granted.map_err(without_session)?;
        // Mini-programs say no more of a file than its name.
        let mime_type = text("mime_type").unwrap_or_else(|| mime_type_of(name)).to_owned();
        let url = self.ports.urls.url(&future(&grant));
        Ok(FileTicket { grant, token, mime_type, url })
    }

    /// Takes in the file of a token.
    ///
    /// # Errors
    /// [`RestError::BadFile`] for types that are not accepted; [`RestError::TooManyFiles`].
    pub async fn upload(&self, token: &str, bytes: Vec<u8>) -> Result<File, RestError> {
        Ok(self.ports.accounts.upload_by_token(token, bytes).await?)
    }

    /// `fileCallback`: a client says whether its upload came through; the file of one that did not goes.
    ///
    /// # Errors
    /// [`RestError::Store`]. A token that is not good any more says nothing.
    pub async fn upload_ended(&self, body: &Map<String, Value>) -> Result<(), RestError> {
        let has_failed = body.get("result") == Some(&Value::Bool(false));
        let Some(token) = body.get("token").and_then(Value::as_str).filter(|_| has_failed) else { return Ok(()) };
        match self.ports.accounts.withdraw_upload(token).await {
            Ok(()) | Err(account::AccountError::LinkNotAccepted) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A file at an outside address: `POST /files`.
    pub(super) async fn create_external_file(
        &self,
        caller: &Caller,
        body: Map<String, Value>,
    ) -> Result<Created, RestError> {
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let url = text("url").ok_or(RestError::MissingField("url"))?;
        let meta = body.get("metaData").cloned().unwrap_or_else(|| json!({}));
        let mut meta_data = Map::new();
        if let Value::Object(meta) = meta {
            Changes::parse(meta)?.apply(&mut meta_data)?;
        }
        let new = ExternalFile {
            name: text("name").unwrap_or_else(|| "file".into()),
            url,
            mime_type: text("mime_type").unwrap_or_else(|| UNKNOWN_MIME_TYPE.into()),
            meta_data,
        };
        let added = self.ports.accounts.add_external_file(&caller.actor, new).await;
        let file = added.map_err(without_session)?;
        let mut answer = row(&file, self.ports.urls.as_ref());
        answer.insert("objectId".into(), json!(file.id.to_string()));
        answer.insert("createdAt".into(), json!(file.created_at.to_rfc3339()));
        Ok(Created { id: file.id.0, answer: Value::Object(answer) })
    }

    pub(super) async fn delete_files(&self, caller: &Caller, ids: &[&str]) -> Result<(), RestError> {
        for id in ids {
            let id: FileId = id.parse().or(Err(RestError::NotFound))?;
            match self.ports.accounts.delete_file(&caller.actor, id).await {
                Ok(()) => {}
                Err(account::AccountError::FileNotFound(_)) => return Err(RestError::NotFound),
                Err(account::AccountError::Conflict) => return Err(RestError::NotFromClients),
                Err(error) => return Err(without_session(error)),
            }
        }
        Ok(())
    }
}

/// The type that a name promises; the bytes decide what a file is taken for.
fn mime_type_of(name: &str) -> &'static str {
    let (_, extension) = name.rsplit_once('.').unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "bmp" => "image/bmp",
        "heic" | "heif" => "image/heif",
        "mp3" => "audio/mpeg",
        "m4a" => "audio/m4a",
        "aac" => "audio/aac",
        "ogg" => "audio/ogg",
        "amr" => "audio/amr",
        "wav" => "audio/x-wav",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "pdf" => "application/pdf",
        _ => UNKNOWN_MIME_TYPE,
    }
}

/// Who is not signed in has no files.
fn without_session(error: account::AccountError) -> RestError {
    match error {
        account::AccountError::Access(_) => RestError::WriteForbidden,
        other => other.into(),
    }
}

/// A `_File` row without id and times.
pub(super) fn row(file: &File, urls: &dyn FileUrls) -> Map<String, Value> {
    let mut row = Map::new();
    row.insert("name".into(), json!(file.name));
    row.insert("url".into(), json!(address(file, urls)));
    row.insert("mime_type".into(), json!(file.mime_type));
    row.insert("metaData".into(), meta_data(file));
    row.insert("bucket".into(), json!(BUCKET));
    row.insert("key".into(), json!(file.id.to_string()));
    row
}

/// The file a grant will become, for its address.
fn future(grant: &UploadGrant) -> File {
    File {
        id: grant.id,
        owner: FileOwner::System,
        name: grant.name.clone(),
        mime_type: UNKNOWN_MIME_TYPE.into(),
        size: None,
        sha256: None,
        place: FilePlace::Stored { key: String::new() },
        extra: Map::new(),
        created_at: grant.created_at,
    }
}

#[cfg(test)]
mod tests {
    use super::mime_type_of;

    #[test]
    fn names_promise_types() {
        assert_eq!(
            ["face.PNG", "a.b.jpeg", "x.exe", "png", ""].map(mime_type_of),
            [
                "image/png",
                "image/jpeg",
                "application/octet-stream",
                "application/octet-stream",
                "application/octet-stream"
            ]
        );
    }
}
