//! Agents at the desk, beside their accounts.

use ::im::desk::ports::DeskAgentRepository;
use ::im::desk::{DeskAgent, DeskStatus};
use async_trait::async_trait;
use domain::id::AgentId;
use domain::{StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use super::{get, json, read, small};
use crate::convert::{instant, known, parse, text};
use crate::store::SeaUnit;

const COLUMNS: &str = "d.agent_id, d.status, d.lease_until, d.capacity, d.load, d.last_assigned_at, d.skills, \
     d.groups_in, d.timezone, d.weekly_hours, d.hour_exceptions, COALESCE(a.username, '') AS username, \
     COALESCE(a.display_name, '') AS display_name, COALESCE(a.role, '') AS role, \
     COALESCE(a.is_enabled, true) AS is_enabled";

fn agent(row: &QueryResult) -> Result<DeskAgent, StoreError> {
    Ok(DeskAgent {
        id: parse("desk_agent.agent_id", &get::<String>(row, "agent_id")?)?,
        username: get(row, "username")?,
        display_name: get(row, "display_name")?,
        is_admin: get::<String>(row, "role")? == "admin",
        is_enabled: get(row, "is_enabled")?,
        status: known("desk_agent.status", DeskStatus::parse(&get::<String>(row, "status")?))?,
        lease_until: instant(get(row, "lease_until")?),
        capacity: small(row, "capacity")?,
        load: small(row, "load")?,
        last_assigned_at: instant(get(row, "last_assigned_at")?),
        skills: read(row, "skills")?,
        groups: read(row, "groups_in")?,
        timezone: get(row, "timezone")?,
        weekly_hours: read(row, "weekly_hours")?,
        hour_exceptions: read(row, "hour_exceptions")?,
    })
}

#[async_trait]
impl DeskAgentRepository for SeaUnit {
    async fn find(&mut self, id: AgentId) -> Result<Option<DeskAgent>, StoreError> {
        let sql =
            format!("SELECT {COLUMNS} FROM desk_agent d LEFT JOIN agent a ON a.id = d.agent_id WHERE d.agent_id = $1");
        self.query(&sql, [text(&id).into()]).await?.first().map(agent).transpose()
    }

    async fn list(&mut self) -> Result<Vec<DeskAgent>, StoreError> {
        let sql = "SELECT a.id AS agent_id, COALESCE(d.status, 'offline') AS status, d.lease_until, \
                   COALESCE(d.capacity, 0) AS capacity, COALESCE(d.load, 0) AS load, d.last_assigned_at, \
                   COALESCE(d.skills, '[]') AS skills, COALESCE(d.groups_in, '[]') AS groups_in, d.timezone, \
                   COALESCE(d.weekly_hours, '[]') AS weekly_hours, \
                   COALESCE(d.hour_exceptions, '[]') AS hour_exceptions, a.username, a.display_name, a.role, \
                   a.is_enabled FROM agent a LEFT JOIN desk_agent d ON d.agent_id = a.id WHERE a.is_enabled \
                   ORDER BY a.display_name, a.id";
        self.query(sql, []).await?.iter().map(agent).collect()
    }

    async fn list_there(&mut self, now: Timestamp) -> Result<Vec<DeskAgent>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM desk_agent d LEFT JOIN agent a ON a.id = d.agent_id WHERE d.lease_until >= $1 \
             AND d.status <> 'offline' AND COALESCE(a.is_enabled, true) ORDER BY d.agent_id"
        );
        self.query(&sql, [now.as_millis().into()]).await?.iter().map(agent).collect()
    }

    async fn ensure(&mut self, id: AgentId, capacity: u32) -> Result<(), StoreError> {
        let sql = "INSERT INTO desk_agent (agent_id, status, lease_until, capacity, load, last_assigned_at, skills, \
                   groups_in, timezone, weekly_hours, hour_exceptions) VALUES ($1, 'offline', NULL, $2, 0, NULL, \
                   '[]', '[]', NULL, '[]', '[]') ON CONFLICT (agent_id) DO NOTHING";
        self.execute(sql, [text(&id).into(), i64::from(capacity).into()]).await?;
        Ok(())
    }

    async fn set_status(&mut self, id: AgentId, status: DeskStatus, lease_until: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE desk_agent SET status = $2, lease_until = $3 WHERE agent_id = $1";
        let values: [Value; 3] = [text(&id).into(), status.as_str().into(), lease_until.as_millis().into()];
        if self.execute(sql, values).await? == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn renew(&mut self, id: AgentId, lease_until: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE desk_agent SET lease_until = $2 WHERE agent_id = $1 AND status <> 'offline'";
        Ok(self.execute(sql, [text(&id).into(), lease_until.as_millis().into()]).await? == 1)
    }

    async fn set_profile(&mut self, agent: &DeskAgent) -> Result<(), StoreError> {
        let sql = "UPDATE desk_agent SET capacity = $2, skills = $3, groups_in = $4, timezone = $5, \
                   weekly_hours = $6, hour_exceptions = $7 WHERE agent_id = $1";
        let values: [Value; 7] = [
            text(&agent.id).into(),
            i64::from(agent.capacity).into(),
            json(&agent.skills)?.into(),
            json(&agent.groups)?.into(),
            agent.timezone.clone().into(),
            json(&agent.weekly_hours)?.into(),
            json(&agent.hour_exceptions)?.into(),
        ];
        if self.execute(sql, values).await? == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }
}
