//! Office hours: whether a doctor is open at an instant, and when the doctor opens next.
//!
//! A [`Schedule`] is what a doctor's hours mean: for each local date, which windows *start* on it.
//! [`hours_at`] turns the windows around an instant into spans of instants and looks where it falls.
//! Nothing here reads a clock or the zone of the process.
//!
//! The rules, where the field descriptions leave room:
//!
//! - **Precedence.** A dated exception replaces everything else on its local date; else the weekly windows,
//!   if there are any (a weekday without one is closed); else the two daily strings, on all seven days.
//! - **A window belongs to the local date on which it starts.** `22:00–06:00` of Monday ends on Tuesday at 06:00
//!   even if an exception closes Tuesday: somebody on night duty finishes the night.
//! - **Half-open.** Open at the start, closed at the end, to the millisecond.
//! - **Start = end, as written, is all day**: the whole local date, also where the other rule would read the
//!   end as 24:00 (`23:59–23:59`).
//! - **Unreadable hours never silence a doctor.** What cannot be read counts as open on the dates it governs,
//!   marked [`Hours::Invalid`]; an unreadable zone counts as unset. So does a schedule that does not open
//!   within [`SEARCH_DAYS`]: nobody can have meant it.
//! - **Daylight saving.** A boundary stands for one instant: the first at which the local clock shows that
//!   time or a later one. In a gap that is the end of the gap, in an overlap the first of the two. A window
//!   that lies in a gap altogether does not happen on that date.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::Timestamp;
use crate::doctor::Doctor;
use crate::hours::{DatedHours, DayWindow, LocalTime, WeeklyWindow};
use chrono::{Datelike, LocalResult, NaiveDate, NaiveTime, TimeDelta, TimeZone, Weekday};
use chrono_tz::{GapInfo, Tz};

/// How many local dates ahead the next opening is looked for.
pub const SEARCH_DAYS: usize = 370;
/// How many openings and closings are gone through before a clock that stands still outside the hours is given up.
const MAX_PERIODS: usize = 800;

/// Where an instant falls in a doctor's hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hours {
    /// No hours are set: open, `HOURS_UNSET`.
    Unset,
    /// The hours in force cannot be read, or never open: open, `HOURS_INVALID`.
    Invalid,
    /// Inside a window.
    Open,
    /// Outside every window, until `next_open`.
    Closed {
        /// Start of the next window: later than the instant asked about, and [`Hours::is_open`] there.
        next_open: Timestamp,
    },
}

impl Hours {
    /// Whether the doctor may be told things now.
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Closed { .. })
    }

    /// The next opening; `None` while open.
    pub const fn next_open(self) -> Option<Timestamp> {
        match self {
            Self::Closed { next_open } => Some(next_open),
            Self::Unset | Self::Invalid | Self::Open => None,
        }
    }
}

/// A doctor's hours, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Zone the hours are written in.
    zone: Tz,
    /// Zone of the deployment, which patients live by.
    home: Tz,
    usual: Usual,
    dated: BTreeMap<NaiveDate, Plan>,
}

/// The hours of dates without an exception.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Usual {
    EveryDay(Plan),
    /// By [`Weekday::num_days_from_monday`]; closed on those not listed.
    Weekly(BTreeMap<u32, Plan>),
}

/// Hours as a record holds them.
#[derive(Debug, Clone, Copy, Default)]
pub struct WrittenHours<'a> {
    /// Start and end on all seven days, where nothing is said by weekday.
    pub daily: (Option<&'a str>, Option<&'a str>),
    pub weekly: &'a [WeeklyWindow],
    pub dated: &'a [DatedHours],
    /// IANA zone.
    pub timezone: Option<&'a str>,
}

/// What starts on one local date.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Plan {
    Unset,
    Invalid,
    /// None: closed all day.
    Windows(Vec<Window>),
}

/// A readable window. `start > end` ends on the next date; all day is 00:00–24:00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    start: LocalTime,
    end: LocalTime,
}

/// A window as instants, `[from, until)`, never empty.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Timestamp,
    until: Timestamp,
    hours: Hours,
}

