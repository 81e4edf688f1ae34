//! What is worth telling of an imported row: every value that did not fit, and what was done about it.

use serde::{Serialize, Serializer};

/// What was found. The code is stable; the sentence never quotes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Problem {
    // The line or file.
    DamagedFile,
    LineTooLong,
    NotJson,
    NotAnObject,
    UnknownFile,
    BadClassName,
    RepairedText,
    // The row.
    BadObjectId,
    MissingReference,
    DanglingReference,
    DuplicateValue,
    DuplicatePair,
    StoreRefused,
    /// A member of a relation whose class is told nowhere.
    UnknownTarget,
    // One field.
    WrongType,
    BadPhone,
    BadBirthday,
    OutOfRange,
    BadGender,
    BadPrice,
    BadHours,
    BadTime,
    BadFile,
    BadReference,
    BadPassword,
    BadToken,
    MissingUsername,
    UnknownWord,
    BadAcl,
    FieldNotKept,
    FollowDisagrees,
    InvalidNotEnded,
    WrongRelation,
    // What the import did.
    RelationCreated,
    ConversationCreated,
    HistoryReordered,
    FileMissing,
    FileTooLarge,
    DialogCreated,
    DialogShared,
    DialogCompleted,
    Superseded,
    ChangedHere,
}

impl Problem {
    pub const fn code(self) -> &'static str {
        self.words().0
    }

    /// One sentence for whoever reads the report.
    pub const fn sentence(self) -> &'static str {
        self.words().1
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::DamagedFile => {
                ("damaged_file", "the file is cut short or corrupt from here on; the rest was not read")
            }
            Self::LineTooLong => ("line_too_long", "the line is longer than 16 MiB and was not read"),
            Self::NotJson => ("not_json", "the line is not JSON"),
            Self::NotAnObject => ("not_an_object", "the line is not a JSON object"),
            Self::UnknownFile => ("unknown_file", "the file holds no rows of an export"),
            Self::BadClassName => ("bad_class_name", "no class can have this name; its rows were not imported"),
            Self::RepairedText => ("repaired_text", "characters that cannot be stored were replaced by U+FFFD"),
            Self::BadObjectId => ("bad_object_id", "the id is not 24 hexadecimal digits"),
            Self::MissingReference => ("missing_reference", "the row cannot be without this reference"),
            Self::DanglingReference => ("dangling_reference", "the row referred to is neither in the export nor here"),
            Self::DuplicateValue => ("duplicate_value", "another row has this value; the first one keeps it"),
            Self::DuplicatePair => {
                ("duplicate_pair", "this doctor and patient have another relation; the first one is kept")
            }
            Self::StoreRefused => ("store_refused", "the database refused the row"),
            Self::UnknownTarget => ("unknown_target", "nothing tells which class the members of this relation are of"),
            Self::WrongType => ("wrong_type", "the value is of another type; the original is kept"),
            Self::BadPhone => ("bad_phone", "not a phone number; the original is kept"),
            Self::BadBirthday => ("bad_birthday", "not a possible birthday; the original is kept"),
            Self::OutOfRange => ("out_of_range", "outside human bounds; the original is kept"),
            Self::BadGender => ("bad_gender", "not understood and stored as unknown; the original is kept"),
            Self::BadPrice => ("bad_price", "not a price in yuan; the original is kept"),
            Self::BadHours => ("bad_hours", "not readable as office hours; kept as written"),
            Self::BadTime => ("bad_time", "not a time; taken from the id or the time of creation"),
            Self::BadFile => ("bad_file", "not a usable file; the original is kept"),
            Self::BadReference => ("bad_reference", "not a usable reference; the original is kept"),
            Self::BadPassword => ("bad_password", "not a password of LeanCloud; the person signs in by a code"),
            Self::BadToken => ("bad_token", "not a session token; the person signs in anew"),
            Self::MissingUsername => ("missing_username", "no usable name; the id stands in for it"),
            Self::UnknownWord => ("unknown_word", "not one of the known values; the original is kept"),
            Self::BadAcl => ("bad_acl", "not a usable access control list; only the master key has access"),
            Self::FieldNotKept => ("field_not_kept", "a field that is not known and was not kept"),
            Self::FollowDisagrees => ("follow_disagrees", "follow and group disagree; follow was believed"),
            Self::InvalidNotEnded => ("invalid_not_ended", "invalid but not ended; imported as ended"),
            Self::WrongRelation => ("wrong_relation", "the relation is of another pair; the pair's own is used"),
            Self::RelationCreated => ("relation_created", "the pair had no relation; one was made"),
            Self::ConversationCreated => {
                ("conversation_created", "messages of a conversation that is nowhere; one was made for them")
            }
            Self::HistoryReordered => {
                ("history_reordered", "older messages came in; what was here was numbered anew behind them")
            }
            Self::FileMissing => ("file_missing", "its bytes are not in the folder of files; it stays at its address"),
            Self::FileTooLarge => ("file_too_large", "its bytes are too many; it stays at its address"),
            Self::DialogCreated => ("dialog_created", "the open consultation had no dialog; one was made"),
            Self::DialogShared => {
                ("dialog_shared", "several consultations share this dialog; it belongs to the newest")
            }
            Self::DialogCompleted => ("dialog_completed", "a party was missing from the dialog and was added"),
            Self::Superseded => ("superseded", "the pair has a newer open consultation; this one was ended"),
            Self::ChangedHere => {
                ("changed_here", "changed here since the last import; the export's newer state was not taken")
            }
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// Something found in one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Wire name of the field, when one is meant.
    pub field: Option<&'static str>,
    pub problem: Problem,
    /// Id of another row involved.
    pub other: Option<String>,
}

impl Note {
    pub const fn row(problem: Problem) -> Self {
        Self { field: None, problem, other: None }
    }

    pub const fn field(field: &'static str, problem: Problem) -> Self {
        Self { field: Some(field), problem, other: None }
    }

    #[must_use]
    pub fn about(mut self, other: &impl ToString) -> Self {
        self.other = Some(other.to_string());
        self
    }
}
