//! Administration on the wire.

use account::staff::AgentWithPassword;
use poem_openapi::Object;

use crate::http::auth::dto::{AgentRole, AgentView};

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
