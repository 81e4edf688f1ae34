//! Finds what an export holds: which files have rows of which class.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use flate2::bufread::MultiGzDecoder;

use super::{Export, ExportError, FILES_FOLDER, JOIN_PREFIX, MESSAGE_CLASS, Part, parse};

/// Length of a tar header, and where its magic is.
const TAR_HEADER_BYTES: usize = 512;
const TAR_MAGIC: std::ops::Range<usize> = 257..262;
const BUFFER_BYTES: usize = 64 * 1024;
/// How much of a file is looked at to tell what it is.
const PEEK_BYTES: u64 = 64 * 1024;
/// Most bytes of a schema.
const MAX_SCHEMA_BYTES: u64 = 4 * 1024 * 1024;

impl Export {
    /// Looks at a folder (with its subfolders) or at a single file.
    ///
    /// # Errors
    /// [`ExportError::Unreadable`] naming the path that cannot be opened, [`ExportError::Empty`] when there is no row
    /// file at all.
    pub fn open(path: &Path) -> Result<Self, ExportError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| ExportError::Unreadable { path, source }
        };
        let is_folder = fs::metadata(path).map_err(unreadable(path))?.is_dir();
        let root = if is_folder { path } else { path.parent().unwrap_or(path) };
        let mut files = Vec::new();
        if is_folder {
            collect_files(path, &mut files).map_err(unreadable(path))?;
            files.retain(|file| !file.starts_with(path.join(FILES_FOLDER)));
            files.sort();
        } else {
            files.push(path.to_owned());
        }
        let mut scan = Scan::default();
        for file in files {
            let shown = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
            scan.file(&file, &shown).map_err(unreadable(&file))?;
        }
        if scan.parts.is_empty() {
            return Err(ExportError::Empty { path: path.to_owned() });
        }
        let Scan { parts, sizes, relation_targets, unknown, damaged } = scan;
        Ok(Self { parts, sizes, relation_targets, unknown, damaged, bytes_read: Arc::new(AtomicU64::new(0)) })
    }
}

