//! One exported row into one row of the product, without losing a field.
//!
//! The rule for every field: a value that the product models exactly, or after a conversion that keeps its meaning
//! (`"188"` for 188, a phone without its prefix), stands in the model alone. A value that is read more loosely, or not
//! at all, stays in `extra` under its wire name; if it could not be read, a [`Note`] says so. Fields the product does not
//! know, `ACL` among them, stay in `extra` as they came. The exception are secrets: a password hash or session token that
//! cannot be used is told and not kept.

mod consultation;
mod conversation;
mod doctor;
mod document;
mod fields;
mod file;
mod message;
mod patient;
mod read;
mod relation;
mod user;

use ::consultation::ConsultationPolicy;
use chrono::NaiveDate;
use domain::file::File;
use domain::{ObjectId, Timestamp};

use crate::finding::{Note, Problem};

pub use self::consultation::{ConsultationRow, map_consultation};
pub use self::conversation::{ConversationRow, map_conversation};
pub use self::doctor::map_doctor;
pub use self::document::{JoinRow, map_document, map_join};
pub use self::file::{FileRow, map_file};
pub use self::message::{MessageRow, map_message};
pub use self::patient::map_patient;
pub use self::relation::map_relation;
pub use self::user::{UserRow, map_user};

/// What mapping needs besides the row.
#[derive(Debug, Clone)]
pub struct MapContext {
    /// Time of the import.
    pub now: Timestamp,
    pub policy: ConsultationPolicy,
    /// Address before the `key` of files that have no address of their own, without a closing slash.
    pub files_url: Option<String>,
}

impl MapContext {
    /// Today in the business time zone.
    fn today(&self) -> NaiveDate {
        self.local_date(self.now)
    }

    fn local_date(&self, at: Timestamp) -> NaiveDate {
        at.to_datetime().with_timezone(&self.policy.timezone).date_naive()
    }
}

/// A mapped row, the files that stood in its fields, and what did not fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped<T> {
    pub entity: T,
    /// Files whose address stood in the row itself.
    pub files: Vec<File>,
    pub notes: Vec<Note>,
}

/// The row cannot become one of the product's at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmappable {
    pub id: Option<ObjectId>,
    pub note: Note,
}

impl Unmappable {
    fn without(id: ObjectId, field: &'static str) -> Self {
        Self { id: Some(id), note: Note::field(field, Problem::MissingReference) }
    }
}

#[cfg(test)]
mod tests;
