//! How each database reads values out of JSON.
//!
//! A value is addressed in up to four ways: `json`, typed and comparable for equality (jsonb on PostgreSQL, the
//! canonical JSON text on SQLite), `kind`, its JSON type, `text`, the characters of a string, and `number`.

use std::fmt::Write as _;

use crate::backend::Backend;

/// SQL for one value.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) json: String,
    pub(super) kind: String,
    pub(super) text: String,
    pub(super) number: String,
    /// For looking into it: document and path on SQLite, the value itself on PostgreSQL.
    inside: (String, String),
}

impl Place {
    /// A text column.
    pub(super) fn of_text(backend: Backend, column: &str) -> Self {
        Self {
            json: backend.quoted(column),
            kind: backend.string_kind().into(),
            text: column.to_owned(),
            number: "NULL".into(),
            inside: ("NULL".into(), "'$'".into()),
        }
    }
}

impl Backend {
    /// The value at a path of a JSON document. Parts of paths hold neither quotes nor backslashes.
    pub(super) fn at(self, document: &str, path: &[String]) -> Place {
        match self {
            Self::Postgres => {
                let mut arrows = String::new();
                for key in path {
                    // Writing to a String cannot fail.
                    let _ = write!(arrows, " -> '{key}'");
                }
                postgres(&format!("({document}{arrows})"))
            }
            Self::Sqlite => {
                let mut keys = String::new();
                for key in path {
                    // Writing to a String cannot fail.
                    let _ = write!(keys, ".\"{key}\"");
                }
                let path = format!("'${keys}'");
                let raw = format!("json_extract({document}, {path})");
                Place {
                    json: format!("({document} -> {path})"),
                    kind: format!("json_type({document}, {path})"),
                    text: raw.clone(),
                    number: raw,
                    inside: (document.to_owned(), path),
                }
            }
        }
    }

    /// The table of the elements of an array, and each element's value.
    pub(super) fn elements(self, array: &Place, alias: &str) -> (String, Place) {
        let (document, path) = &array.inside;
        match self {
            Self::Postgres => {
                let json = &array.json;
                let safe = format!("CASE WHEN jsonb_typeof({json}) = 'array' THEN {json} ELSE '[]'::jsonb END");
                (format!("jsonb_array_elements({safe}) AS {alias}(value)"), postgres(&format!("{alias}.value")))
            }
            Self::Sqlite => {
                let place = Place {
                    json: format!("({document} -> {alias}.fullkey)"),
                    kind: format!("{alias}.type"),
                    text: format!("{alias}.value"),
                    number: format!("{alias}.value"),
                    inside: (document.clone(), format!("{alias}.fullkey")),
                };
                (format!("json_each({document}, {path}) AS {alias}"), place)
            }
        }
    }

    /// A member of an object.
    pub(super) fn member(self, object: &Place, key: &str) -> Place {
        match self {
            Self::Postgres => postgres(&format!("({} -> '{key}')", object.json)),
            Self::Sqlite => {
                let (document, path) = &object.inside;
                let path = format!("({path} || '.\"{key}\"')");
                let raw = format!("json_extract({document}, {path})");
                Place {
                    json: format!("({document} -> {path})"),
                    kind: format!("json_type({document}, {path})"),
                    text: raw.clone(),
                    number: raw,
                    inside: (document.clone(), path),
                }
            }
        }
    }

    /// A text column as a JSON string. Ids and class names need no escapes.
    pub(super) fn quoted(self, column: &str) -> String {
        match self {
            Self::Postgres => format!("to_jsonb({column})"),
            Self::Sqlite => format!("('\"' || {column} || '\"')"),
        }
    }

    /// A parameter that holds canonical JSON, as a value to be equal to.
    pub(super) fn json_parameter(self, parameter: &str) -> String {
        match self {
            Self::Postgres => format!("CAST({parameter} AS jsonb)"),
            Self::Sqlite => parameter.to_owned(),
        }
    }

