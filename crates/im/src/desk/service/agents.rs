//! Agents coming, going and being there, and what administrators set for them.

use domain::Actor;
use domain::id::AgentId;
use serde_json::json;

use super::Desk;
use super::accept::require_staff;
use crate::desk::agent::{DeskAgent, DeskAgentPatch, DeskStatus, LEASE};
use crate::desk::error::DeskError;

impl Desk {
    /// The caller at the desk.
    ///
    /// # Errors
    /// [`DeskError::Access`] for anybody but staff.
    pub async fn own_agent(&self, actor: &Actor) -> Result<DeskAgent, DeskError> {
        let id = require_staff(actor)?;
        let mut unit = self.store.read();
        if let Some(agent) = unit.agents().find(id).await? {
            return Ok(agent);
        }
        let mut work = self.work().await?;
        work.unit.agents().ensure(id, work.assistant.settings.default_capacity).await?;
        let found = work.unit.agents().find(id).await?;
        self.finish(work).await?;
        found.ok_or(DeskError::AgentNotFound)
    }

    /// Everybody who may sign in to the console, with what they have in hand.
    ///
    /// # Errors
    /// [`DeskError::Access`] for anybody but staff.
    pub async fn list_agents(&self, actor: &Actor) -> Result<Vec<DeskAgent>, DeskError> {
        require_staff(actor)?;
        let mut unit = self.store.read();
        let capacity = self.assistant(&mut *unit).await?.settings.default_capacity;
        let known = unit.agents().list().await?.into_iter();
        // Whoever has never been at the desk begins with what is usual.
        let usual = |agent: DeskAgent| if agent.capacity == 0 { DeskAgent { capacity, ..agent } } else { agent };
        Ok(known.map(usual).collect())
    }

    /// Says that the caller is there, away or gone. Who is gone gives everything in hand back to the queue.
    ///
    /// # Errors
    /// [`DeskError::Access`] for anybody but staff.
    pub async fn set_status(&self, actor: &Actor, status: DeskStatus) -> Result<DeskAgent, DeskError> {
        let id = self.own_agent(actor).await?.id;
        let mut work = self.work().await?;
        let lease_until = if status == DeskStatus::Offline { work.now } else { work.now + LEASE };
        work.unit.agents().set_status(id, status, lease_until).await?;
        work.audit_subject(actor, "desk.status", format!("agent:{id}"), json!({ "status": status.as_str() }));
        work.tell_agent(id);
        self.finish(work).await?;
        if status == DeskStatus::Offline {
            self.requeue_orphaned().await?;
        }
        self.assign_after().await;
        self.own_agent(actor).await
    }

    /// A sign of life of the caller's console: the lease runs on. Who is offline stays offline.
    ///
    /// # Errors
    /// [`DeskError::Access`] for anybody but staff.
    pub async fn heartbeat(&self, actor: &Actor) -> Result<DeskAgent, DeskError> {
        let before = self.own_agent(actor).await?;
        let now = self.clock.now();
        if before.status == DeskStatus::Offline {
            return Ok(before);
        }
        // Who comes back after the lease was over may be given chats again.
        let is_back = !before.is_there(now);
        let mut work = self.work().await?;
        work.unit.agents().renew(before.id, now + LEASE).await?;
        if is_back {
            work.tell_agent(before.id);
        }
        self.finish(work).await?;
        if is_back {
            self.assign_after().await;
        }
        self.own_agent(actor).await
    }

    /// Sets what an agent can do and how much.
    ///
    /// # Errors
    /// [`DeskError::Access`] for anybody but administrators; [`DeskError::AgentNotFound`]; [`DeskError::Invalid`].
    pub async fn update_agent(
        &self,
        actor: &Actor,
        id: AgentId,
        patch: DeskAgentPatch,
    ) -> Result<DeskAgent, DeskError> {
        actor.require_admin()?;
        let mut work = self.work().await?;
        let mut agent = work.agent(id).await?.ok_or(DeskError::AgentNotFound)?;
        agent.apply(patch)?;
        work.unit.agents().set_profile(&agent).await?;
        let detail = json!({ "capacity": agent.capacity, "skills": agent.skills, "groups": agent.groups });
        work.audit_subject(actor, "desk.agent.update", format!("agent:{id}"), detail);
        work.tell_agent(id);
        self.finish(work).await?;
        self.assign_after().await;
        Ok(agent)
    }

    /// The groups agents are in.
    ///
    /// # Errors
    /// [`DeskError::Access`] for anybody but staff.
    pub async fn groups(&self, actor: &Actor) -> Result<Vec<String>, DeskError> {
        let mut groups: Vec<String> =
            self.list_agents(actor).await?.into_iter().flat_map(|agent| agent.groups).collect();
        groups.sort_unstable();
        groups.dedup();
        Ok(groups)
    }
}
