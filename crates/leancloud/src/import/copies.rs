//! Bringing the bytes of files in from a folder, where an export left them or a fetch put them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::file::{BlobStore, File, FilePlace};
use domain::id::FileId;
use sha2::{Digest, Sha256};

use super::batch::Run;
use super::store::ImportClass;
use super::{ImportError, ImportProgress};
use crate::export::FILES_FOLDER;
use crate::finding::{Note, Problem};
use crate::report::{Finding, Place, ReportBuilder};

/// Largest file that is brought in; it is held in memory.
pub const MAX_COPIED_BYTES: u64 = 256 * 1024 * 1024;
/// Files looked at before what was brought in is noted.
const AT_ONCE: u32 = 100;

/// The files of a folder by their names, without and with what is behind the last dot, and by their paths.
pub struct FileFolder {
    by_name: BTreeMap<String, PathBuf>,
}

impl FileFolder {
    /// Looks at a folder and its subfolders.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut by_name = BTreeMap::new();
        let mut waiting = vec![folder.to_owned()];
        while let Some(next) = waiting.pop() {
            for entry in fs::read_dir(&next)? {
                let entry = entry?;
                let path = entry.path();
                if entry.file_type()?.is_dir() {
                    waiting.push(path);
                } else if let Ok(inner) = path.strip_prefix(folder) {
                    by_name.insert(inner.to_string_lossy().into_owned(), path.clone());
                    let stem = inner.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                    by_name.entry(stem).or_insert_with(|| path.clone());
                    let name = inner.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    by_name.entry(name).or_insert(path);
                }
            }
        }
        Ok(Self { by_name })
    }

    /// Where the bytes of a file are: under its id, its key, or the path of its address.
    fn find(&self, file: &File) -> Option<&Path> {
        let key = file.extra.get("key").and_then(serde_json::Value::as_str);
        let url = match &file.place {
            FilePlace::External { url } => url.split(['?', '#']).next().unwrap_or(url),
            FilePlace::Stored { .. } => "",
        };
        let path = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map(|(_, path)| path);
        let candidates = [Some(file.id.to_string().as_str()), key, path].map(|name| {
            let name = name?.trim_start_matches('/');
            let last = name.rsplit('/').next().filter(|last| !last.is_empty());
            self.by_name.get(name).or_else(|| self.by_name.get(last?))
        });
        candidates.into_iter().flatten().next().map(PathBuf::as_path)
    }
}

/// Where the bytes come from and go to.
pub struct Copying {
    pub folder: FileFolder,
    pub blobs: Arc<dyn BlobStore>,
}

/// Brings in what is in the folder of all files that are still at outside addresses.
pub(super) async fn bring_in(
    run: &Run<'_>,
    copying: &Copying,
    report: &mut ReportBuilder<'_>,
    progress: &dyn ImportProgress,
) -> Result<(), ImportError> {
    progress.class(FILES_FOLDER);
    let class: Arc<str> = ImportClass::File.name().into();
    let place = Place { file: FILES_FOLDER.into(), line: None };
    let mut after: Option<FileId> = None;
    loop {
        let files = run.store.begin().await?.files().outside(after, AT_ONCE).await?;
        let Some(last) = files.last() else { return Ok(()) };
        after = Some(last.id);
        let mut brought = Vec::new();
        for file in files {
            let id = file.id;
            match copy(copying, file).await? {
                Ok(copied) => brought.push(copied),
                Err(problem) => report.add(Finding::new(&class, Some(id.0), &place, Note::row(problem), false))?,
            }
        }
        let mut unit = run.store.begin().await?;
        unit.files().brought_in(&brought).await?;
        unit.commit().await?;
        report.copied(brought.len() as u64);
    }
}

async fn copy(copying: &Copying, file: File) -> Result<Result<File, Problem>, ImportError> {
    let Some(path) = copying.folder.find(&file) else { return Ok(Err(Problem::FileMissing)) };
    if fs::metadata(path)?.len() > MAX_COPIED_BYTES {
        return Ok(Err(Problem::FileTooLarge));
    }
    let bytes = fs::read(path)?;
    let [.., last] = *file.id.0.as_bytes();
    // Where uploads are kept as well.
    let key = format!("{last:02x}/{}", file.id);
    let (size, sha256) = (i64::try_from(bytes.len()).ok(), Some(hex(&Sha256::digest(&bytes))));
    copying.blobs.put(&key, bytes, &file.mime_type).await?;
    Ok(Ok(File { size, sha256, place: FilePlace::Stored { key }, ..file }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use domain::file::FileOwner;
    use rstest::rstest;
    use serde_json::{Map, json};

    use super::*;

    fn file(url: &str, key: Option<&str>) -> File {
        File {
            id: "5e10d76817149d439536b321".parse().unwrap(),
            owner: FileOwner::System,
            name: "icon.jpg".into(),
            mime_type: "image/jpeg".into(),
            size: None,
            sha256: None,
            place: FilePlace::External { url: url.into() },
            extra: key.map(|key| Map::from_iter([("key".to_owned(), json!(key))])).unwrap_or_default(),
            created_at: Timestamp::EPOCH,
        }
    }

    #[rstest]
    #[case("5e10d76817149d439536b321", "https://f.invalid/x", None)]
    #[case("5e10d76817149d439536b321.jpg", "https://f.invalid/x", None)]
    #[case("abc/def.jpg", "https://f.invalid/x", Some("abc/def.jpg"))]
    #[case("def.jpg", "https://f.invalid/x", Some("abc/def.jpg"))]
    #[case("deep/er/x.jpg", "https://f.invalid/deep/er/x.jpg?a=b", None)]
    fn bytes_are_found_by_id_key_or_address(#[case] path: &str, #[case] url: &str, #[case] key: Option<&str>) {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, b"x").unwrap();
        let opened = FileFolder::open(folder.path()).unwrap();
        assert_eq!(opened.find(&file(url, key)), Some(path.as_path()));
        assert_eq!(
            opened.find(&file("https://f.invalid/other", None)).is_some(),
            path.to_string_lossy().contains("5e10")
        );
    }
}