/// Where `now` falls in the schedule.
///
/// ```
/// use domain::office_hours::{Hours, Schedule, hours_at};
/// use domain::{Timestamp, doctor::Doctor, id::DoctorId};
///
/// let mut doctor = Doctor::new(DoctorId("5daeb07b7b968a0074945056".parse()?), Timestamp::EPOCH);
/// doctor.start_consultation_time = Some("08:00".into());
/// doctor.end_consultation_time = Some("22:00".into());
/// let schedule = Schedule::of(&doctor, chrono_tz::Asia::Shanghai);
///
/// let evening = Timestamp::parse_rfc3339("2026-11-23T22:00:00+08:00")?;
/// let next_open = Timestamp::parse_rfc3339("2026-11-24T08:00:00+08:00")?;
/// assert_eq!(hours_at(evening, &schedule), Hours::Closed { next_open });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn hours_at(now: Timestamp, schedule: &Schedule) -> Hours {
    let today = schedule.local_date(now);
    // Yesterday's window may have run past midnight, and tomorrow's may have begun where an overlap at midnight put
    // the local clock back to today. Where spans overlap, that of the later date is the one in force.
    let latest_first = [1, 0, -1].into_iter().filter_map(|days| today.checked_add_signed(TimeDelta::days(days)));
    let mut around = latest_first.flat_map(|date| schedule.spans(date));
    if let Some(span) = around.find(|span| span.from <= now && now < span.until) {
        return span.hours;
    }
    // Boundaries never run backwards from one date to the next, so the first date with a later start has the answer.
    let mut starts = today.iter_days().take(SEARCH_DAYS).filter_map(|date| {
        let starts = schedule.spans(date).into_iter().map(|span| span.from);
        starts.filter(|from| *from > now).min()
    });
    starts.next().map_or(Hours::Invalid, |next_open| Hours::Closed { next_open })
}

impl Schedule {
    /// Reads a doctor's hours; `home` is the deployment's zone, used where the doctor has none.
    pub fn of(doctor: &Doctor, home: Tz) -> Self {
        let (start, end) = (doctor.start_consultation_time.as_deref(), doctor.end_consultation_time.as_deref());
        let written = WrittenHours {
            daily: (start, end),
            weekly: &doctor.weekly_hours,
            dated: &doctor.hour_exceptions,
            timezone: doctor.timezone.as_deref(),
        };
        Self::read(&written, home)
    }

    /// Reads hours as they are written down; `home` is the zone where none is written.
    pub fn read(written: &WrittenHours<'_>, home: Tz) -> Self {
        let usual = if written.weekly.is_empty() {
            Usual::EveryDay(Plan::of_daily(written.daily.0, written.daily.1))
        } else {
            Usual::of_weekly(written.weekly)
        };
        let mut dated = BTreeMap::new();
        for exception in written.dated {
            let plan = dated.entry(exception.date).or_insert(Plan::Windows(Vec::new()));
            exception.windows.iter().for_each(|DayWindow { start, end }| plan.add(Window::parse(start, end)));
        }
        let zone = written.timezone.and_then(|name| name.trim().parse().ok()).unwrap_or(home);
        Self { zone, home, usual, dated }
    }

    /// The instant at which this schedule will have been open for `open_for` since `from`: a clock that stands still
    /// outside the hours. Hours that cannot be read, or never open, count as open.
    pub fn open_for(&self, from: Timestamp, open_for: Duration) -> Timestamp {
        let (mut at, mut left) = (from, open_for);
        for _ in 0..MAX_PERIODS {
            let until = match hours_at(at, self) {
                Hours::Closed { next_open } => {
                    at = next_open;
                    continue;
                }
                Hours::Unset | Hours::Invalid => return at + left,
                Hours::Open => self.closes_after(at),
            };
            let open = until.since(at);
            if open >= left {
                return at + left;
            }
            (at, left) = (until, left.saturating_sub(open));
        }
        at + left
    }

    /// The end of the span that is in force at `at`.
    fn closes_after(&self, at: Timestamp) -> Timestamp {
        let today = self.local_date(at);
        let latest_first = [1, 0, -1].into_iter().filter_map(|days| today.checked_add_signed(TimeDelta::days(days)));
        let mut around = latest_first.flat_map(|date| self.spans(date));
        around.find(|span| span.from <= at && at < span.until).map_or(at, |span| span.until)
    }

