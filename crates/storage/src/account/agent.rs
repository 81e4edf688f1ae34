//! Agents and administrators.

use ::account::agent::{Agent, AgentRepository, AgentRole};
use ::account::password::StoredPassword;
use async_trait::async_trait;
use domain::id::AgentId;
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect, QueryTrait};

use crate::backend::store_error;
use crate::convert::{known, newest_first, parse, text};
use crate::seal::Seal;
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "agent")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub username: String,
    pub display_name: String,
    pub role: String,
    pub password: String,
    pub is_enabled: bool,
    pub created_at: i64,
    pub updated_at: i64,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn row(seal: &Seal, agent: &Agent) -> ActiveModel {
    ActiveModel {
        id: Set(text(&agent.id)),
        username: Set(seal.name(&agent.username)),
        display_name: Set(agent.display_name.clone()),
        role: Set(agent.role.as_str().to_owned()),
        password: Set(agent.password.as_stored().to_owned()),
        is_enabled: Set(agent.is_enabled),
        created_at: Set(agent.created_at.as_millis()),
        updated_at: Set(agent.updated_at.as_millis()),
        version: Set(agent.version),
    }
}

fn agent(seal: &Seal, row: Model) -> Result<Agent, StoreError> {
    Ok(Agent {
        id: parse("agent.id", &row.id)?,
        username: seal.open_name("agent.username", row.username)?,
        display_name: row.display_name,
        role: known("agent.role", AgentRole::parse(&row.role))?,
        password: known("agent.password", StoredPassword::parse(&row.password).ok())?,
        is_enabled: row.is_enabled,
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
        version: row.version,
    })
}

impl SeaUnit {
    async fn agent_of(&self, select: Select<Entity>) -> Result<Option<Agent>, StoreError> {
        let found = select.one(&self.db()).await.map_err(store_error)?;
        found.map(|row| agent(&self.seal, row)).transpose()
    }
}

#[async_trait]
impl AgentRepository for SeaUnit {
    async fn find(&mut self, id: AgentId) -> Result<Option<Agent>, StoreError> {
        self.agent_of(Entity::find_by_id(text(&id))).await
    }

    async fn find_by_username(&mut self, username: &str) -> Result<Option<Agent>, StoreError> {
        self.agent_of(Entity::find().filter(Column::Username.eq(self.seal.name(username)))).await
    }

    async fn list(&mut self, page: PageRequest) -> Result<Page<Agent>, StoreError> {
        let mut select = Entity::find();
        newest_first(QueryTrait::query(&mut select), "agent", "created_at", page);
        let rows = select.all(&self.db()).await.map_err(store_error)?;
        let agents = rows.into_iter().map(|row| agent(&self.seal, row)).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(agents, page.limit, |a| Cursor { at: a.created_at, id: a.id.0 }))
    }

    async fn lock_enabled_admins(&mut self) -> Result<Vec<AgentId>, StoreError> {
        let select = Entity::find()
            .filter(Column::Role.eq(AgentRole::Admin.as_str()))
            .filter(Column::IsEnabled.eq(true))
            .order_by_asc(Column::Id)
            .lock_exclusive();
        let rows = select.all(&self.db()).await.map_err(store_error)?;
        rows.iter().map(|row| parse("agent.id", &row.id)).collect()
    }

    async fn insert(&mut self, agent: &Agent) -> Result<(), StoreError> {
        Entity::insert(row(&self.seal, agent)).exec_without_returning(&self.db()).await.map_err(store_error)?;
        Ok(())
    }

    async fn update(&mut self, agent: &Agent) -> Result<(), StoreError> {
        let next = ActiveModel { version: Set(agent.version + 1), ..row(&self.seal, agent) };
        let update = Entity::update_many()
            .set(next)
            .filter(Column::Id.eq(text(&agent.id)))
            .filter(Column::Version.eq(agent.version));
        let done = update.exec(&self.db()).await.map_err(store_error)?;
        if done.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }
}
