//! Instants as UTC milliseconds, and the clock port.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// An instant: milliseconds since the Unix epoch, UTC. Serialised as that integer;
/// [`Timestamp::to_rfc3339`] is the form of the native API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written like 2026-01-02T03:04:05.678Z")]
pub struct MalformedTime;

impl Timestamp {
    pub const EPOCH: Self = Self(0);

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The same instant for calendar arithmetic. Instants outside chrono's range (±262,000 years)
    /// are clamped to the epoch.
    pub fn to_datetime(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }

    pub fn from_datetime(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_millis())
    }

    /// Parses RFC 3339, any offset, truncating to milliseconds.
    ///
    /// # Errors
    /// [`MalformedTime`] when the text is anything else.
    pub fn parse_rfc3339(text: &str) -> Result<Self, MalformedTime> {
        let at = DateTime::parse_from_rfc3339(text).or(Err(MalformedTime))?;
        Ok(Self(at.timestamp_millis()))
    }

    /// `2026-01-02T03:04:05.678Z`: always milliseconds, always `Z`.
    pub fn to_rfc3339(self) -> String {
        self.written().unwrap_or_else(|| self.to_datetime().to_rfc3339_opts(SecondsFormat::Millis, true))
    }

    /// The same without a calendar's generality: every message that is passed on shows a time. `None` for years that
    /// are not written with four digits.
    fn written(self) -> Option<String> {
        const DAY_MS: i64 = 86_400_000;
        // Years are counted from the first of March, so that a leap day is the last of its year, in eras of 400 of them.
        let (days, ms) = (self.0.div_euclid(DAY_MS) + 719_468, self.0.rem_euclid(DAY_MS));
        let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        if !(0..=9999).contains(&year) {
            return None;
        }
        let mut text = Vec::with_capacity(24);
        let (minutes, ms_of_minute) = (ms / 60_000, ms % 60_000);
        for (number, width, after) in [
            (year, 4, b'-'),
            (month, 2, b'-'),
            (day, 2, b'T'),
            (minutes / 60, 2, b':'),
            (minutes % 60, 2, b':'),
            (ms_of_minute / 1000, 2, b'.'),
            (ms_of_minute % 1000, 3, b'Z'),
        ] {
            let mut unit = 10_i64.pow(width - 1);
            while unit > 0 {
                text.push(b'0' + u8::try_from(number / unit % 10).unwrap_or_default());
                unit /= 10;
            }
            text.push(after);
        }
        String::from_utf8(text).ok()
    }

    /// Time elapsed since `earlier`, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

/// Tells the time. A port, so that tests can stop it.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// Whole minutes, hours and days as durations, for readable settings and tests.
pub mod span {
    use std::time::Duration;

    pub const fn minutes(n: u64) -> Duration {
        Duration::from_secs(n * 60)
    }
    pub const fn hours(n: u64) -> Duration {
        minutes(n * 60)
    }
    pub const fn days(n: u64) -> Duration {
        hours(n * 24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_milliseconds_and_z() {
        assert_eq!(Timestamp::from_millis(1_767_323_045_678).to_rfc3339(), "2026-01-02T03:04:05.678Z");
        assert_eq!(Timestamp::EPOCH.to_string(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn every_time_is_written_as_the_calendar_has_it() {
        let by_calendar = |at: Timestamp| at.to_datetime().to_rfc3339_opts(SecondsFormat::Millis, true);
        // About every second week from the year -100 to 10100, so that leap days, centuries and odd times are met.
        let step = 86_400_000 * 13 + 12_345_678;
        for at in (0..290_000).map(|n| Timestamp::from_millis(-65_320_000_000_000 + n * step)) {
            assert_eq!(at.to_rfc3339(), by_calendar(at));
        }
        let leap_day = Timestamp::parse_rfc3339("2000-02-29T23:59:59.999Z").unwrap();
        assert_eq!(leap_day.to_rfc3339(), "2000-02-29T23:59:59.999Z");
    }

    #[test]
    fn parsing_takes_offsets_and_truncates() {
        let parsed = Timestamp::parse_rfc3339("2026-01-02T11:04:05.678999+08:00").unwrap();
        assert_eq!(parsed.as_millis(), 1_767_323_045_678);
        assert_eq!(Timestamp::parse_rfc3339("2026-01-02"), Err(MalformedTime));
    }

    #[test]
    fn since_never_goes_below_zero() {
        let t = Timestamp::from_millis(5);
        assert_eq!(t.since(Timestamp::from_millis(9)), Duration::ZERO);
        assert_eq!(Timestamp::from_millis(9).since(t), Duration::from_millis(4));
    }
}
