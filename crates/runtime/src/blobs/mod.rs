//! Where the bytes of files are kept: a local folder, memory, or an object store.

#[cfg(feature = "cloud-files")]
mod cloud;
#[cfg(feature = "cloud-files")]
mod transport;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use async_trait::async_trait;
use domain::file::{BlobError, BlobStore};
use opendal::{ErrorKind, Operator, services};

use crate::StartError;
use crate::config::Files;

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 200;

/// Keeps files through opendal at the place that `files.url` names.
#[derive(Debug, Clone)]
pub struct OpendalBlobs {
    operator: Operator,
}

impl OpendalBlobs {
    /// Opens the place of `files.url`; a local folder is created when absent, closed to other users.
    ///
    /// # Errors
    /// [`StartError::Files`] when the folder cannot be made or the scheme is not part of this build.
    pub fn open(files: &Files) -> Result<Self, StartError> {
        let (scheme, rest) = files.url.split_once("://").unwrap_or_default();
        let operator = match scheme {
            "fs" => local(Path::new(rest))?,
            "memory" => Operator::new(services::Memory::default()).map_err(|e| failed("cannot be opened", e))?,
            #[cfg(feature = "cloud-files")]
            "s3" | "oss" | "cos" => cloud::open(scheme, rest, files)?,
            _ => return Err(StartError::Files { problem: "has a scheme that this build cannot open", source: None }),
        };
        Ok(Self { operator })
    }
}

fn local(folder: &Path) -> Result<Operator, StartError> {
    let folder = std::path::absolute(folder).map_err(|e| failed("is not a folder", e))?;
    // Half-written files live beside the finished ones until they are renamed into place.
    let drafts = folder.join(".drafts");
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&drafts)
        .map_err(|e| failed("is a folder that cannot be made", e))?;
    let (Some(folder), Some(drafts)) = (folder.to_str(), drafts.to_str()) else {
        return Err(StartError::Files { problem: "is a folder whose name is not UTF-8", source: None });
    };
    Operator::new(services::Fs::default().root(folder).atomic_write_dir(drafts))
        .map_err(|e| failed("is a folder that cannot be used", e))
}

fn failed(problem: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> StartError {
    StartError::Files { problem, source: Some(Box::new(source)) }
}

/// The key could lead out of the store or hide in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a file key is made of lower-case letters, digits, -, _, . and / between its parts")]
pub struct MalformedKey;

/// Passes only keys that mean one place in every kind of store: no `..`, no hidden parts, no empty ones.
fn checked(key: &str) -> Result<&str, BlobError> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_plain);
    let is_key = key.len() <= MAX_KEY_BYTES && key.split('/').all(is_part);
    if is_key { Ok(key) } else { Err(BlobError(Box::new(MalformedKey))) }
}

fn blob_error(error: opendal::Error) -> BlobError {
    BlobError(Box::new(error))
}

#[async_trait]
impl BlobStore for OpendalBlobs {
    async fn put(&self, key: &str, bytes: Vec<u8>, mime_type: &str) -> Result<(), BlobError> {
        let key = checked(key)?;
        let can_tell_type = self.operator.info().capability().write_with_content_type;
        let write = self.operator.write_with(key, bytes);
        let write = if can_tell_type { write.content_type(mime_type) } else { write };
        write.await.map(|_metadata| ()).map_err(blob_error)
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, BlobError> {
        match self.operator.read(checked(key)?).await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(blob_error(error)),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.operator.delete(checked(key)?).await.map_err(blob_error)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn files(url: &str) -> Files {
        Files { url: url.to_owned(), ..Files::default() }
    }

    fn folder_store() -> (tempfile::TempDir, OpendalBlobs) {
        let folder = tempfile::tempdir().unwrap();
        let store = OpendalBlobs::open(&files(&format!("fs://{}/new/files", folder.path().display()))).unwrap();
        (folder, store)
    }

    async fn keeps_and_forgets(store: &OpendalBlobs) {
        assert_eq!(store.get("ab/cd.png").await.unwrap(), None);
        store.put("ab/cd.png", vec![1, 2, 3], "image/png").await.unwrap();
        assert_eq!(store.get("ab/cd.png").await.unwrap(), Some(vec![1, 2, 3]));
        store.delete("ab/cd.png").await.unwrap();
        assert_eq!(store.get("ab/cd.png").await.unwrap(), None);
        store.delete("ab/cd.png").await.unwrap();
    }

    #[tokio::test]
    async fn a_folder_keeps_and_forgets() {
        let (folder, store) = folder_store();
        keeps_and_forgets(&store).await;
        let mode = std::fs::metadata(folder.path().join("new/files")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "other users cannot look in");
    }

    #[tokio::test]
    async fn memory_keeps_and_forgets() {
        keeps_and_forgets(&OpendalBlobs::open(&files("memory://")).unwrap()).await;
    }

    #[tokio::test]
    async fn a_folder_keeps_files_over_a_restart_and_leaves_no_drafts() {
        let (folder, store) = folder_store();
        store.put("a/b", vec![7; 100_000], "image/png").await.unwrap();
        drop(store);
        let again = OpendalBlobs::open(&files(&format!("fs://{}/new/files", folder.path().display()))).unwrap();
        assert_eq!(again.get("a/b").await.unwrap().map(|bytes| bytes.len()), Some(100_000));
        assert_eq!(std::fs::read_dir(folder.path().join("new/files/.drafts")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn keys_never_lead_out_of_the_store() {
        let (folder, store) = folder_store();
        std::fs::write(folder.path().join("outside"), "x").unwrap();
        let long = "a".repeat(MAX_KEY_BYTES + 1);
        for key in [
            "../outside",
            "a/../../outside",
            "/etc/passwd",
            "",
            "a//b",
            "a/",
            ".drafts/x",
            "a\\b",
            "A",
            "王",
            "a\0",
            &long,
        ] {
            assert!(store.get(key).await.is_err(), "{key}");
            assert!(store.put(key, vec![1], "text/plain").await.is_err(), "{key}");
            assert!(store.delete(key).await.is_err(), "{key}");
        }
        assert!(folder.path().join("outside").exists());
        assert!(checked(&"a".repeat(MAX_KEY_BYTES)).is_ok());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "x").unwrap();
        let refused = OpendalBlobs::open(&files(&format!("fs://{}/file/inside", folder.path().display())));
        assert!(matches!(refused, Err(StartError::Files { .. })));
        assert!(matches!(OpendalBlobs::open(&files("ftp://x")), Err(StartError::Files { .. })));
    }
}
