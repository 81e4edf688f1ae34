//! Pulls an application over LeanCloud's REST interface, with its master key, into a folder that [`crate::import`] reads.
//!
//! Everything comes page by page and is on disk before the place reached is noted, so a fetch that was broken off goes
//! on where it was. Fetching again later brings what has changed since. What the interface does not give (password
//! hashes, session tokens) comes with LeanCloud's own export only.

mod messages;
mod pages;
mod relations;
mod rows;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use domain::{Clock, Coded, ErrorKind};
use futures_util::stream::{self, StreamExt as _};
use serde_json::Value;

use crate::export::FILES_FOLDER;

use self::pages::Pages;
use self::state::{Output, State};

/// Classes that are fetched when the application does not tell which it has.
const USUAL_CLASSES: [&str; 9] = [
    "_User",
    "_File",
    "_Role",
    "_Conversation",
    "Patients",
    "Doctor",
    "Consultation",
    "DoctorPatientRelation",
    "CustomerService",
];
/// Classes that hold nothing of the application's own.
const LEFT_OUT: [&str; 6] =
    ["_Notification", "_EmailTemplate", "_Status", "_SysMessage", "_MigrationBackup", "_Message"];
/// Files that are downloaded side by side.
const DOWNLOADS_AT_ONCE: usize = 4;

/// The other side.
#[async_trait]
pub trait Remote: Send + Sync {
    /// Asks with the master key.
    async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, RemoteError>;
    /// The bytes at any address, asked for without credentials.
    async fn download(&self, url: &str) -> Result<Vec<u8>, RemoteError>;
}

/// An answer that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Too many requests, or the other side is at fault: later may be better.
    #[error("the other side is busy ({status})")]
    Busy { status: u16, after: Option<Duration> },
    #[error("the other side could not be reached")]
    Unreachable,
    #[error("the other side refused ({status}, code {code}): {message}")]
    Refused { status: u16, code: i64, message: String },
    #[error("the answer is not what was asked for")]
    Malformed,
    #[error("the answer is too large")]
    TooLarge,
}

impl RemoteError {
    const fn is_passing(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unreachable)
    }
}

/// The fetch could not go on. Fetching again continues.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{what} could not be fetched")]
    Remote { what: String, source: RemoteError },
    #[error("{path} could not be read or written")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} is not the state of a fetch; move it away to begin anew")]
    State { path: PathBuf },
}

impl Coded for FetchError {
    fn code(&self) -> &'static str {
        match self {
            Self::Remote { .. } => "import.fetch_remote",
            Self::File { .. } => "import.fetch_file",
            Self::State { .. } => "import.fetch_state",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Remote { .. } => ErrorKind::Unavailable,
            Self::File { .. } => ErrorKind::Internal,
            Self::State { .. } => ErrorKind::Invalid,
        }
    }
}

/// Settings of a fetch.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    pub folder: PathBuf,
    /// Only these classes; else all that the application has.
    pub classes: Option<Vec<String>>,
    /// Requests a second, at most.
    pub rate: u32,
    /// Rows and messages asked for at once.
    pub page: u32,
    /// Whether the bytes of files are downloaded as well.
    pub with_files: bool,
    /// Whether the history of messages is.
    pub with_messages: bool,
    /// Address before the `key` of files that have no address of their own.
    pub files_url: Option<String>,
    /// First wait after a failure that may pass; doubled each time.
    pub back_off: Duration,
}

impl FetchOptions {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            classes: None,
            rate: 20,
            page: 1_000,
            with_files: true,
            with_messages: true,
            files_url: None,
            back_off: Duration::from_secs(1),
        }
    }
}

/// Is told how the fetch goes on.
pub trait FetchProgress: Send + Sync {
    /// A class, the messages or the files begin; `total` when the other side told.
    fn stage(&self, name: &str, total: Option<u64>);
    /// So many more rows, messages or files.
    fn advance(&self, count: u64);
    fn finish(&self);
}

/// What was fetched in this run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchReport {
    /// Rows of each class.
    pub classes: BTreeMap<String, u64>,
    pub messages: u64,
    pub files: u64,
    /// Files whose bytes could not be had, with the reason.
    pub missing_files: Vec<(String, String)>,
    /// Classes that were refused, with the reason.
    pub refused: Vec<(String, String)>,
}

