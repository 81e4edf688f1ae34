//! How far a fetch has come, and the files it writes.
//!
//! Rows are written first, then the place reached. Whatever stands behind the length that was noted came from a fetch
//! that was broken off in between; it is cut off and fetched again.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FetchError, at};

/// Hidden, so that the import does not take it for rows.
const STATE_FILE: &str = ".fetch-state.json";

/// The whole state.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    #[serde(skip)]
    folder: PathBuf,
    /// By class, relation, or the messages.
    stages: BTreeMap<String, Stage>,
}

/// One class, relation, or the messages.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Stage {
    /// How often it was fetched to its end.
    pub(super) rounds: u32,
    /// When the last whole round began, e.g. `2026-01-02T03:04:05.678Z`.
    pub(super) since: Option<String>,
    /// When this round began.
    pub(super) began: Option<String>,
    /// Where this round is, in the other side's words; `None`: at its beginning.
    pub(super) cursor: Option<Value>,
    /// The newest message of the last whole round, and of this one.
    pub(super) newest: Option<Value>,
    pub(super) newest_of_round: Option<Value>,
    /// Length of this round's file.
    pub(super) bytes: u64,
}

impl Stage {
    /// Ends the round.
    pub(super) fn finish(&mut self) {
        self.rounds += 1;
        self.since = self.began.take();
        self.newest = self.newest_of_round.take().or(self.newest.take());
        self.cursor = None;
        self.bytes = 0;
    }
}

impl State {
    pub(super) fn load(folder: &Path) -> Result<Self, FetchError> {
        let path = folder.join(STATE_FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { folder: folder.to_owned(), ..Self::default() });
            }
            Err(source) => return Err(at(&path, source)),
        };
        let state: Self = serde_json::from_slice(&text).or(Err(FetchError::State { path }))?;
        Ok(Self { folder: folder.to_owned(), ..state })
    }

    pub(super) fn stage(&self, name: &str) -> Stage {
        self.stages.get(name).cloned().unwrap_or_default()
    }

    /// Notes where a stage is now.
    pub(super) fn save(&mut self, name: &str, stage: &Stage) -> Result<(), FetchError> {
        self.stages.insert(name.to_owned(), stage.clone());
        let (path, part) = (self.folder.join(STATE_FILE), self.folder.join(format!("{STATE_FILE}.part")));
        let write = || {
            let mut file = File::create(&part)?;
            serde_json::to_writer(&mut file, self)?;
            file.sync_all()?;
            fs::rename(&part, &path)
        };
        write().map_err(|source| at(&path, source))
    }
}

/// The file of one round of a stage.
pub(super) struct Output {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Output {
    /// Opens the file of the current round, cut off at what was noted. `header` begins a new one.
    pub(super) fn open(folder: &Path, name: &str, stage: &Stage, header: &str) -> Result<Self, FetchError> {
        let path = folder.join(format!("{name}.fetched-{}.jsonl", stage.rounds + 1));
        let open = || {
            let file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.set_len(stage.bytes)?;
            Ok(file)
        };
        let file = open().map_err(|source| at(&path, source))?;
        let mut output = Self { path, file, length: stage.bytes };
        if stage.bytes == 0 && !header.is_empty() {
            output.write(&format!("{header}\n"))?;
        }
        Ok(output)
    }

    /// Writes rows, one a line, and answers the length of the file with them. They are on disk then.
    pub(super) fn append<'v>(&mut self, rows: impl IntoIterator<Item = &'v Value>) -> Result<u64, FetchError> {
        let mut lines = String::new();
        for row in rows {
            lines.push_str(&row.to_string());
            lines.push('\n');
        }
        self.write(&lines)?;
        self.file.sync_data().map_err(|source| at(&self.path, source))?;
        Ok(self.length)
    }

    fn write(&mut self, text: &str) -> Result<(), FetchError> {
        self.file.write_all(text.as_bytes()).map_err(|source| at(&self.path, source))?;
        self.length += text.len() as u64;
        Ok(())
    }

    /// The files of all rounds of a stage.
    pub(super) fn files_of(folder: &Path, name: &str) -> Result<Vec<PathBuf>, FetchError> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).map_err(|source| at(folder, source))? {
            let path = entry.map_err(|source| at(folder, source))?.path();
            let file_name = path.file_name().unwrap_or_default().to_string_lossy();
            if file_name.starts_with(&format!("{name}.")) && file_name.ends_with(".jsonl") {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// The rows of a file, one after the other; lines that are none are left out.
    pub(super) fn rows(path: &Path) -> Result<impl Iterator<Item = Value>, FetchError> {
        let file = File::open(path).map_err(|source| at(path, source))?;
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        Ok(lines.filter_map(|line| serde_json::from_str(&line).ok()))
    }
}