    /// An instant as a patient reads it, in the doctor's local time: `11月23日（周一）08:00`, and a remark that
    /// it is the doctor's time where clocks at home show another.
    pub fn describe(&self, at: Timestamp) -> String {
        let local = at.to_datetime().with_timezone(&self.zone);
        let weekday = match local.weekday() {
            Weekday::Mon => "周一",
            Weekday::Tue => "周二",
            Weekday::Wed => "周三",
            Weekday::Thu => "周四",
            Weekday::Fri => "周五",
            Weekday::Sat => "周六",
            Weekday::Sun => "周日",
        };
        let at_home = at.to_datetime().with_timezone(&self.home);
        let remark = if local.naive_local() == at_home.naive_local() { "" } else { "（医生所在地时间）" };
        format!("{}月{}日（{weekday}）{}{remark}", local.month(), local.day(), local.format("%H:%M"))
    }

    fn local_date(&self, at: Timestamp) -> NaiveDate {
        at.to_datetime().with_timezone(&self.zone).date_naive()
    }

    /// The spans that start on a local date.
    fn spans(&self, date: NaiveDate) -> Vec<Span> {
        let usual = || match &self.usual {
            Usual::EveryDay(plan) => Some(plan),
            Usual::Weekly(plans) => plans.get(&date.weekday().num_days_from_monday()),
        };
        match self.dated.get(&date).or_else(usual) {
            None => Vec::new(),
            Some(Plan::Unset) => self.span(date, Window::ALL_DAY, Hours::Unset).into_iter().collect(),
            Some(Plan::Invalid) => self.span(date, Window::ALL_DAY, Hours::Invalid).into_iter().collect(),
            Some(Plan::Windows(windows)) => {
                windows.iter().filter_map(|window| self.span(date, *window, Hours::Open)).collect()
            }
        }
    }

    /// `None` when the window does not happen on that date: it lies in a daylight-saving gap, or beyond the calendar.
    fn span(&self, date: NaiveDate, window: Window, hours: Hours) -> Option<Span> {
        let from = self.instant(date, window.start)?;
        let last_date = if window.start > window.end { date.succ_opt()? } else { date };
        let until = self.instant(last_date, window.end)?;
        (from < until).then_some(Span { from, until, hours })
    }

    /// The first instant at which the local clock shows this time of this date, or a later one.
    fn instant(&self, date: NaiveDate, time: LocalTime) -> Option<Timestamp> {
        let (date, seconds) =
            if time == LocalTime::END_OF_DAY { (date.succ_opt()?, 0) } else { (date, time.seconds()) };
        let local = date.and_time(NaiveTime::from_num_seconds_from_midnight_opt(seconds, 0)?);
        let at = match self.zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at,
            LocalResult::None => GapInfo::new(&local, &self.zone)?.end?,
        };
        Some(Timestamp::from_datetime(at.to_utc()))
    }
}

impl Usual {
    fn of_weekly(windows: &[WeeklyWindow]) -> Self {
        let mut plans = BTreeMap::new();
        for window in windows {
            let Some(day) = window.day() else { return Self::EveryDay(Plan::Invalid) };
            let plan = plans.entry(day.num_days_from_monday()).or_insert(Plan::Windows(Vec::new()));
            plan.add(Window::parse(&window.start, &window.end));
        }
        Self::Weekly(plans)
    }
}

impl Plan {
    fn of_daily(start: Option<&str>, end: Option<&str>) -> Self {
        let written = |side: Option<&str>| side.is_some_and(|text| !text.trim().is_empty());
        match (start, end) {
            _ if !written(start) && !written(end) => Self::Unset,
            (Some(start), Some(end)) => {
                Window::parse(start, end).map_or(Self::Invalid, |window| Self::Windows(vec![window]))
            }
            _ => Self::Invalid,
        }
    }

    /// Adds a window; one that cannot be read spoils the day.
    fn add(&mut self, window: Option<Window>) {
        match (&mut *self, window) {
            (Self::Windows(windows), Some(window)) => windows.push(window),
            _ => *self = Self::Invalid,
        }
    }
}

impl Window {
    const ALL_DAY: Self = Self { start: LocalTime::MIDNIGHT, end: LocalTime::END_OF_DAY };

    fn parse(start: &str, end: &str) -> Option<Self> {
        let start = LocalTime::parse_start(start)?;
        if LocalTime::parse(end)? == start {
            return Some(Self::ALL_DAY);
        }
        Some(Self { start, end: LocalTime::parse_end(end)? })
    }
}

#[cfg(test)]
mod tests;
