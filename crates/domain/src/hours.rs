//! Times of day as doctors write them, weekly windows and dated exceptions.
//!
//! Whether a doctor is open at an instant is decided in [`crate::office_hours`].

use std::fmt;

use chrono::{NaiveDate, Weekday};
use serde::{Deserialize, Serialize};

use crate::FieldError;

/// Seconds after local midnight, 0 to 86,400; 86,400 is midnight at the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime(u32);

impl LocalTime {
    pub const MIDNIGHT: Self = Self(0);
    pub const END_OF_DAY: Self = Self(86_400);

    /// From seconds after midnight; `None` above 86,400.
    pub const fn from_seconds(seconds: u32) -> Option<Self> {
        if seconds <= 86_400 { Some(Self(seconds)) } else { None }
    }

    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// Reads `H:mm`, `HH:mm` or `HH:mm:ss`, also with a full-width colon and surrounding spaces.
    /// `24:00` is read as the end of the day.
    pub fn parse(text: &str) -> Option<Self> {
        let normal = text.trim().replace('：', ":");
        let mut parts = normal.split(':');
        let (hours, minutes, seconds) = (parts.next()?, parts.next()?, parts.next());
        // `H:mm` may drop the leading zero, `HH:mm:ss` may not.
        let hours = digits(hours, if seconds.is_some() { 2 } else { 1 })?;
        let minutes = digits(minutes, 2)?;
        let seconds = seconds.map_or(Some(0), |s| digits(s, 2))?;
        if parts.next().is_some() || minutes > 59 || seconds > 59 {
            return None;
        }
        let total = hours * 3600 + minutes * 60 + seconds;
        Self::from_seconds(total)
    }

    /// [`LocalTime::parse`] for a *start*: `24:00` is not one.
    pub fn parse_start(text: &str) -> Option<Self> {
        Self::parse(text).filter(|t| *t != Self::END_OF_DAY)
    }

    /// [`LocalTime::parse`] for an *end*: 23:59, 23:59:59 and 24:00 all mean the end of the day.
    pub fn parse_end(text: &str) -> Option<Self> {
        let time = Self::parse(text)?;
        let is_last_minute = time.0 == 86_340 || time.0 == 86_399;
        Some(if is_last_minute { Self::END_OF_DAY } else { time })
    }
}

/// One or two ASCII digits, at least `min`.
fn digits(text: &str, min: usize) -> Option<u32> {
    let well_formed = (min..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if well_formed { text.parse().ok() } else { None }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (h, m, s) = (self.0 / 3600, self.0 / 60 % 60, self.0 % 60);
        if s == 0 { write!(f, "{h:02}:{m:02}") } else { write!(f, "{h:02}:{m:02}:{s:02}") }
    }
}

/// Opening on one weekday. A window whose start is after its end runs past midnight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WeeklyWindow {
    /// ISO weekday, 1 = Monday … 7 = Sunday.
    pub weekday: u8,
    /// `HH:mm`.
    pub start: String,
    /// `HH:mm`; 24:00 allowed.
    pub end: String,
}

impl WeeklyWindow {
    pub fn day(&self) -> Option<Weekday> {
        Weekday::try_from(self.weekday.checked_sub(1)?).ok()
    }
}

/// Hours of one calendar day, replacing the usual ones. No windows: closed all day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatedHours {
    pub date: NaiveDate,
    pub windows: Vec<DayWindow>,
}

/// A window of a dated exception.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DayWindow {
    pub start: String,
    pub end: String,
}

/// Most weekly windows and dated exceptions a doctor may have, and windows in one exception.
pub const MAX_WEEKLY_WINDOWS: usize = 28;
pub const MAX_DATED_HOURS: usize = 60;
pub const MAX_WINDOWS_A_DAY: usize = 6;

/// Checks the two legacy strings and stores them as `HH:mm`. Both or neither must be set.
///
/// # Errors
/// A [`FieldError`] naming `startConsultationTime` or `endConsultationTime`.
pub fn check_daily(start: Option<&str>, end: Option<&str>) -> Result<(Option<String>, Option<String>), FieldError> {
    let (start, end) = (start.filter(|s| !s.trim().is_empty()), end.filter(|s| !s.trim().is_empty()));
    match (start, end) {
        (None, None) => Ok((None, None)),
        (Some(_), None) => Err(FieldError::new("endConsultationTime", "is needed when a start is set")),
        (None, Some(_)) => Err(FieldError::new("startConsultationTime", "is needed when an end is set")),
        (Some(start), Some(end)) => {
            let start = check_start("startConsultationTime", start)?;
            let end = check_end("endConsultationTime", end)?;
            Ok((Some(start), Some(end)))
        }
    }
}