    /// Whether `place` is among the values of a parameter that holds a JSON array: of values on PostgreSQL, of their
    /// canonical texts on SQLite.
    pub(super) fn is_value_among(self, place: &Place, parameter: &str) -> String {
        match self {
            Self::Postgres => {
                format!("{} = ANY(ARRAY(SELECT jsonb_array_elements(CAST({parameter} AS jsonb))))", place.json)
            }
            Self::Sqlite => format!("{} IN (SELECT value FROM json_each({parameter}))", place.json),
        }
    }

    /// Whether the value is an array. Written so that an index over `json` finds arrays too: they sort between
    /// booleans and objects on PostgreSQL, and their texts begin with a bracket on SQLite. Empty arrays may be left out.
    pub(super) fn is_array(self, place: &Place) -> String {
        let json = &place.json;
        match self {
            Self::Postgres => format!("{json} > 'true'::jsonb AND {json} < '{{}}'::jsonb"),
            Self::Sqlite => format!("{json} >= '[' AND {json} < '\\'"),
        }
    }

    pub(super) fn array_length(self, place: &Place) -> String {
        let (document, path) = &place.inside;
        match self {
            Self::Postgres => {
                format!("CASE WHEN {} = 'array' THEN jsonb_array_length({}) END", place.kind, place.json)
            }
            Self::Sqlite => {
                format!("CASE WHEN {} = 'array' THEN json_array_length({document}, {path}) END", place.kind)
            }
        }
    }

    pub(super) const fn string_kind(self) -> &'static str {
        match self {
            Self::Postgres => "'string'",
            Self::Sqlite => "'text'",
        }
    }

    pub(super) const fn number_kinds(self) -> &'static str {
        match self {
            Self::Postgres => "('number')",
            Self::Sqlite => "('integer', 'real')",
        }
    }

    /// Strings are compared by code points on both databases.
    pub(super) fn by_code_points(self, text: &str) -> String {
        match self {
            Self::Postgres => format!("({text}) COLLATE \"C\""),
            Self::Sqlite => text.to_owned(),
        }
    }

    /// What rows are ordered by for a value: `json_extract` on SQLite, jsonb on PostgreSQL. Absent values come first.
    pub(super) fn order_key(self, place: &Place, is_descending: bool) -> String {
        let direction = match (self, is_descending) {
            (Self::Postgres, false) => "ASC NULLS FIRST",
            (Self::Postgres, true) => "DESC NULLS LAST",
            (Self::Sqlite, false) => "ASC",
            (Self::Sqlite, true) => "DESC",
        };
        let key = match self {
            Self::Postgres => &place.json,
            Self::Sqlite => &place.number,
        };
        format!("{key} {direction}")
    }

    /// Whether one of the strings of a JSON array column is among the parameters.
    pub(super) fn holds_any(self, column: &str, parameters: &[String]) -> String {
        if parameters.is_empty() {
            return "FALSE".into();
        }
        let list = parameters.join(", ");
        match self {
            Self::Postgres => format!("jsonb_exists_any({column}, ARRAY[{list}])"),
            Self::Sqlite => format!("EXISTS (SELECT 1 FROM json_each({column}) WHERE value IN ({list}))"),
        }
    }

    /// A pointer to the row of a column, in its stored form.
    pub(super) fn pointer_to(self, class: &str, column: &str) -> String {
        match self {
            Self::Postgres => {
                format!("jsonb_build_object('__type', 'Pointer', 'className', '{class}', 'objectId', {column})")
            }
            Self::Sqlite => {
                format!("('{{\"__type\":\"Pointer\",\"className\":\"{class}\",\"objectId\":\"' || {column} || '\"}}')")
            }
        }
    }
}

fn postgres(json: &str) -> Place {
    Place {
        json: json.to_owned(),
        kind: format!("jsonb_typeof({json})"),
        text: format!("({json} #>> '{{}}')"),
        number: json.to_owned(),
        inside: (json.to_owned(), String::new()),
    }
}
