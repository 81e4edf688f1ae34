//! Whether a doctor has been checked. The rules of the steps are in the `consultation` crate.

use serde::{Deserialize, Serialize};

/// `Doctor.authenticated`. Unknown or missing values count as `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Certification {
    /// "0": not certified.
    #[default]
    #[serde(rename = "0")]
    None,
    /// "1": certified.
    #[serde(rename = "1")]
    Certified,
    /// "2": submitted, waiting for review.
    #[serde(rename = "2")]
    UnderReview,
    /// "3": rejected with a reason.
    #[serde(rename = "3")]
    Rejected,
}

impl Certification {
    /// The wire digit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "0",
            Self::Certified => "1",
            Self::UnderReview => "2",
            Self::Rejected => "3",
        }
    }

    /// Reads the wire digit; `None` for anything unknown.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Certified, Self::UnderReview, Self::Rejected].into_iter().find(|c| c.as_str() == text)
    }
}
