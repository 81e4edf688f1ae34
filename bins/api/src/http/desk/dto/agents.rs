//! Agents at the desk and the assistant's settings on the wire.

use domain::hours::{DatedHours, WeeklyWindow};
use domain::id::FileId;
use im::desk::agent::DeskAgentPatch;
use im::desk::assistant::{AssistantPatch, DeskSettings};
use im::desk::{Assistant, DeskAgent};
use poem_openapi::Object;
use poem_openapi::types::MaybeUndefined;

use crate::http::auth::dto::AgentRole;
use crate::http::doctors::dto::{HourException, WeeklyHours};
use crate::http::files::links::{FileRef, Links};
use crate::http::services::App;
use crate::http::values::{Id, Instant, patch};
use crate::http::words::DeskStatus;

/// Somebody at the desk.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct DeskAgentView {
    /// Id of the agent.
    pub agent_id: Id,
    /// User name.
    pub username: String,
    /// Name shown to others, customers among them.
    pub display_name: String,
    /// What they may do.
    pub role: AgentRole,
    /// Whether they are there.
    pub status: DeskStatus,
    /// Whether this is within their hours.
    pub is_in_hours: bool,
    /// Most chats at once; 0 for somebody who has never been at the desk.
    pub capacity: u32,
    /// Chats in hand.
    pub load: u32,
    /// What they can do.
    pub skills: Vec<String>,
    /// The groups they are in.
    pub groups: Vec<String>,
    /// IANA time zone of the hours; the server's business time zone when absent.
    pub timezone: Option<String>,
    /// Hours by weekday; without any, whenever they are online.
    pub weekly_hours: Vec<WeeklyHours>,
    /// Hours of single dates.
    pub hour_exceptions: Vec<HourException>,
    /// Until when they are taken for being there without another sign of life.
    pub lease_until: Option<Instant>,
}

/// Coming or going.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetDeskStatusRequest {
    /// The new status.
    pub status: DeskStatus,
}

/// A change of an agent at the desk.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeskAgentChangePatch {
    /// Most chats at once.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    pub capacity: Option<u32>,
    /// What they can do.
    #[oai(validator(max_items = 20))]
    pub skills: Option<Vec<String>>,
    /// The groups they are in.
    #[oai(validator(max_items = 20))]
    pub groups: Option<Vec<String>>,
    /// IANA time zone of the hours.
    #[oai(validator(max_length = 64))]
    pub timezone: MaybeUndefined<String>,
    /// Hours by weekday; without any, whenever they are online.
    #[oai(validator(max_items = 28))]
    pub weekly_hours: Option<Vec<WeeklyHours>>,
    /// Hours of single dates.
    #[oai(validator(max_items = 60))]
    pub hour_exceptions: Option<Vec<HourException>>,
}

/// How the desk works. Times are milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeskSettingsView {
    /// A customer who says nothing for this long after an answer is warned.
    #[oai(validator(minimum(value = "1000"), maximum(value = "2592000000")))]
    pub warn_after_ms: u64,
    /// And after this long more the chat is closed.
    #[oai(validator(minimum(value = "1000"), maximum(value = "2592000000")))]
    pub close_after_ms: u64,
    /// A message within this time after the close takes the same service up again.
    #[oai(validator(maximum(value = "2592000000")))]
    pub reopen_within_ms: u64,
    /// Waiting this long counts as one step of priority.
    #[oai(validator(minimum(value = "1000"), maximum(value = "2592000000")))]
    pub aging_ms: u64,
    /// An agent has this long to accept a chat that is handed over.
    #[oai(validator(minimum(value = "1000"), maximum(value = "2592000000")))]
    pub offer_ms: u64,
    /// Who served somebody within this time is preferred.
    #[oai(validator(maximum(value = "2592000000")))]
    pub sticky_ms: u64,
    /// Aim for the first answer, counted in open hours.
    #[oai(validator(minimum(value = "1000"), maximum(value = "2592000000")))]
    pub first_reply_ms: u64,
    /// Aim for every further answer.
    #[oai(validator(minimum(value = "1000"), maximum(value = "2592000000")))]
    pub next_reply_ms: u64,
    /// Aim for the end.
    #[oai(validator(minimum(value = "1000"), maximum(value = "2592000000")))]
    pub resolve_ms: u64,
    /// Chats at once of an agent for whom nothing else is set.
    #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
    pub default_capacity: u32,
}

/// Everything that can be set for the assistant.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct AssistantSettingsView {
    /// Its fixed id.
    pub object_id: Id,
    /// Name.
    pub name: String,
    /// Picture.
    pub icon: Option<FileRef>,
    /// Said when somebody opens the conversation for the first time.
    pub welcome_text: String,
    /// Said once in a closed period; `{{nextOpen}}` becomes the next opening.
    pub off_hours_text: String,
    /// Said before a chat is closed because the customer says nothing.
    pub warning_text: String,
    /// Said when a chat is closed.
    pub closing_text: String,
    /// Whether it takes messages at all.
    pub is_enabled: bool,
    /// IANA time zone of the hours; the server's business time zone when absent.
    pub timezone: Option<String>,
    /// Hours by weekday; without any, always.
    pub weekly_hours: Vec<WeeklyHours>,
    /// Hours of single dates.
    pub hour_exceptions: Vec<HourException>,
    /// How the desk works.
    pub settings: DeskSettingsView,
    /// When it last changed.
    pub updated_at: Instant,
    /// Grows with every change.
    pub version: i64,
}