/// # Errors
/// A [`FieldError`] naming the window and field at fault, e.g. `weeklyHours[2].end`.
pub fn check_weekly(windows: &[WeeklyWindow]) -> Result<Vec<WeeklyWindow>, FieldError> {
    if windows.len() > MAX_WEEKLY_WINDOWS {
        return Err(FieldError::new("weeklyHours", format!("may hold at most {MAX_WEEKLY_WINDOWS} windows")));
    }
    let check = |(i, window): (usize, &WeeklyWindow)| {
        let at = format!("weeklyHours[{i}]");
        if window.day().is_none() {
            return Err(FieldError::new(format!("{at}.weekday"), "is 1 (Monday) to 7 (Sunday)"));
        }
        Ok(WeeklyWindow {
            weekday: window.weekday,
            start: check_start(&format!("{at}.start"), &window.start)?,
            end: check_end(&format!("{at}.end"), &window.end)?,
        })
    };
    windows.iter().enumerate().map(check).collect()
}

/// # Errors
/// A [`FieldError`] naming the exception and field at fault, e.g. `hourExceptions[0].windows[1].end`.
pub fn check_dated(days: &[DatedHours]) -> Result<Vec<DatedHours>, FieldError> {
    if days.len() > MAX_DATED_HOURS {
        return Err(FieldError::new("hourExceptions", format!("may hold at most {MAX_DATED_HOURS} days")));
    }
    let check_day = |(i, day): (usize, &DatedHours)| {
        let at = format!("hourExceptions[{i}]");
        if day.windows.len() > MAX_WINDOWS_A_DAY {
            return Err(FieldError::new(
                format!("{at}.windows"),
                format!("may hold at most {MAX_WINDOWS_A_DAY} windows"),
            ));
        }
        if days.iter().take(i).any(|earlier| earlier.date == day.date) {
            return Err(FieldError::new(format!("{at}.date"), "is listed twice"));
        }
        let check_window = |(j, window): (usize, &DayWindow)| {
            Ok(DayWindow {
                start: check_start(&format!("{at}.windows[{j}].start"), &window.start)?,
                end: check_end(&format!("{at}.windows[{j}].end"), &window.end)?,
            })
        };
        let windows = day.windows.iter().enumerate().map(check_window).collect::<Result<_, FieldError>>()?;
        Ok(DatedHours { date: day.date, windows })
    };
    days.iter().enumerate().map(check_day).collect()
}

fn check_start(field: &str, text: &str) -> Result<String, FieldError> {
    let time = LocalTime::parse_start(text).ok_or_else(|| FieldError::new(field, "is a time of day like 08:00"))?;
    Ok(time.to_string())
}

fn check_end(field: &str, text: &str) -> Result<String, FieldError> {
    let time =
        LocalTime::parse(text).ok_or_else(|| FieldError::new(field, "is a time of day like 22:00, at most 24:00"))?;
    Ok(time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_forms_are_one_time() {
        for text in ["8:00", "08:00", "08:00:00", " 8：00 ", "08：00：00", "\u{3000}08:00\t"] {
            assert_eq!(LocalTime::parse(text).map(LocalTime::seconds), Some(28_800), "{text}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        let malformed =
            ["", "8", "8:0", "9点", "08:00:00:00", "-8:00", "８:00", "008:00", "8:00:00", "08:00:", "8: 00"];
        let out_of_range = ["24:01", "24:00:01", "25:00", "08:60", "08:00:60"];
        for bad in malformed.into_iter().chain(out_of_range) {
            assert_eq!(LocalTime::parse(bad), None, "{bad}");
        }
        assert_eq!(LocalTime::parse_start("24:00"), None);
    }

    #[test]
    fn the_last_minute_as_an_end_means_midnight() {
        for text in ["24:00", "24:00:00", "23:59", "23:59:00", "23:59:59"] {
            assert_eq!(LocalTime::parse_end(text), Some(LocalTime::END_OF_DAY), "{text}");
        }
        assert_eq!(LocalTime::parse_end("23:58").map(LocalTime::seconds), Some(86_280));
    }

    #[test]
    fn one_side_alone_is_refused_by_name() {
        assert_eq!(check_daily(Some("08:00"), None).unwrap_err().field, "endConsultationTime");
        assert_eq!(check_daily(None, Some("08:00")).unwrap_err().field, "startConsultationTime");
        assert_eq!(check_daily(Some("9点"), Some("18:00")).unwrap_err().field, "startConsultationTime");
        assert_eq!(check_daily(Some("9：00"), Some("18:00")).unwrap(), (Some("09:00".into()), Some("18:00".into())));
        assert_eq!(check_daily(Some(" "), None).unwrap(), (None, None));
    }

    #[test]
    fn weekly_windows_name_the_field_at_fault() {
        let window = |weekday, end: &str| WeeklyWindow { weekday, start: "08:00".into(), end: end.into() };
        assert_eq!(
            check_weekly(&[window(1, "12:00"), window(8, "12:00")]).unwrap_err().field,
            "weeklyHours[1].weekday"
        );
        assert_eq!(check_weekly(&[window(7, "25:00")]).unwrap_err().field, "weeklyHours[0].end");
    }
}
