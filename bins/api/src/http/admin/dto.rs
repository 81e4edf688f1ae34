//! Administration on the wire.

use account::staff::AgentWithPassword;
use domain::audit::AuditRecord;
use domain::outbox::JobRecord;
use poem_openapi::Object;
use serde_json::Value;

use crate::http::auth::dto::{AgentRole, AgentView};
use crate::http::values::{Id, Instant};
use crate::http::words::JobState;

/// Why something is refused or taken back.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReasonRequest {
    /// The reason, kept and shown to those it concerns.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub reason: String,
}

/// A new agent or administrator.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateAgentRequest {
    /// User name: a-z, 0-9, dot, hyphen and underscore.
    #[oai(validator(min_length = 3, max_length = 32))]
    pub username: String,
    /// Name shown to others.
    #[oai(validator(min_length = 1, max_length = 50))]
    pub display_name: String,
    /// What they may do.
    pub role: AgentRole,
}

/// A change of an agent.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentChangePatch {
    /// Whether they may sign in.
    pub is_enabled: bool,
}

/// A phone number to be unlocked.
#[derive(Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnlockPhoneRequest {
    /// Phone number: 11 digits of a mainland number, or E.164.
    #[oai(validator(min_length = 3, max_length = 32))]
    pub phone: String,
}

/// A member of staff with a password that was just generated.
#[derive(Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct AgentWithPasswordView {
    /// The member of staff.
    pub agent: AgentView,
    /// The password, shown only now.
    pub password: String,
}

impl From<AgentWithPassword> for AgentWithPasswordView {
    fn from(made: AgentWithPassword) -> Self {
        Self { agent: made.agent.into(), password: made.password.reveal().to_owned() }
    }
}

/// One act of the audit log.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct AuditEventView {
    /// Id of the entry.
    pub object_id: Id,
    /// Who acted: kind and id, e.g. `admin:5dae…`, or `system`.
    pub actor: String,
    /// Stable word of the act, e.g. `certification.approve`.
    pub action: String,
    /// What it was done to: kind and id, e.g. `doctor:5dae…`.
    pub subject: String,
    /// Why, and other small facts.
    pub detail: Value,
    /// When.
    pub at: Instant,
}

/// A background job.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct JobView {
    /// Id of the job.
    pub object_id: Id,
    /// What kind of work it is, e.g. `deliver_notification`.
    pub kind: String,
    /// Ids it works on.
    pub payload: Value,
    /// Where it stands.
    pub state: JobState,
    /// How often it was tried.
    pub attempts: u32,
    /// Not before this will it be tried.
    pub run_at: Instant,
    /// Until when a worker has it in hand.
    pub leased_until: Option<Instant>,
    /// What went wrong the last time.
    pub last_error: Option<String>,
    /// When it was queued.
    pub created_at: Instant,
}

impl From<AuditRecord> for AuditEventView {
    fn from(record: AuditRecord) -> Self {
        Self {
            object_id: record.id.into(),
            actor: record.actor,
            action: record.action,
            subject: record.subject,
            detail: record.detail,
            at: Instant(record.at),
        }
    }
}

impl From<JobRecord> for JobView {
    fn from(job: JobRecord) -> Self {
        Self {
            object_id: job.id.into(),
            kind: job.kind,
            payload: job.payload,
            state: job.state.into(),
            attempts: job.attempts,
            run_at: Instant(job.run_at),
            leased_until: job.leased_until.map(Instant),
            last_error: job.last_error,
            created_at: Instant(job.created_at),
        }
    }
}
