//! Figures over a period, and the episodes they are made of.

use std::collections::HashMap;

use domain::id::AgentId;
use domain::{Actor, FieldError, Timestamp};

use super::Desk;
use super::accept::require_staff;
use crate::desk::episode::Episode;
use crate::desk::error::DeskError;
use crate::desk::report::{MAX_EPISODES, MAX_PERIOD, Report};

impl Desk {
    /// The figures of the episodes opened in `[from, to)`; an agent sees only their own.
    ///
    /// # Errors
    /// [`DeskError::Access`] for anybody but staff; [`DeskError::Invalid`] naming the field.
    pub async fn report(
        &self,
        actor: &Actor,
        from: Timestamp,
        to: Timestamp,
        agent: Option<AgentId>,
    ) -> Result<Report, DeskError> {
        let episodes = self.episodes_opened(actor, from, to, agent).await?;
        Ok(Report::of(&episodes, from, to, self.home))
    }

    /// The episodes of a report, oldest first.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub async fn episodes_opened(
        &self,
        actor: &Actor,
        from: Timestamp,
        to: Timestamp,
        agent: Option<AgentId>,
    ) -> Result<Vec<Episode>, DeskError> {
        let own = require_staff(actor)?;
        let agent = if actor.is_admin() { agent } else { Some(own) };
        if to <= from {
            return Err(FieldError::new("to", "is after from").into());
        }
        if to.since(from) > MAX_PERIOD {
            return Err(FieldError::new("to", "is at most 366 days after from").into());
        }
        Ok(self.store.read().episodes().list_opened(from, to, agent, MAX_EPISODES).await?)
    }

    /// The names of the staff, for views.
    ///
    /// # Errors
    /// [`DeskError::Store`].
    pub async fn agent_names(&self) -> Result<HashMap<AgentId, String>, DeskError> {
        let agents = self.store.read().agents().list().await?;
        Ok(agents.into_iter().map(|agent| (agent.id, agent.display_name)).collect())
    }
}
