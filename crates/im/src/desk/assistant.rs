//! The official assistant: who it is, when it is open, and how its desk works.

use std::time::Duration;

use chrono_tz::Tz;
use domain::hours::{self, DatedHours, WeeklyWindow};
use domain::id::{AssistantId, FileId};
use domain::office_hours::{Hours, Schedule, WrittenHours, hours_at};
use domain::time::span;
use domain::{FieldError, Patch, Timestamp, text};
use serde::{Deserialize, Serialize};

pub const MAX_NAME_CHARS: usize = 50;
/// Most characters of each of the texts it says by itself.
pub const MAX_TEXT_CHARS: usize = 1_000;
/// Longest of the desk's times.
pub const MAX_TIME: Duration = span::days(30);
pub const MAX_CAPACITY: u32 = 100;

/// Stands for the next opening in [`Assistant::off_hours_text`].
pub const NEXT_OPEN: &str = "{{nextOpen}}";

/// The one assistant of the product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assistant {
    pub id: AssistantId,
    pub name: String,
    pub icon: Option<FileId>,
    /// Said when somebody opens the conversation for the first time.
    pub welcome_text: String,
    /// Said once in a closed period; [`NEXT_OPEN`] becomes the next opening.
    pub off_hours_text: String,
    /// Said before a chat is closed because the customer says nothing.
    pub warning_text: String,
    /// Said when a chat is closed.
    pub closing_text: String,
    pub is_enabled: bool,
    /// IANA zone of the hours; the deployment's zone when unset.
    pub timezone: Option<String>,
    /// No windows at all: always open.
    pub weekly_hours: Vec<WeeklyWindow>,
    pub hour_exceptions: Vec<DatedHours>,
    pub settings: DeskSettings,
    pub updated_at: Timestamp,
    /// Grows by one with every write; a write names the version it read.
    pub version: i64,
}

/// How the desk works. Times are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeskSettings {
    /// A customer who says nothing for this long after an answer is warned.
    pub warn_after_ms: u64,
    /// And after this long more the chat is closed.
    pub close_after_ms: u64,
    /// A message within this time after the close takes the same episode up again.
    pub reopen_within_ms: u64,
    /// Waiting this long counts as one step of priority, so that nobody waits for ever.
    pub aging_ms: u64,
    /// An agent has this long to accept a chat that is handed over.
    pub offer_ms: u64,
    /// Whom somebody was served by within this time is preferred.
    pub sticky_ms: u64,
    /// Aim for the first answer, counted in open hours.
    pub first_reply_ms: u64,
    /// Aim for every further answer.
    pub next_reply_ms: u64,
    /// Aim for the end.
    pub resolve_ms: u64,
    /// Chats of an agent for whom nothing else is set.
    pub default_capacity: u32,
}

const fn millis(duration: Duration) -> u64 {
    duration.as_secs() * 1000
}

impl Default for DeskSettings {
    fn default() -> Self {
        Self {
            warn_after_ms: millis(span::minutes(20)),
            close_after_ms: millis(span::minutes(10)),
            reopen_within_ms: millis(span::hours(24)),
            aging_ms: millis(span::minutes(5)),
            offer_ms: millis(span::minutes(1)),
            sticky_ms: millis(span::days(7)),
            first_reply_ms: millis(span::minutes(2)),
            next_reply_ms: millis(span::minutes(5)),
            resolve_ms: millis(span::hours(8)),
            default_capacity: 5,
        }
    }
}

impl DeskSettings {
    fn check(&self) -> Vec<FieldError> {
        let times = [
            ("warnAfterMs", self.warn_after_ms),
            ("closeAfterMs", self.close_after_ms),
            ("reopenWithinMs", self.reopen_within_ms),
            ("agingMs", self.aging_ms),
            ("offerMs", self.offer_ms),
            ("stickyMs", self.sticky_ms),
            ("firstReplyMs", self.first_reply_ms),
            ("nextReplyMs", self.next_reply_ms),
            ("resolveMs", self.resolve_ms),
        ];
        let may_be_zero = ["reopenWithinMs", "stickyMs"];
        let is_fine = |name: &str, value: u64| {
            value <= millis(MAX_TIME) && (value >= 1_000 || value == 0 && may_be_zero.contains(&name))
        };
        let faults = times.into_iter().filter(|(name, value)| !is_fine(name, *value));
        let mut faults: Vec<_> = faults
            .map(|(name, _)| FieldError::new(format!("settings.{name}"), "is between 1 second and 30 days"))
            .collect();
        faults.extend(check_capacity("settings.defaultCapacity", self.default_capacity).err());
        faults
    }
}

/// # Errors
/// A [`FieldError`] naming `field`.
pub fn check_capacity(field: &str, capacity: u32) -> Result<u32, FieldError> {
    let fault = || FieldError::new(field, format!("is between 1 and {MAX_CAPACITY}"));
    if (1..=MAX_CAPACITY).contains(&capacity) { Ok(capacity) } else { Err(fault()) }
}

/// # Errors
/// A [`FieldError`] naming `timezone`.
pub fn check_timezone(name: &str) -> Result<String, FieldError> {
    match name.parse::<Tz>() {
        Ok(zone) => Ok(zone.name().to_owned()),
        Err(_) => Err(FieldError::new("timezone", "is an IANA time zone like Asia/Shanghai")),
    }
}

