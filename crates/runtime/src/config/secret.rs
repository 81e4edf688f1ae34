//! A string that does not show itself.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// A credential or an address that may hold one. `Debug` never shows it; [`Secret::expose`] is the only
/// way in.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether this is too easy to guess to guard anything: short, monotonous, or a placeholder.
    pub fn is_weak(&self) -> bool {
        const MIN_CHARS: usize = 16;
        const MIN_DISTINCT: usize = 6;
        const PLACEHOLDERS: [&str; 8] =
            ["changeme", "change-me", "change_me", "password", "example", "placeholder", "your-", "your_"];
        let lower = self.0.to_ascii_lowercase();
        let mut distinct: Vec<char> = lower.chars().collect();
        distinct.sort_unstable();
        distinct.dedup();
        self.0.chars().count() < MIN_CHARS
            || distinct.len() < MIN_DISTINCT
            || PLACEHOLDERS.iter().any(|word| lower.contains(word))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(…)" })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_it() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "Secret(…) Some(\n    Secret(…),\n)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn guessable_ones_are_weak() {
        for weak in ["", "k3Jf92lsPq8Zm1x", "aaaaaaaaaaaaaaaaaaaaaaaa", "changeme-changeme-1", "My-PassWord-is-long-1"]
        {
            assert!(Secret::new(weak).is_weak(), "{weak}");
        }
        assert!(!Secret::new("k3Jf92lsPq8Zm1xW").is_weak());
    }
}
