//! Streams the rows of one class from a thread of its own, so that unpacking and storing overlap.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::lines::{Line, read_line};
use super::objects::{Found, Objects};
use super::scan::{Layers, for_each_member, open_layers};
use super::{
    Export, ExportError, ExportRow, MAX_BATCH_BYTES, MAX_BATCH_ROWS, MAX_LINE_BYTES, MESSAGE_CLASS, Part, RowFault,
    parse,
};

/// Batches that may wait between the reading thread and the importer.
const WAITING_BATCHES: usize = 2;

enum Message {
    Rows(Vec<ExportRow>),
    End,
}

/// The rows of one class, in batches.
pub struct RowStream {
    receiver: mpsc::Receiver<Message>,
}

impl RowStream {
    /// The next rows, at most [`MAX_BATCH_ROWS`]; `None` after the last.
    ///
    /// # Errors
    /// [`ExportError::Stopped`] when the reading thread died: what came so far is not everything.
    pub async fn next(&mut self) -> Result<Option<Vec<ExportRow>>, ExportError> {
        match self.receiver.recv().await {
            Some(Message::Rows(rows)) => Ok(Some(rows)),
            Some(Message::End) => Ok(None),
            None => Err(ExportError::Stopped),
        }
    }
}

impl Export {
    /// Streams the rows of a class, file by file, line by line. Reading happens on a thread that ends with the stream.
    pub fn rows(&self, class: &str) -> RowStream {
        let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
        let parts: Vec<Part> = self.parts.iter().filter(|part| part.class == class).cloned().collect();
        let bytes_read = Arc::clone(&self.bytes_read);
        // Should the thread not start, the sender is dropped and the stream says that it stopped.
        let _ = std::thread::Builder::new().name("export-reader".into()).spawn(move || {
            let mut sink = Sink { sender, rows: Vec::new(), bytes: 0, bytes_read };
            if sink.read_all(parts).is_ok() {
                let _ = sink.sender.blocking_send(Message::End);
            }
        });
        RowStream { receiver }
    }
}

/// Nobody is listening any more.
struct Abandoned;

struct Sink {
    sender: mpsc::Sender<Message>,
    rows: Vec<ExportRow>,
    bytes: usize,
    bytes_read: Arc<AtomicU64>,
}

impl Sink {
    fn read_all(&mut self, parts: Vec<Part>) -> Result<(), Abandoned> {
        let mut files: BTreeMap<PathBuf, Vec<Part>> = BTreeMap::new();
        for part in parts {
            files.entry(part.path.clone()).or_default().push(part);
        }
        for (path, parts) in files {
            self.read_file(&path, &parts)?;
        }
        self.flush()
    }

    fn read_file(&mut self, path: &Path, parts: &[Part]) -> Result<(), Abandoned> {
        let counter = Arc::clone(&self.bytes_read);
        let opened = File::open(path).and_then(|file| open_layers(Counting { inner: file, counter }));
        match opened {
            Ok(Layers::Lines(mut reader)) => parts.iter().try_for_each(|part| self.read_lines(part, &mut reader)),
            Ok(Layers::Tar(reader)) => self.read_archive(parts, reader),
            Err(_) => parts.iter().try_for_each(|part| self.push(part, 1, Err(RowFault::Damaged), 0)),
        }
    }

    /// Damage between members was reported when the archive was opened; damage inside one is reported here.
    fn read_archive(&mut self, parts: &[Part], reader: impl Read) -> Result<(), Abandoned> {
        let mut is_abandoned = false;
        let _ = for_each_member(reader, &mut |position, _, member| {
            let Some(part) = parts.iter().find(|part| part.member == Some(position)) else { return Ok(()) };
            let read = match open_layers(member) {
                Ok(Layers::Lines(mut reader)) => self.read_lines(part, &mut reader),
                Ok(Layers::Tar(_)) | Err(_) => self.push(part, 1, Err(RowFault::Damaged), 0),
            };
            read.map_err(|Abandoned| {
                is_abandoned = true;
                io::Error::other("abandoned")
            })
        });
        if is_abandoned { Err(Abandoned) } else { Ok(()) }
    }

    fn read_lines(&mut self, part: &Part, reader: &mut dyn BufRead) -> Result<(), Abandoned> {
        if part.class == MESSAGE_CLASS {
            return self.read_objects(part, reader);
        }
        let mut reader = reader;
        let mut buffer = Vec::new();
        for number in 1.. {
            match read_line(&mut reader, &mut buffer, MAX_LINE_BYTES) {
                Ok(Line::End) => break,
                Ok(Line::Read) if parse::is_empty_or_comment(&buffer) => {}
                Ok(Line::Read) => self.push(part, number, parse::parse_line(&buffer), buffer.len())?,
                Ok(Line::TooLong) => self.push(part, number, Err(RowFault::TooLong), 0)?,
                Err(_) => return self.push(part, number, Err(RowFault::Damaged), 0),
            }
        }
        Ok(())
    }

    /// Objects in arrays or lines; an object around `results` stands for those.
    fn read_objects(&mut self, part: &Part, reader: &mut dyn BufRead) -> Result<(), Abandoned> {
        let mut objects = Objects::new(reader, MAX_LINE_BYTES);
        let mut line = 1;
        loop {
            let (parsed, bytes) = match objects.next() {
                Ok(None) => return Ok(()),
                Ok(Some(Found::Object(text, begins_in))) => {
                    line = begins_in;
                    (parse::parse_line(text), text.len())
                }
                Ok(Some(Found::TooLong(begins_in))) => {
                    line = begins_in;
                    (Err(RowFault::TooLong), 0)
                }
                Ok(Some(Found::Garbage(begins_in))) => {
                    line = begins_in;
                    (Err(RowFault::NotJson), 0)
                }
                Err(_) => return self.push(part, line, Err(RowFault::Damaged), 0),
            };
            match parsed {
                Ok(parsed) if !parsed.row.contains_key("msg-id") && parsed.row.contains_key("results") => {
                    for inner in parse::inner_rows(parsed) {
                        self.push(part, line, inner, bytes)?;
                    }
                }
                other => self.push(part, line, other, bytes)?,
            }
        }
    }

    fn push(
        &mut self,
        part: &Part,
        line: u64,
        parsed: Result<parse::Parsed, RowFault>,
        bytes: usize,
    ) -> Result<(), Abandoned> {
        let is_repaired = parsed.as_ref().is_ok_and(|parsed| parsed.is_repaired);
        let content = parsed.map(|parsed| parsed.row);
        self.rows.push(ExportRow { file: Arc::clone(&part.shown), line, content, is_repaired });
        self.bytes += bytes;
        if self.rows.len() >= MAX_BATCH_ROWS || self.bytes >= MAX_BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Abandoned> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        self.sender.blocking_send(Message::Rows(rows)).or(Err(Abandoned))
    }
}

/// Counts the bytes taken from a file.
struct Counting<R> {
    inner: R,
    counter: Arc<AtomicU64>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.counter.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
