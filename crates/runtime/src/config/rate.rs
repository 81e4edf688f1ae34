//! Limits as people write them: `5/1h`, five within an hour.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::duration;

/// At most `count` within any `within`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub within: Duration,
}

impl Rate {
    pub const fn new(count: u32, within: Duration) -> Self {
        Self { count, within }
    }

    fn parse(text: &str) -> Option<Self> {
        let (count, within) = text.split_once('/')?;
        let within = duration::parse(within).filter(|within| !within.is_zero())?;
        Some(Self { count: count.trim().parse().ok()?, within })
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("is a limit like \"5/1h\": a number and a duration"))
    }
}

#[cfg(test)]
mod tests {
    use domain::time::span;

    use super::*;

    #[test]
    fn a_count_and_a_duration_are_read() {
        assert_eq!(Rate::parse("5/1h"), Some(Rate::new(5, span::hours(1))));
        assert_eq!(Rate::parse(" 10 / 24h "), Some(Rate::new(10, span::hours(24))));
        assert_eq!(Rate::parse("0/1m"), Some(Rate::new(0, span::minutes(1))));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "5", "5/", "/1h", "5/0s", "-1/1h", "5/hour", "5/1h/2"] {
            assert_eq!(Rate::parse(bad), None, "{bad}");
        }
    }
}
