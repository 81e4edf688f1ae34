//! Prices: integer fen inside, a number of yuan on the LeanCloud wire.

use serde::{Deserialize, Serialize};

use crate::FieldError;

/// An amount in fen (1/100 yuan), never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fen(i64);

impl Fen {
    /// Highest price that can be asked: 100,000 yuan.
    pub const MAX: Self = Self(10_000_000);

    /// # Errors
    /// A [`FieldError`] naming `field` when the amount is negative or above [`Fen::MAX`].
    pub fn new(field: &str, fen: i64) -> Result<Self, FieldError> {
        if (0..=Self::MAX.0).contains(&fen) {
            Ok(Self(fen))
        } else {
            Err(FieldError::new(field, format!("must be between 0 and {} fen", Self::MAX.0)))
        }
    }

    /// An amount read back from the store, trusted as it is.
    pub const fn from_stored(fen: i64) -> Self {
        Self(fen)
    }

    pub const fn as_fen(self) -> i64 {
        self.0
    }

    /// Reads a number of yuan as LeanCloud shows it (`29.9`), rounding to the nearest fen.
    pub fn from_yuan(yuan: f64) -> Option<Self> {
        let fen = (yuan * 100.0).round();
        #[expect(clippy::cast_possible_truncation, reason = "bounded by MAX in the same expression")]
        (0.0..=10_000_000.0).contains(&fen).then_some(Self(fen as i64))
    }

    /// The number of yuan, as LeanCloud shows it.
    pub fn to_yuan(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "at most MAX, far below 2^53")]
        let fen = self.0 as f64;
        fen / 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yuan_rounds_to_fen_and_back() {
        assert_eq!(Fen::from_yuan(29.9).unwrap().as_fen(), 2990);
        assert!((Fen::from_stored(2990).to_yuan() - 29.9).abs() < f64::EPSILON);
        assert_eq!(Fen::from_yuan(-1.0), None);
        assert_eq!(Fen::from_yuan(f64::NAN), None);
    }

    #[test]
    fn bounds_are_inclusive() {
        assert!(Fen::new("price", 10_000_000).is_ok());
        assert!(Fen::new("price", 10_000_001).is_err());
        assert!(Fen::new("price", -1).is_err());
    }
}
