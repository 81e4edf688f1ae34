//! Reads a LeanCloud class export: JSON Lines per class, plain, gzipped or in tar archives, and beside them the history
//! of messages as arrays, in the way the REST interface answers it.
//!
//! [`Export::open`] looks at what is there; [`Export::rows`] streams one class in bounded memory. Nothing here knows
//! what the classes mean. Damage is reported where it begins; everything before it is still read.

mod lines;
mod objects;
mod parse;
mod reader;
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::{Coded, ErrorKind};
use serde_json::{Map, Value};

pub use reader::RowStream;

/// Longest line that is read. A LeanCloud object holds at most 128 KB.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;
/// Most rows handed over at once, and most bytes of them.
pub const MAX_BATCH_ROWS: usize = 1_000;
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The class under which the history of messages is counted. LeanCloud has none of that name.
pub const MESSAGE_CLASS: &str = "_Message";
/// Subfolder of an export that holds bytes of files and no rows.
pub const FILES_FOLDER: &str = "files";
/// What members of relations are exported as: `_Join:users:_Role`.
pub const JOIN_PREFIX: &str = "_Join";

/// The export cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("{path} cannot be read")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path} holds no rows of a LeanCloud export (*.jsonl, *.jsonl.gz or a tar archive of those)")]
    Empty { path: PathBuf },
    #[error("reading the export stopped before its end")]
    Stopped,
}

impl Coded for ExportError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "import.unreadable",
            Self::Empty { .. } => "import.empty",
            Self::Stopped => "import.stopped",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreadable { .. } | Self::Empty { .. } => ErrorKind::Invalid,
            Self::Stopped => ErrorKind::Internal,
        }
    }
}

/// One line of an export.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportRow {
    /// File, or archive and member, relative to the export.
    pub file: Arc<str>,
    /// Counted from 1, header and blank lines included.
    pub line: u64,
    pub content: Result<Map<String, Value>, RowFault>,
    /// Characters that no database stores (NUL, halves of surrogate pairs, broken UTF-8) were replaced by U+FFFD.
    pub is_repaired: bool,
}

/// Why a line holds no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowFault {
    /// Longer than [`MAX_LINE_BYTES`].
    TooLong,
    NotJson,
    NotAnObject,
    /// The file ends early or is corrupt from here on.
    Damaged,
}

/// Where rows of one class are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    class: String,
    path: PathBuf,
    /// Position of the member, when the file is a tar archive.
    member: Option<usize>,
    shown: Arc<str>,
}

/// An export as found on disk.
#[derive(Debug)]
pub struct Export {
    parts: Vec<Part>,
    /// Size on disk of each file that holds parts.
    sizes: BTreeMap<PathBuf, u64>,
    /// By owning class and field, from the schemas.
    relation_targets: BTreeMap<(String, String), String>,
    /// Files that hold neither rows nor a schema.
    unknown: Vec<String>,
    /// Archives whose list of members could not be read to the end.
    damaged: Vec<String>,
    bytes_read: Arc<AtomicU64>,
}

impl Export {
    /// Names of the classes that have rows here.
    pub fn classes(&self) -> BTreeSet<&str> {
        self.parts.iter().map(|part| part.class.as_str()).collect()
    }

    /// Files that hold neither rows nor a schema.
    pub fn unknown_files(&self) -> &[String] {
        &self.unknown
    }

    /// Archives whose list of members could not be read to the end.
    pub fn damaged_archives(&self) -> &[String] {
        &self.damaged
    }

    /// Files with rows of a class, as shown in reports.
    pub fn files_of(&self, class: &str) -> Vec<Arc<str>> {
        self.parts.iter().filter(|part| part.class == class).map(|part| Arc::clone(&part.shown)).collect()
    }

    /// The class that the members of a relation belong to, as far as a schema in the export tells.
    pub fn relation_target(&self, class: &str, field: &str) -> Option<&str> {
        self.relation_targets.get(&(class.to_owned(), field.to_owned())).map(String::as_str)
    }

    /// Bytes on disk that [`Export::rows`] reads for a class.
    pub fn bytes_of(&self, class: &str) -> u64 {
        let paths: BTreeSet<_> = self.parts.iter().filter(|part| part.class == class).map(|part| &part.path).collect();
        paths.into_iter().filter_map(|path| self.sizes.get(path)).sum()
    }

    /// Bytes on disk read so far, over all classes.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