/// Fetches everything that is not here yet.
///
/// # Errors
/// [`FetchError`]; what was fetched until then stays and is not fetched again.
pub async fn run(
    remote: &dyn Remote,
    clock: &dyn Clock,
    options: &FetchOptions,
    progress: &dyn FetchProgress,
) -> Result<FetchReport, FetchError> {
    fs::create_dir_all(&options.folder).map_err(|source| at(&options.folder, source))?;
    let mut state = State::load(&options.folder)?;
    let pages = Pages::new(remote, options);
    let mut report = FetchReport::default();
    let schemas = schemas(&pages, options).await?;
    let classes: BTreeSet<String> = match &options.classes {
        Some(classes) => classes.iter().cloned().collect(),
        None if schemas.is_empty() => USUAL_CLASSES.iter().map(|class| (*class).to_owned()).collect(),
        None => schemas.keys().filter(|class| !LEFT_OUT.contains(&class.as_str())).cloned().collect(),
    };
    for class in &classes {
        let fetched = rows::fetch(&pages, class, clock.now(), &mut state, options, progress).await;
        match fetched {
            Ok(rows) => _ = report.classes.insert(class.clone(), rows),
            // A class that is not there, or closed to the interface: told, and no reason to stop.
            Err(FetchError::Remote { source: RemoteError::Refused { status, code, message }, .. }) if status != 401 => {
                report.refused.push((class.clone(), format!("{status}, code {code}: {message}")));
            }
            Err(error) => return Err(error),
        }
    }
    for class in &classes {
        for (field, target) in relations::fields_of(schemas.get(class), class) {
            let members = relations::fetch(&pages, class, &field, &target, &mut state, options, progress).await?;
            report.classes.insert(relations::name_of(&field, class), members);
        }
    }
    if options.with_messages {
        report.messages = messages::fetch(&pages, &mut state, options, progress).await?;
    }
    if options.with_files {
        download_files(&pages, options, &mut report, progress).await?;
    }
    progress.finish();
    Ok(report)
}

fn at(path: &Path, source: io::Error) -> FetchError {
    FetchError::File { path: path.to_owned(), source }
}

/// What the classes of the application look like; nothing when it does not tell. Kept beside the rows.
async fn schemas(pages: &Pages<'_>, options: &FetchOptions) -> Result<BTreeMap<String, Value>, FetchError> {
    let answer = match pages.get("/1.1/schemas", &[]).await {
        Ok(answer) => answer,
        Err(RemoteError::Refused { status: 400 | 404 | 405 | 500.., .. } | RemoteError::Malformed) => {
            return Ok(BTreeMap::new());
        }
        Err(source) => return Err(FetchError::Remote { what: "the list of classes".into(), source }),
    };
    let mut schemas = BTreeMap::new();
    match answer {
        Value::Object(by_class) if by_class.get("results").is_none_or(|results| !results.is_array()) => {
            schemas.extend(by_class);
        }
        Value::Object(mut listed) => {
            for entry in listed.get_mut("results").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(class) = entry.get("className").and_then(Value::as_str) {
                    schemas.insert(class.to_owned(), entry.clone());
                }
            }
        }
        _ => {}
    }
    for (class, schema) in &schemas {
        let path = options.folder.join(format!("{class}_schema.json"));
        fs::write(&path, schema.to_string()).map_err(|source| at(&path, source))?;
    }
    Ok(schemas)
}

/// Downloads the bytes of all files whose rows are in the folder, unless they are there already.
async fn download_files(
    pages: &Pages<'_>,
    options: &FetchOptions,
    report: &mut FetchReport,
    progress: &dyn FetchProgress,
) -> Result<(), FetchError> {
    let folder = options.folder.join(FILES_FOLDER);
    fs::create_dir_all(&folder).map_err(|source| at(&folder, source))?;
    let mut wanted: BTreeMap<String, Option<String>> = BTreeMap::new();
    for path in Output::files_of(&options.folder, "_File")? {
        for row in Output::rows(&path)? {
            let Some(id) = row.get("objectId").and_then(Value::as_str) else { continue };
            wanted.insert(id.to_owned(), address_of(&row, options));
        }
    }
    wanted.retain(|id, _| !folder.join(id).exists());
    progress.stage(FILES_FOLDER, Some(wanted.len() as u64));
    let folder = &folder;
    let one = |(id, url): (String, Option<String>)| async move {
        let outcome = match url {
            None => Err("it has no address".to_owned()),
            Some(url) => download(pages, &url, folder, &id).await?,
        };
        Ok::<_, FetchError>((id, outcome))
    };
    let mut downloads = stream::iter(wanted).map(one).buffer_unordered(DOWNLOADS_AT_ONCE);
    while let Some(done) = downloads.next().await {
        match done? {
            (_, Ok(())) => report.files += 1,
            (id, Err(reason)) => report.missing_files.push((id, reason)),
        }
        progress.advance(1);
    }
    report.missing_files.sort();
    Ok(())
}

fn address_of(row: &Value, options: &FetchOptions) -> Option<String> {
    let text = |key: &str| row.get(key).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let url = text("url").filter(|url| url.starts_with("http://") || url.starts_with("https://"));
    let by_key = || {
        let base = options.files_url.as_deref()?.trim_end_matches('/');
        Some(format!("{base}/{}", text("key")?.trim_start_matches('/')))
    };
    url.map(str::to_owned).or_else(by_key)
}

/// One file, whole or not at all; the inner error is the reason why it cannot be had.
async fn download(pages: &Pages<'_>, url: &str, folder: &Path, id: &str) -> Result<Result<(), String>, FetchError> {
    let bytes = match pages.download(url).await {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let (part, whole) = (folder.join(format!(".{id}.part")), folder.join(id));
    fs::write(&part, bytes).and_then(|()| fs::rename(&part, &whole)).map_err(|source| at(&whole, source))?;
    Ok(Ok(()))
}

#[cfg(test)]
mod tests;
