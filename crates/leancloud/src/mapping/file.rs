//! `_File` rows, and files as they stand in fields of other rows.

use domain::file::{File, FileOwner, FilePlace};
use domain::id::FileId;
use domain::{ObjectId, Timestamp};
use md5::{Digest, Md5};
use serde_json::{Map, Value};

use super::fields::Fields;
use super::{MapContext, Mapped, Unmappable, read};
use crate::finding::{Note, Problem};
use crate::wire::{FileValue, Typed};

const UNKNOWN_MIME_TYPE: &str = "application/octet-stream";

/// A `_File` row. Files have no time of change of their own here, the importer remembers the exported one.
#[derive(Debug, Clone, PartialEq)]
pub struct FileRow {
    pub file: File,
    pub updated_at: Timestamp,
}

/// Maps a `_File` row. Files that LeanCloud keeps itself have no address in an export, only a `key`.
///
/// # Errors
/// [`Unmappable`] when it has no usable id, or neither address nor key.
pub fn map_file(row: &Map<String, Value>, context: &MapContext) -> Result<Mapped<FileRow>, Unmappable> {
    let mut fields = Fields::new("_File", row)?;
    let url = fields.convert("url", web_address);
    // The key stays in `extra` as well: it is what finds the bytes again.
    let key = fields.text("key").filter(|key| !key.trim().is_empty());
    if let Some(key) = &key {
        fields.keep("key", key.clone().into());
    }
    let url = match (url, key) {
        (Some(url), _) => url,
        (None, Some(key)) => {
            let key = key.trim_start_matches('/').to_owned();
            if let Some(base) = &context.files_url {
                format!("{base}/{key}")
            } else {
                fields.note(Note::field("url", Problem::BadFile));
                key
            }
        }
        (None, None) => return Err(Unmappable { id: Some(fields.id), note: Note::field("url", Problem::BadFile) }),
    };
    let meta_data = fields.take("metaData");
    let name = fields.text("name").filter(|name| !name.trim().is_empty()).unwrap_or_else(|| name_of(&url));
    let mime_type = fields.text("mime_type").unwrap_or_else(|| UNKNOWN_MIME_TYPE.into());
    let size = size_of(meta_data.as_ref());
    if let Some(meta_data) = meta_data {
        fields.keep("metaData", meta_data);
    }
    let (id, created_at, updated_at) = (FileId(fields.id), fields.created_at, fields.updated_at);
    if fields.original("updatedAt").is_none() {
        fields.keep("updatedAt", updated_at.to_rfc3339().into());
    }
    Ok(fields.finish(|extra| {
        let place = FilePlace::External { url };
        let owner = FileOwner::System;
        FileRow { file: File { id, owner, name, mime_type, size, sha256: None, place, extra, created_at }, updated_at }
    }))
}

/// A file found in a field.
pub(super) struct FoundFile {
    pub(super) id: FileId,
    /// The file itself, when its address stood there.
    pub(super) file: Option<File>,
    /// What stood there was no file value, so the original has to be kept.
    pub(super) is_loose: bool,
}

/// Reads a file value, a pointer to a `_File` row, or a bare address. A file without an id gets one made of `origin`
/// and its address, so that importing again finds the same file.
pub(super) fn in_field(value: &Value, origin: &str, created_at: Timestamp) -> Result<FoundFile, Problem> {
    if let Value::String(text) = value {
        let url = web_address(value)?;
        let id = made_id(origin, text);
        let bare = FileValue { url: Some(url.clone()), ..FileValue::default() };
        return Ok(FoundFile { id, file: Some(external(id, bare, url, created_at)), is_loose: true });
    }
    match Typed::parse(value) {
        Some(Typed::File(file)) => {
            let url = file.url.as_ref().map(|url| web_address(&Value::from(url.as_str()))).transpose()?;
            match (file.id, url) {
                (Some(id), None) => Ok(FoundFile { id: FileId(id), file: None, is_loose: false }),
                (id, Some(url)) => {
                    let id = id.map_or_else(|| made_id(origin, &url), FileId);
                    Ok(FoundFile { id, file: Some(external(id, file, url, created_at)), is_loose: false })
                }
                (None, None) => Err(Problem::BadFile),
            }
        }
        Some(Typed::Pointer(pointer)) if pointer.class == "_File" => {
            Ok(FoundFile { id: FileId(pointer.id), file: None, is_loose: false })
        }
        _ => Err(Problem::BadFile),
    }
}

fn external(id: FileId, value: FileValue, url: String, created_at: Timestamp) -> File {
    let mut extra = value.other;
    let size = size_of(value.meta_data.as_ref());
    if let Some(meta_data) = value.meta_data {
        extra.insert("metaData".into(), meta_data);
    }
    File {
        id,
        owner: FileOwner::System,
        name: value.name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| name_of(&url)),
        mime_type: value.mime_type.unwrap_or_else(|| UNKNOWN_MIME_TYPE.into()),
        size,
        sha256: None,
        place: FilePlace::External { url },
        extra,
        created_at,
    }
}

/// Clients are sent to these addresses, so nothing but http(s) is taken.
fn web_address(value: &Value) -> Result<String, Problem> {
    let text = read::text(value).or(Err(Problem::BadFile))?;
    let text = text.trim();
    let is_web = text.starts_with("https://") || text.starts_with("http://");
    if is_web && !text.contains(char::is_whitespace) { Ok(text.to_owned()) } else { Err(Problem::BadFile) }
}

fn made_id(origin: &str, url: &str) -> FileId {
    let digest = Md5::new().chain_update(origin).chain_update("\0").chain_update(url).finalize();
    let mut bytes = [0; 12];
    bytes.iter_mut().zip(digest).for_each(|(byte, digest)| *byte = digest);
    FileId(ObjectId::from_bytes(bytes))
}

/// The last part of an address.
fn name_of(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("file");
    name.chars().take(100).collect()
}

fn size_of(meta_data: Option<&Value>) -> Option<i64> {
    meta_data?.get("size")?.as_i64().filter(|size| *size >= 0)
}
