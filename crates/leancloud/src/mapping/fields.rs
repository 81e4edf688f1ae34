//! The fields of a row while it is being mapped. Whatever is not taken, or taken and not understood, ends in `extra`.

use domain::file::File;
use domain::gender::Gender;
use domain::id::FileId;
use domain::money::Fen;
use domain::{ObjectId, Phone, Timestamp};
use serde_json::{Map, Value};

use super::{Mapped, Unmappable, file, read};
use crate::finding::{Note, Problem};

/// The fields of one row.
pub(super) struct Fields {
    class: &'static str,
    pub(super) id: ObjectId,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    rest: Map<String, Value>,
    files: Vec<File>,
    notes: Vec<Note>,
}

impl Fields {
    /// Reads what every row has: id and times. A time that is missing or unreadable is taken from the id, or the time
    /// of creation.
    pub(super) fn new(class: &'static str, row: &Map<String, Value>) -> Result<Self, Unmappable> {
        let mut rest = row.clone();
        let id = rest.get("objectId").and_then(Value::as_str).and_then(|id| id.parse::<ObjectId>().ok());
        let id = id.ok_or(Unmappable { id: None, note: Note::field("objectId", Problem::BadObjectId) })?;
        rest.remove("objectId");
        let [s0, s1, s2, s3, ..] = *id.as_bytes();
        let minted_at = Timestamp::from_millis(i64::from(u32::from_be_bytes([s0, s1, s2, s3])) * 1_000);
        let (created_at, updated_at) = (minted_at, minted_at);
        let mut fields = Self { class, id, created_at, updated_at, rest, files: Vec::new(), notes: Vec::new() };
        fields.created_at = fields.row_time("createdAt", minted_at);
        fields.updated_at = fields.row_time("updatedAt", fields.created_at);
        Ok(fields)
    }

    fn row_time(&mut self, key: &'static str, otherwise: Timestamp) -> Timestamp {
        if self.rest.get(key).is_none_or(Value::is_null) {
            self.note(Note::field(key, Problem::BadTime));
        }
        self.convert(key, read::time).unwrap_or(otherwise)
    }

    /// Takes a field; `None` when it is missing or null.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Value> {
        self.rest.remove(key).filter(|value| !value.is_null())
    }

    /// A copy of a field as it came, without taking it.
    pub(super) fn original(&self, key: &str) -> Option<Value> {
        self.rest.get(key).filter(|value| !value.is_null()).cloned()
    }

    /// Keeps an original in `extra`.
    pub(super) fn keep(&mut self, key: &'static str, original: Value) {
        self.rest.insert(key.into(), original);
    }

    pub(super) fn note(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// Takes and reads a field. What cannot be read is kept and noted; blank text is kept without a word.
    pub(super) fn convert<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value) -> Result<T, Problem>,
    ) -> Option<T> {
        let value = self.take(key)?;
        match read(&value) {
            Ok(converted) => return Some(converted),
            Err(_) if read::is_blank(&value) => {}
            Err(problem) => self.note(Note::field(key, problem)),
        }
        self.keep(key, value);
        None
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        self.convert(key, read::text)
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.convert(key, read::flag)
    }

    pub(super) fn phone(&mut self, key: &'static str) -> Option<Phone> {
        self.convert(key, read::phone)
    }

    pub(super) fn price(&mut self, key: &'static str) -> Option<Fen> {
        self.convert(key, read::price)
    }

    pub(super) fn reference<T: From<ObjectId>>(&mut self, key: &'static str, classes: &[&str]) -> Option<T> {
        self.convert(key, |value| read::reference(value, classes)).map(T::from)
    }

    /// A reference the row cannot be without.
    pub(super) fn needed<T: From<ObjectId>>(&mut self, key: &'static str, class: &str) -> Result<T, Unmappable> {
        let id = self.id;
        self.reference(key, &[class]).ok_or_else(|| Unmappable::without(id, key))
    }

    /// A list of texts; a single text is a list of one. Elements that are no text are left out, noted and kept.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<String>> {
        let value = self.take(key)?;
        if read::is_blank(&value) {
            self.keep(key, value);
            return None;
        }
        let items = if let Value::Array(items) = &value { items.as_slice() } else { std::slice::from_ref(&value) };
        let texts: Vec<String> = items.iter().filter_map(|item| read::text(item).ok()).collect();
        if texts.len() < items.len() {
            self.note(Note::field(key, Problem::WrongType));
            self.keep(key, value);
        }
        Some(texts)
    }

    /// Gender from free text. The original is kept unless it is one of the stored words.
    pub(super) fn gender(&mut self) -> Option<Gender> {
        const UNKNOWN_WORDS: [&str; 5] = ["0", "未知", "保密", "其他", "other"];
        let original = self.original("gender")?;
        let text = self.text("gender")?;
        if let Some(gender) = Gender::parse(&text) {
            return Some(gender);
        }
        let gender = Gender::from_free_text(&text);
        let is_blank = text.trim().is_empty();
        if gender == Gender::Unknown && !is_blank && !UNKNOWN_WORDS.contains(&text.trim()) {
            self.note(Note::field("gender", Problem::BadGender));
        }
        self.keep("gender", original);
        (!is_blank).then_some(gender)
    }

    /// A file standing in a field, as a typed value, a pointer or a bare address.
    pub(super) fn file(&mut self, key: &'static str) -> Option<FileId> {
        let value = self.take(key)?;
        let origin = format!("{}/{}/{key}", self.class, self.id);
        match file::in_field(&value, &origin, self.created_at) {
            Ok(found) => {
                if found.is_loose {
                    self.keep(key, value);
                }
                self.files.extend(found.file);
                Some(found.id)
            }
            Err(problem) => {
                if !read::is_blank(&value) {
                    self.note(Note::field(key, problem));
                }
                self.keep(key, value);
                None
            }
        }
    }

    /// Ends the mapping: `build` gets what goes into `extra`.
    pub(super) fn finish<T>(self, build: impl FnOnce(Map<String, Value>) -> T) -> Mapped<T> {
        Mapped { entity: build(self.rest), files: self.files, notes: self.notes }
    }
}