fn collect_files(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if is_hidden(&path) {
            continue;
        }
        // The entry's own type: folders behind links are not followed, so there is no way round in circles.
        if entry.file_type()?.is_dir() {
            collect_files(&path, files)?;
        } else if fs::metadata(&path)?.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

/// `.DS_Store`, `._Doctor.0.jsonl` and the like, which archivers leave behind.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

#[derive(Default)]
struct Scan {
    parts: Vec<Part>,
    sizes: BTreeMap<PathBuf, u64>,
    relation_targets: BTreeMap<(String, String), String>,
    unknown: Vec<String>,
    damaged: Vec<String>,
}

impl Scan {
    fn file(&mut self, path: &Path, shown: &str) -> io::Result<()> {
        let file = fs::File::open(path)?;
        let size = file.metadata()?.len();
        let before = self.parts.len();
        match open_layers(file) {
            Ok(Layers::Tar(reader)) => self.archive(path, shown, reader),
            Ok(Layers::Lines(mut reader)) => self.rows(path, None, shown, &mut reader),
            // Cannot be unpacked at all; its rows are reported as damaged when they are asked for.
            Err(_) => self.rows(path, None, shown, &mut io::empty()),
        }
        if self.parts.len() > before {
            self.sizes.insert(path.to_owned(), size);
        }
        Ok(())
    }

    fn archive(&mut self, path: &Path, shown: &str, reader: Box<dyn BufRead>) {
        let walked = for_each_member(reader, &mut |position, name, member| {
            let shown = format!("{shown}/{name}");
            match open_layers(member) {
                Ok(Layers::Lines(mut reader)) => self.rows(path, Some(position), &shown, &mut reader),
                Ok(Layers::Tar(_)) => self.unknown.push(shown),
                Err(_) => self.rows(path, Some(position), &shown, &mut io::empty()),
            }
            Ok(())
        });
        if walked.is_err() {
            self.damaged.push(shown.to_owned());
        }
    }

    /// Adds a file of rows, of the class its header or else its name tells. The history of messages is known by what
    /// it says, whatever its name.
    fn rows(&mut self, path: &Path, member: Option<usize>, shown: &str, reader: &mut dyn BufRead) {
        let name = shown.rsplit('/').next().unwrap_or(shown);
        if let Some(class) = name.strip_suffix("_schema.json") {
            return self.schema(class, reader);
        }
        let mut head = Vec::new();
        // What cannot be read is reported when its rows are asked for.
        let _ = reader.take(PEEK_BYTES).read_to_end(&mut head);
        let header = parse::header_class(head.split(|byte| *byte == b'\n').next().unwrap_or_default());
        let by_content = || is_history(name, &head).then(|| MESSAGE_CLASS.to_owned());
        match header.or_else(by_content).or_else(|| class_of_name(name)) {
            Some(class) => self.parts.push(Part { class, path: path.to_owned(), member, shown: shown.into() }),
            None => self.unknown.push(shown.to_owned()),
        }
    }

    /// Notes which fields of a class are relations, and to what.
    fn schema(&mut self, class: &str, reader: &mut dyn BufRead) {
        let mut text = Vec::new();
        let is_read = reader.take(MAX_SCHEMA_BYTES).read_to_end(&mut text).is_ok();
        let schema: serde_json::Value = match serde_json::from_slice(&text) {
            Ok(schema) if is_read => schema,
            _ => return,
        };
        let fields = ["schema", "fields"].into_iter().find_map(|key| schema.get(key)).unwrap_or(&schema);
        for (field, described) in fields.as_object().into_iter().flatten() {
            let text = |keys: [&str; 2]| keys.into_iter().find_map(|key| described.get(key)?.as_str());
            if let (Some("Relation"), Some(target)) = (text(["type", "__type"]), text(["className", "targetClass"])) {
                self.relation_targets.insert((class.to_owned(), field.clone()), target.to_owned());
            }
        }
    }
}

/// Whether a file without a header is the history of messages: an array, or objects, that say which conversation they
/// belong to. A page without messages is an empty array.
fn is_history(name: &str, head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii();
    let says = |key: &[u8]| head.windows(key.len()).any(|window| window == key);
    let is_listed = head.starts_with(b"[") || head.starts_with(b"{");
    let is_json_file = Path::new(name.trim_end_matches(".gz")).extension().is_some_and(|ext| ext == "json");
    (is_listed && says(b"\"msg-id\"") && says(b"\"conv-id\"")) || (is_json_file && head == b"[]")
}

/// `Doctor.0.jsonl`, `Doctor.jsonl`, `_Join:users:_Role.0.jsonl`, each also with `.gz`.
fn class_of_name(name: &str) -> Option<String> {
    let name = name.strip_suffix(".gz").unwrap_or(name).strip_suffix(".jsonl")?;
    let class = name.split('.').next().unwrap_or(name);
    let is_join = class.starts_with(JOIN_PREFIX);
    let is_class = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || (is_join && b == b':');
    (!class.is_empty() && class.bytes().all(is_class)).then(|| class.to_owned())
}

/// What a file turned out to be, unpacked.
pub(super) enum Layers<'a> {
    Lines(Box<dyn BufRead + 'a>),
    Tar(Box<dyn BufRead + 'a>),
}

/// Unpacks gzip and recognises tar by content, since names lie. Damage in the first bytes shows only when they have
/// been read from the result, so that what stands before it is not lost.
pub(super) fn open_layers<'a>(reader: impl Read + 'a) -> io::Result<Layers<'a>> {
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, reader);
    let is_gzip = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    let mut unpacked: Box<dyn Read + 'a> =
        if is_gzip { Box::new(MultiGzDecoder::new(reader)) } else { Box::new(reader) };
    let mut head = Vec::with_capacity(TAR_HEADER_BYTES);
    if let Err(error) = unpacked.by_ref().take(TAR_HEADER_BYTES as u64).read_to_end(&mut head) {
        unpacked = Box::new(Broken(error.kind()));
    }
    let is_tar = head.len() == TAR_HEADER_BYTES && head.get(TAR_MAGIC) == Some(b"ustar");
    let whole = Box::new(io::Cursor::new(head).chain(BufReader::with_capacity(BUFFER_BYTES, unpacked)));
    Ok(if is_tar { Layers::Tar(whole) } else { Layers::Lines(whole) })
}

/// Reading failed with this and will not be tried again.
struct Broken(io::ErrorKind);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
}

/// What is done with a member of an archive: its position, name and content.
pub(super) type MemberVisitor<'v> = dyn FnMut(usize, &str, &mut dyn Read) -> io::Result<()> + 'v;

/// Visits the ordinary files of a tar archive in order.
pub(super) fn for_each_member(reader: impl Read, visit: &mut MemberVisitor<'_>) -> io::Result<()> {
    let mut archive = tar::Archive::new(reader);
    for (position, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if entry.header().entry_type().is_file() && !is_hidden(&path) {
            visit(position, &path.to_string_lossy(), &mut entry)?;
        }
    }
    Ok(())
}
