//! Gender as the product stores it.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gender {
    Male,
    Female,
    Unknown,
}

impl Gender {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Male => "male",
            Self::Female => "female",
            Self::Unknown => "unknown",
        }
    }

    /// Reads one of the three stored words.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Male, Self::Female, Self::Unknown].into_iter().find(|g| g.as_str() == text)
    }

    /// Maps the free text of an imported row; anything unrecognised is `Unknown`.
    pub fn from_free_text(text: &str) -> Self {
        match text.trim().to_lowercase().as_str() {
            "男" | "男性" | "male" | "m" | "1" => Self::Male,
            "女" | "女性" | "female" | "f" | "2" => Self::Female,
            _ => Self::Unknown,
        }
    }
}