impl Assistant {
    /// As it is before anybody has changed anything.
    pub fn new(id: AssistantId, now: Timestamp) -> Self {
        Self {
            id,
            name: "兆观官方助手".to_owned(),
            icon: None,
            welcome_text: "您好，我是兆观官方助手，请问有什么可以帮您？".to_owned(),
            off_hours_text: format!("您好，现在是非服务时间，客服将于{NEXT_OPEN}起为您服务，请先留言。"),
            warning_text: "您已有一段时间没有回复，如无其他问题，本次服务将稍后自动结束。".to_owned(),
            closing_text: "本次服务已结束，感谢您的咨询，欢迎为本次服务评分。".to_owned(),
            is_enabled: true,
            timezone: None,
            weekly_hours: Vec::new(),
            hour_exceptions: Vec::new(),
            settings: DeskSettings::default(),
            updated_at: now,
            version: 1,
        }
    }

    /// Under which it is a member of conversations.
    pub fn client_id(&self) -> String {
        self.id.to_string()
    }

    pub fn schedule(&self, home: Tz) -> Schedule {
        let written = WrittenHours {
            daily: (None, None),
            weekly: &self.weekly_hours,
            dated: &self.hour_exceptions,
            timezone: self.timezone.as_deref(),
        };
        Schedule::read(&written, home)
    }

    pub fn hours(&self, now: Timestamp, home: Tz) -> Hours {
        hours_at(now, &self.schedule(home))
    }

    /// What is said outside the hours.
    pub fn off_hours(&self, next_open: Timestamp, home: Tz) -> String {
        self.off_hours_text.replace(NEXT_OPEN, &self.schedule(home).describe(next_open))
    }

    /// Applies a patch after checking every field of it.
    ///
    /// # Errors
    /// All fields at fault at once; nothing is changed then.
    pub fn apply(&mut self, patch: AssistantPatch, now: Timestamp) -> Result<(), Vec<FieldError>> {
        let mut next = self.clone();
        let mut faults = Vec::new();
        let texts = [
            ("name", patch.name, MAX_NAME_CHARS, &mut next.name),
            ("welcomeText", patch.welcome_text, MAX_TEXT_CHARS, &mut next.welcome_text),
            ("offHoursText", patch.off_hours_text, MAX_TEXT_CHARS, &mut next.off_hours_text),
            ("warningText", patch.warning_text, MAX_TEXT_CHARS, &mut next.warning_text),
            ("closingText", patch.closing_text, MAX_TEXT_CHARS, &mut next.closing_text),
        ];
        for (field, value, most, place) in texts {
            match value.map(|value| text::required(field, &value, most)) {
                Some(Ok(value)) => *place = value,
                Some(Err(fault)) => faults.push(fault),
                None => {}
            }
        }
        patch.icon.apply(&mut next.icon);
        next.is_enabled = patch.is_enabled.unwrap_or(next.is_enabled);
        match patch.timezone.try_map(|name| check_timezone(&name)) {
            Ok(zone) => zone.apply(&mut next.timezone),
            Err(fault) => faults.push(fault),
        }
        match patch.weekly_hours.map(|windows| hours::check_weekly(&windows)).transpose() {
            Ok(windows) => next.weekly_hours = windows.unwrap_or(next.weekly_hours),
            Err(fault) => faults.push(fault),
        }
        match patch.hour_exceptions.map(|days| hours::check_dated(&days)).transpose() {
            Ok(days) => next.hour_exceptions = days.unwrap_or(next.hour_exceptions),
            Err(fault) => faults.push(fault),
        }
        if let Some(settings) = patch.settings {
            faults.extend(settings.check());
            next.settings = settings;
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        next.updated_at = now;
        *self = next;
        Ok(())
    }
}

/// What may be changed of the assistant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AssistantPatch {
    pub name: Option<String>,
    pub icon: Patch<FileId>,
    pub welcome_text: Option<String>,
    pub off_hours_text: Option<String>,
    pub warning_text: Option<String>,
    pub closing_text: Option<String>,
    pub is_enabled: Option<bool>,
    pub timezone: Patch<String>,
    pub weekly_hours: Option<Vec<WeeklyWindow>>,
    pub hour_exceptions: Option<Vec<DatedHours>>,
    pub settings: Option<DeskSettings>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::DEFAULT_ASSISTANT;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(text).unwrap()
    }

    #[test]
    fn the_off_hours_text_names_the_next_opening() {
        let mut assistant = Assistant::new(DEFAULT_ASSISTANT, Timestamp::EPOCH);
        let window = WeeklyWindow { weekday: 1, start: "09:00".into(), end: "18:00".into() };
        assistant
            .apply(
                AssistantPatch { weekly_hours: Some(vec![window]), ..AssistantPatch::default() },
                at("2026-11-22T00:00:00Z"),
            )
            .unwrap();
        let home = chrono_tz::Asia::Shanghai;
        let Hours::Closed { next_open } = assistant.hours(at("2026-11-22T10:00:00+08:00"), home) else {
            panic!("closed on a Sunday")
        };
        assert!(assistant.off_hours(next_open, home).contains("11月23日（周一）09:00"));
        assert!(assistant.hours(at("2026-11-23T10:00:00+08:00"), home).is_open());
    }

    #[test]
    fn faults_are_named_and_nothing_changes() {
        let mut assistant = Assistant::new(DEFAULT_ASSISTANT, Timestamp::EPOCH);
        let before = assistant.clone();
        let patch = AssistantPatch {
            name: Some(" ".into()),
            timezone: Patch::Set("Mars".into()),
            settings: Some(DeskSettings { warn_after_ms: 5, default_capacity: 0, ..DeskSettings::default() }),
            ..AssistantPatch::default()
        };
        let faults = assistant.apply(patch, Timestamp::EPOCH).unwrap_err();
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["name", "timezone", "settings.warnAfterMs", "settings.defaultCapacity"]);
        assert_eq!(assistant, before);
    }
}