/// A change of the assistant.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct AssistantSettingsPatch {
    /// Name.
    #[oai(validator(min_length = 1, max_length = 50))]
    pub name: Option<String>,
    /// Picture: a file the staff has uploaded.
    pub icon: MaybeUndefined<Id>,
    /// Said when somebody opens the conversation for the first time.
    #[oai(validator(min_length = 1, max_length = 1000))]
    pub welcome_text: Option<String>,
    /// Said once in a closed period; `{{nextOpen}}` becomes the next opening.
    #[oai(validator(min_length = 1, max_length = 1000))]
    pub off_hours_text: Option<String>,
    /// Said before a chat is closed because the customer says nothing.
    #[oai(validator(min_length = 1, max_length = 1000))]
    pub warning_text: Option<String>,
    /// Said when a chat is closed.
    #[oai(validator(min_length = 1, max_length = 1000))]
    pub closing_text: Option<String>,
    /// Whether it takes messages at all.
    pub is_enabled: Option<bool>,
    /// IANA time zone of the hours.
    #[oai(validator(max_length = 64))]
    pub timezone: MaybeUndefined<String>,
    /// Hours by weekday; without any, always.
    #[oai(validator(max_items = 28))]
    pub weekly_hours: Option<Vec<WeeklyHours>>,
    /// Hours of single dates.
    #[oai(validator(max_items = 60))]
    pub hour_exceptions: Option<Vec<HourException>>,
    /// How the desk works; sent whole.
    pub settings: Option<DeskSettingsView>,
}

impl DeskAgentView {
    pub fn of(agent: DeskAgent, app: &App) -> Self {
        let now = app.clock.now();
        Self {
            agent_id: agent.id.into(),
            status: agent.status_at(now).into(),
            is_in_hours: agent.hours(now, app.desk.home).is_open(),
            role: if agent.is_admin { AgentRole::Admin } else { AgentRole::Agent },
            username: agent.username,
            display_name: agent.display_name,
            capacity: agent.capacity,
            load: agent.load,
            skills: agent.skills,
            groups: agent.groups,
            timezone: agent.timezone,
            weekly_hours: agent.weekly_hours.into_iter().map(WeeklyHours::from).collect(),
            hour_exceptions: agent.hour_exceptions.into_iter().map(HourException::from).collect(),
            lease_until: agent.lease_until.map(Instant),
        }
    }
}

fn weekly(hours: Vec<WeeklyHours>) -> Vec<WeeklyWindow> {
    hours.into_iter().map(WeeklyWindow::from).collect()
}

fn dated(days: Vec<HourException>) -> Vec<DatedHours> {
    days.into_iter().map(DatedHours::from).collect()
}

impl From<DeskAgentChangePatch> for DeskAgentPatch {
    fn from(sent: DeskAgentChangePatch) -> Self {
        Self {
            capacity: sent.capacity,
            skills: sent.skills,
            groups: sent.groups,
            timezone: patch(sent.timezone, |v| v),
            weekly_hours: sent.weekly_hours.map(weekly),
            hour_exceptions: sent.hour_exceptions.map(dated),
        }
    }
}

impl From<DeskSettings> for DeskSettingsView {
    fn from(settings: DeskSettings) -> Self {
        Self {
            warn_after_ms: settings.warn_after_ms,
            close_after_ms: settings.close_after_ms,
            reopen_within_ms: settings.reopen_within_ms,
            aging_ms: settings.aging_ms,
            offer_ms: settings.offer_ms,
            sticky_ms: settings.sticky_ms,
            first_reply_ms: settings.first_reply_ms,
            next_reply_ms: settings.next_reply_ms,
            resolve_ms: settings.resolve_ms,
            default_capacity: settings.default_capacity,
        }
    }
}

impl From<DeskSettingsView> for DeskSettings {
    fn from(sent: DeskSettingsView) -> Self {
        Self {
            warn_after_ms: sent.warn_after_ms,
            close_after_ms: sent.close_after_ms,
            reopen_within_ms: sent.reopen_within_ms,
            aging_ms: sent.aging_ms,
            offer_ms: sent.offer_ms,
            sticky_ms: sent.sticky_ms,
            first_reply_ms: sent.first_reply_ms,
            next_reply_ms: sent.next_reply_ms,
            resolve_ms: sent.resolve_ms,
            default_capacity: sent.default_capacity,
        }
    }
}

impl AssistantSettingsView {
    pub fn of(assistant: Assistant, links: Links<'_>) -> Self {
        Self {
            object_id: assistant.id.into(),
            name: assistant.name,
            icon: assistant.icon.map(|icon| links.file(icon)),
            welcome_text: assistant.welcome_text,
            off_hours_text: assistant.off_hours_text,
            warning_text: assistant.warning_text,
            closing_text: assistant.closing_text,
            is_enabled: assistant.is_enabled,
            timezone: assistant.timezone,
            weekly_hours: assistant.weekly_hours.into_iter().map(WeeklyHours::from).collect(),
            hour_exceptions: assistant.hour_exceptions.into_iter().map(HourException::from).collect(),
            settings: assistant.settings.into(),
            updated_at: Instant(assistant.updated_at),
            version: assistant.version,
        }
    }
}

impl From<AssistantSettingsPatch> for AssistantPatch {
    fn from(sent: AssistantSettingsPatch) -> Self {
        Self {
            name: sent.name,
            icon: patch(sent.icon, |id| FileId(id.0)),
            welcome_text: sent.welcome_text,
            off_hours_text: sent.off_hours_text,
            warning_text: sent.warning_text,
            closing_text: sent.closing_text,
            is_enabled: sent.is_enabled,
            timezone: patch(sent.timezone, |v| v),
            weekly_hours: sent.weekly_hours.map(weekly),
            hour_exceptions: sent.hour_exceptions.map(dated),
            settings: sent.settings.map(DeskSettings::from),
        }
    }
}
