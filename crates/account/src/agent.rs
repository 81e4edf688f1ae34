//! Agents and administrators: the people of the console.

use async_trait::async_trait;
use domain::id::AgentId;
use domain::page::{Page, PageRequest};
use domain::{Actor, FieldError, StoreError, Timestamp};
use serde::{Deserialize, Serialize};

use crate::password::StoredPassword;

/// What a member of the staff may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentRole {
    /// Customer service: the desk.
    Agent,
    /// The desk and everything else of the console.
    Admin,
}

impl AgentRole {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Agent, Self::Admin].into_iter().find(|r| r.as_str() == text)
    }

    pub const fn actor(self, id: AgentId) -> Actor {
        match self {
            Self::Agent => Actor::Agent(id),
            Self::Admin => Actor::Admin(id),
        }
    }
}

/// One member of the staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    pub id: AgentId,
    /// Unique, lower case.
    pub username: String,
    pub display_name: String,
    pub role: AgentRole,
    pub password: StoredPassword,
    pub is_enabled: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows by one with every write; a write names the version it read.
    pub version: i64,
}

pub const MAX_USERNAME_CHARS: usize = 32;
pub const MAX_DISPLAY_NAME_CHARS: usize = 50;

/// The form in which names are stored and compared.
///
/// # Errors
/// A [`FieldError`] naming `username`.
pub fn check_username(text: &str) -> Result<String, FieldError> {
    let name = text.trim().to_lowercase();
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
    let is_fine = (3..=MAX_USERNAME_CHARS).contains(&name.len()) && name.chars().all(is_allowed);
    let fault = || {
        let allowed = format!("has 3 to {MAX_USERNAME_CHARS} of a-z, 0-9, dot, hyphen and underscore");
        FieldError::new("username", allowed)
    };
    is_fine.then_some(name).ok_or_else(fault)
}

/// Stores agents. A name that is taken is [`StoreError::Unique`].
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AgentRepository: Send {
    async fn find(&mut self, id: AgentId) -> Result<Option<Agent>, StoreError>;
    async fn find_by_username(&mut self, username: &str) -> Result<Option<Agent>, StoreError>;
    /// Newest first.
    async fn list(&mut self, page: PageRequest) -> Result<Page<Agent>, StoreError>;
    /// The administrators that are enabled; none of them can be changed by others until the unit ends.
    async fn lock_enabled_admins(&mut self) -> Result<Vec<AgentId>, StoreError>;
    async fn insert(&mut self, agent: &Agent) -> Result<(), StoreError>;
    /// Writes the agent if its version is still the one read, and bumps it; else [`StoreError::Conflict`].
    async fn update(&mut self, agent: &Agent) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_bounded() {
        assert_eq!(check_username(" Li.Wei-2 ").unwrap(), "li.wei-2");
        assert!(check_username("abc").is_ok());
        assert!(check_username(&"a".repeat(32)).is_ok());
        for bad in ["ab", &"a".repeat(33), "a b c", "王医生", "a/b/c"] {
            assert_eq!(check_username(bad).unwrap_err().field, "username", "{bad}");
        }
    }
}
