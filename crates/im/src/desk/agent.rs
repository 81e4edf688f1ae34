//! Agents as the desk knows them: whether they are there, what they can do, and how much they have in hand.

use std::time::Duration;

use chrono_tz::Tz;
use domain::hours::{self, DatedHours, WeeklyWindow};
use domain::id::AgentId;
use domain::office_hours::{Hours, Schedule, WrittenHours, hours_at};
use domain::{FieldError, Patch, Timestamp, text};

use super::assistant::{check_capacity, check_timezone};

/// An agent who gives no sign of life for this long is gone, and their chats go back to the queue.
pub const LEASE: Duration = Duration::from_secs(30);
pub const MAX_TAGS: usize = 20;
pub const MAX_TAG_CHARS: usize = 30;

/// Under which an agent listens for what concerns only them.
pub fn client_id(agent: AgentId) -> String {
    format!("agent:{agent}")
}

/// What an agent says of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeskStatus {
    /// There, and given chats.
    Online,
    /// There, keeps what is in hand, and is given nothing new.
    Away,
    Offline,
}

impl DeskStatus {
    pub const ALL: [Self; 3] = [Self::Online, Self::Away, Self::Offline];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Away => "away",
            Self::Offline => "offline",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// An agent at the desk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeskAgent {
    pub id: AgentId,
    pub username: String,
    pub display_name: String,
    pub is_admin: bool,
    /// May sign in at all.
    pub is_enabled: bool,
    /// As last said; counts while the lease runs, see [`Self::status_at`].
    pub status: DeskStatus,
    pub lease_until: Option<Timestamp>,
    pub capacity: u32,
    /// Chats in hand.
    pub load: u32,
    pub last_assigned_at: Option<Timestamp>,
    pub skills: Vec<String>,
    pub groups: Vec<String>,
    pub timezone: Option<String>,
    /// No windows: whenever they are online.
    pub weekly_hours: Vec<WeeklyWindow>,
    pub hour_exceptions: Vec<DatedHours>,
}

impl DeskAgent {
    /// Somebody of whom the desk knows nothing yet.
    pub fn new(id: AgentId, capacity: u32) -> Self {
        Self {
            id,
            username: String::new(),
            display_name: String::new(),
            is_admin: false,
            is_enabled: true,
            status: DeskStatus::Offline,
            lease_until: None,
            capacity,
            load: 0,
            last_assigned_at: None,
            skills: Vec::new(),
            groups: Vec::new(),
            timezone: None,
            weekly_hours: Vec::new(),
            hour_exceptions: Vec::new(),
        }
    }

    /// Whether the console of this agent has given a sign of life.
    pub fn is_there(&self, now: Timestamp) -> bool {
        self.is_enabled && self.status != DeskStatus::Offline && self.lease_until.is_some_and(|until| until >= now)
    }

    /// The status as others see it.
    pub fn status_at(&self, now: Timestamp) -> DeskStatus {
        if self.is_there(now) { self.status } else { DeskStatus::Offline }
    }

    pub fn hours(&self, now: Timestamp, home: Tz) -> Hours {
        let written = WrittenHours {
            daily: (None, None),
            weekly: &self.weekly_hours,
            dated: &self.hour_exceptions,
            timezone: self.timezone.as_deref(),
        };
        hours_at(now, &Schedule::read(&written, home))
    }

    pub const fn has_room(&self) -> bool {
        self.load < self.capacity
    }

    /// Whether chats are given to this agent now.
    pub fn takes_chats(&self, now: Timestamp, home: Tz) -> bool {
        self.is_there(now) && self.status == DeskStatus::Online && self.has_room() && self.hours(now, home).is_open()
    }

    /// Applies a patch after checking every field of it.
    ///
    /// # Errors
    /// All fields at fault at once; nothing is changed then.
    pub fn apply(&mut self, patch: DeskAgentPatch) -> Result<(), Vec<FieldError>> {
        let mut next = self.clone();
        let mut faults = Vec::new();
        match patch.capacity.map(|capacity| check_capacity("capacity", capacity)).transpose() {
            Ok(capacity) => next.capacity = capacity.unwrap_or(next.capacity),
            Err(fault) => faults.push(fault),
        }
        match patch.skills.map(|skills| check_tags("skills", &skills)).transpose() {
            Ok(skills) => next.skills = skills.unwrap_or(next.skills),
            Err(fault) => faults.push(fault),
        }
        match patch.groups.map(|groups| check_tags("groups", &groups)).transpose() {
            Ok(groups) => next.groups = groups.unwrap_or(next.groups),
            Err(fault) => faults.push(fault),
        }
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
        if !faults.is_empty() {
            return Err(faults);
        }
        *self = next;
        Ok(())
    }
}

/// What an administrator may change of an agent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeskAgentPatch {
    pub capacity: Option<u32>,
    pub skills: Option<Vec<String>>,
    pub groups: Option<Vec<String>>,
    pub timezone: Patch<String>,
    pub weekly_hours: Option<Vec<WeeklyWindow>>,
    pub hour_exceptions: Option<Vec<DatedHours>>,
}

/// Short words, each once, in the order given.
///
/// # Errors
/// A [`FieldError`] naming `field`.
pub fn check_tags(field: &str, tags: &[String]) -> Result<Vec<String>, FieldError> {
    if tags.len() > MAX_TAGS {
        return Err(FieldError::new(field, format!("has at most {MAX_TAGS} entries")));
    }
    let mut kept: Vec<String> = Vec::with_capacity(tags.len());
    for (at, tag) in tags.iter().enumerate() {
        let tag = text::required(&format!("{field}[{at}]"), tag, MAX_TAG_CHARS)?;
        if !kept.contains(&tag) {
            kept.push(tag);
        }
    }
    Ok(kept)
}
