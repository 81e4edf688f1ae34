//! Messages on their way, spread over files by conversation so that each file fits into memory.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::mapping::MessageRow;
use crate::report::Place;

/// Bytes of the export that one file is made for, and most files.
const BYTES_OF_PART: u64 = 16 * 1024 * 1024;
const MAX_PARTS: u64 = 256;
const BUFFER_BYTES: usize = 32 * 1024;

/// A message and where it stood.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Spooled {
    pub(super) row: MessageRow,
    /// Which of the files of the history.
    pub(super) file: usize,
    pub(super) line: u64,
}

impl Spooled {
    pub(super) fn place(&self, files: &[Arc<str>]) -> Place {
        Place { file: files.get(self.file).cloned().unwrap_or_else(|| "-".into()), line: Some(self.line) }
    }
}

/// Takes messages in.
pub(super) struct Spool {
    writers: Vec<BufWriter<File>>,
    folder: Folder,
}

/// The folder of the files, which goes with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // What remains is in the way of nobody, and made anew next time.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What was taken in, file by file.
pub(super) struct Parts {
    paths: Vec<PathBuf>,
    _folder: Folder,
}

/// One of the files.
pub(super) struct Part<'a>(&'a Path);

impl Spool {
    /// Makes as many files as an export of so many bytes needs.
    pub(super) fn create(folder: &Path, bytes: u64) -> io::Result<Self> {
        // Left behind by an import that was broken off.
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let folder = Folder(folder.to_owned());
        let count = bytes.div_ceil(BYTES_OF_PART).clamp(1, MAX_PARTS);
        let create = |number| {
            let file = File::create(folder.0.join(number_name(number)))?;
            Ok(BufWriter::with_capacity(BUFFER_BYTES, file))
        };
        let writers = (0..count).map(create).collect::<io::Result<_>>()?;
        Ok(Self { writers, folder })
    }

    pub(super) fn push(&mut self, message: &Spooled) -> io::Result<()> {
        let hash = fnv(message.row.conversation_id.0.as_bytes());
        let count = self.writers.len() as u64;
        let part = usize::try_from(hash % count).unwrap_or_default();
        if let Some(writer) = self.writers.get_mut(part) {
            serde_json::to_writer(&mut *writer, message)?;
            writer.write_all(b"\n")?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<Parts> {
        let mut paths = Vec::with_capacity(self.writers.len());
        for (number, writer) in (0..).zip(self.writers) {
            writer.into_inner().map_err(io::IntoInnerError::into_error)?;
            paths.push(self.folder.0.join(number_name(number)));
        }
        Ok(Parts { paths, _folder: self.folder })
    }
}

impl Parts {
    pub(super) fn len(&self) -> usize {
        self.paths.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Part<'_>> {
        self.paths.iter().map(|path| Part(path))
    }
}

impl Part<'_> {
    pub(super) fn read(&self) -> io::Result<Vec<Spooled>> {
        let mut messages = Vec::new();
        for line in BufReader::with_capacity(BUFFER_BYTES, File::open(self.0)?).lines() {
            messages.push(serde_json::from_str(&line?)?);
        }
        Ok(messages)
    }
}

fn number_name(number: u64) -> String {
    format!("{number:03}.jsonl")
}

/// FNV-1a: conversations of one time would fall into few files by their last bytes alone.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::ObjectId;
    use domain::id::ConversationId;

    use super::*;

    fn message(n: u32) -> Spooled {
        let row = MessageRow {
            conversation_id: ConversationId(ObjectId::from_parts(1_700_000_000, [7; 5], n % 50)),
            message_id: format!("m{n}"),
            sender: "a".into(),
            at: i64::from(n),
            data: "x\n\"y\"".into(),
            is_binary: false,
            mentions: Vec::new(),
            mentions_all: false,
            edited_at: None,
            is_recalled: false,
        };
        Spooled { row, file: 0, line: 1 }
    }

    #[test]
    fn conversations_stay_together_and_the_folder_goes() {
        let outer = tempfile::TempDir::new().unwrap();
        let folder = outer.path().join("spool");
        let mut spool = Spool::create(&folder, 5 * BYTES_OF_PART).unwrap();
        (0..500).for_each(|n| spool.push(&message(n)).unwrap());
        let parts = spool.finish().unwrap();
        assert_eq!(parts.len(), 5);
        let mut seen: BTreeSet<ConversationId> = BTreeSet::new();
        let mut count = 0;
        for part in parts.iter() {
            let messages = part.read().unwrap();
            count += messages.len();
            let here: BTreeSet<_> = messages.iter().map(|m| m.row.conversation_id).collect();
            assert!(here.is_disjoint(&seen));
            assert!(here.len() < 30, "spread unevenly: {}", here.len());
            seen.extend(here);
        }
        assert_eq!(count, 500);
        drop(parts);
        assert!(!folder.exists());
    }
}
