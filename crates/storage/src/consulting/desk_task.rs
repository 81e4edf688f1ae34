//! Tasks of the desk.

use ::consultation::desk_task::{DeskTask, DeskTaskRepository, DeskTaskState};
use async_trait::async_trait;
use domain::id::{ConsultationId, DeskTaskId};
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryResult, QuerySelect, QueryTrait};

use crate::backend::store_error;
use crate::convert::{instant, known, millis, newest_first, parse, text};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "desk_task")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub consultation_id: String,
    pub state: String,
    pub created_at: i64,
    pub closed_at: Option<i64>,
    pub closed_by: Option<String>,
    pub note: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn task(row: Model) -> Result<DeskTask, StoreError> {
    Ok(DeskTask {
        id: parse("desk_task.id", &row.id)?,
        consultation_id: parse("desk_task.consultation_id", &row.consultation_id)?,
        state: known("desk_task.state", DeskTaskState::parse(&row.state))?,
        created_at: Timestamp::from_millis(row.created_at),
        closed_at: instant(row.closed_at),
        closed_by: row.closed_by,
        note: row.note,
    })
}

fn row(task: &DeskTask) -> ActiveModel {
    ActiveModel {
        id: Set(text(&task.id)),
        consultation_id: Set(text(&task.consultation_id)),
        state: Set(task.state.as_str().to_owned()),
        created_at: Set(task.created_at.as_millis()),
        closed_at: Set(millis(task.closed_at)),
        closed_by: Set(task.closed_by.clone()),
        note: Set(task.note.clone()),
    }
}

#[async_trait]
impl DeskTaskRepository for SeaUnit {
    async fn insert(&mut self, task: &DeskTask) -> Result<(), StoreError> {
        Entity::insert(row(task)).exec_without_returning(&self.db()).await.map_err(store_error)?;
        Ok(())
    }

    async fn find_locked(&mut self, id: DeskTaskId) -> Result<Option<DeskTask>, StoreError> {
        let select = Entity::find_by_id(text(&id)).lock_exclusive();
        select.one(&self.db()).await.map_err(store_error)?.map(task).transpose()
    }

    async fn update(&mut self, task: &DeskTask) -> Result<(), StoreError> {
        Entity::update(row(task)).exec(&self.db()).await.map_err(store_error)?;
        Ok(())
    }

    async fn list(&mut self, state: DeskTaskState, page: PageRequest) -> Result<Page<DeskTask>, StoreError> {
        let mut select = Entity::find().filter(Column::State.eq(state.as_str()));
        newest_first(QueryTrait::query(&mut select), "desk_task", "created_at", page);
        let rows = select.all(&self.db()).await.map_err(store_error)?;
        let found = rows.into_iter().map(task).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(found, page.limit, |task| Cursor { at: task.created_at, id: task.id.0 }))
    }

    async fn find_unattended(
        &mut self,
        only: Option<ConsultationId>,
        escalated_after: Timestamp,
        escalated_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ConsultationId>, StoreError> {
        let only_one = if only.is_some() { "AND e.consultation_id = $4" } else { "" };
        let sql = format!(
            "SELECT DISTINCT e.consultation_id AS id FROM notification e \
             JOIN consultation c ON c.id = e.consultation_id AND c.status <> '2' AND NOT c.is_invalid \
             WHERE e.cause = 'escalation' AND e.state NOT IN ('queued', 'cancelled') \
             AND e.updated_at >= $1 AND e.updated_at <= $2 {only_one} \
             AND NOT EXISTS (SELECT 1 FROM message a WHERE a.conversation_id = c.dialog_id \
             AND a.sender = c.doctor_id AND a.acted_by IS NULL AND a.created_at >= e.created_at) \
             AND NOT EXISTS (SELECT 1 FROM desk_task t WHERE t.consultation_id = e.consultation_id \
             AND t.created_at >= e.created_at) ORDER BY id LIMIT $3"
        );
        let mut values =
            vec![escalated_after.as_millis().into(), escalated_before.as_millis().into(), i64::from(limit).into()];
        values.extend(only.map(|id| text(&id).into()));
        let id = |row: &QueryResult| row.try_get::<String>("", "id").map_err(store_error);
        let rows = self.query(&sql, values).await?;
        rows.iter().map(|row| parse("notification.consultation_id", &id(row)?)).collect()
    }

    async fn close_settled(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let sql = "UPDATE desk_task SET state = 'closed', closed_at = $1, closed_by = 'system' WHERE state = 'open' \
                   AND EXISTS (SELECT 1 FROM consultation c WHERE c.id = desk_task.consultation_id \
                   AND (c.status = '2' OR c.is_invalid OR EXISTS (SELECT 1 FROM message a \
                   WHERE a.conversation_id = c.dialog_id AND a.sender = c.doctor_id AND a.acted_by IS NULL \
                   AND a.created_at >= desk_task.created_at)))";
        self.execute(sql, [now.as_millis().into()]).await
    }
}
