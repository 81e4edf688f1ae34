//! What is wrong with a configuration, in words that name the key and where it was set. Values are never
//! quoted: they may be secrets.

use std::fmt;

use figment::error::{Actual, Kind};

/// One key at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Dotted key, e.g. `http.listen`; empty if a whole source is unreadable.
    pub key: String,
    /// What would be right, as the end of a sentence that starts with the key.
    pub message: String,
    /// Where the key was set; `None` if it was not.
    pub origin: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin.as_deref();
        match (self.key.is_empty(), origin) {
            (true, Some(origin)) => write!(f, "{origin} {}", self.message),
            (true, None) => f.write_str(&self.message),
            (false, Some(origin)) => write!(f, "{} {} (set in {origin})", self.key, self.message),
            (false, None) => write!(f, "{} {}", self.key, self.message),
        }
    }
}

/// The configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration cannot be used:")?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl From<figment::Error> for ConfigError {
    fn from(error: figment::Error) -> Self {
        Self { problems: error.into_iter().map(Problem::from).collect() }
    }
}

impl From<figment::Error> for Problem {
    fn from(error: figment::Error) -> Self {
        let mut key = error.path;
        if let Kind::MissingField(field) = &error.kind {
            key.push(field.to_string());
        }
        Self {
            key: key.join("."),
            message: explain(&error.kind),
            origin: error.metadata.map(|metadata| metadata.name.into_owned()),
        }
    }
}

fn explain(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => message.clone(),
        Kind::InvalidType(actual, expected) => format!("is {}, not {}", expected_name(expected), type_name(actual)),
        Kind::InvalidValue(_, expected) => format!("is out of range: expected {expected}"),
        Kind::InvalidLength(length, expected) => format!("has {length} items: expected {expected}"),
        Kind::UnknownVariant(_, allowed) => format!("is one of: {}", allowed.join(", ")),
        Kind::UnknownField(_, allowed) => format!("is not a known key; known here: {}", allowed.join(", ")),
        Kind::MissingField(_) => "is missing".to_owned(),
        Kind::DuplicateField(field) => format!("has {field} twice"),
        Kind::ISizeOutOfRange(_) | Kind::USizeOutOfRange(_) => "is out of range".to_owned(),
        Kind::Unsupported(actual) | Kind::UnsupportedKey(actual, _) => {
            format!("cannot be {}", type_name(actual))
        }
    }
}

/// serde names structs by their Rust name, which tells an operator nothing.
fn expected_name(expected: &str) -> &str {
    if expected.starts_with("struct ") || expected.starts_with("a map") { "a table" } else { expected }
}

const fn type_name(actual: &Actual) -> &'static str {
    match actual {
        Actual::Bool(_) => "a boolean",
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) => "a number",
        Actual::Char(_) | Actual::Str(_) => "text",
        Actual::Seq => "a list",
        Actual::Map => "a table",
        _ => "another type",
    }
}
