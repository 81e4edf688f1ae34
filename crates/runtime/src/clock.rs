//! The system's clock, the only place that reads it.

use chrono::Utc;
use domain::{Clock, Timestamp};

/// Tells UTC in whole milliseconds, so that a value read back from a database equals the one written.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that the port stands for")]
    fn now(&self) -> Timestamp {
        Timestamp::from_datetime(Utc::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_present_in_whole_milliseconds() {
        let reference = std::fs::metadata(tempfile::NamedTempFile::new().unwrap().path()).unwrap().modified().unwrap();
        let reference = Timestamp::from_datetime(reference.into());
        let now = SystemClock.now();
        assert!(now.since(reference).as_secs() < 60 && reference.since(now).as_secs() < 60, "{now} {reference}");
        assert_eq!(now.to_datetime().timestamp_subsec_nanos() % 1_000_000, 0);
    }
}
