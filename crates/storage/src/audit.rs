//! The audit log.

use async_trait::async_trait;
use domain::audit::{AuditEvent, AuditFilter, AuditRecord, AuditRepository};
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::QueryTrait;
use sea_orm::entity::prelude::*;
use serde_json::json;

use crate::backend::store_error;
use crate::bulk;
use crate::convert::{newest_first, parse, text};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "audit_event")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub actor: String,
    pub action: String,
    pub subject: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub detail: Json,
    pub at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(crate) fn row(event: &AuditEvent) -> ActiveModel {
    ActiveModel {
        id: Set(text(&event.id)),
        actor: Set(event.actor.clone()),
        action: Set(event.action.to_owned()),
        subject: Set(event.subject.clone()),
        detail: Set(if event.detail.is_null() { json!({}) } else { event.detail.clone() }),
        at: Set(event.at.as_millis()),
    }
}

fn record(row: Model) -> Result<AuditRecord, StoreError> {
    Ok(AuditRecord {
        id: parse("audit_event.id", &row.id)?,
        actor: row.actor,
        action: row.action,
        subject: row.subject,
        detail: row.detail,
        at: Timestamp::from_millis(row.at),
    })
}

#[async_trait]
impl AuditRepository for SeaUnit {
    async fn append_all(&mut self, events: &[AuditEvent]) -> Result<(), StoreError> {
        bulk::insert::<Entity>(self, events.iter().map(row), "").await?;
        Ok(())
    }

    async fn list(&mut self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditRecord>, StoreError> {
        let mut select = Entity::find();
        let restrictions =
            [(Column::Actor, &filter.actor), (Column::Action, &filter.action), (Column::Subject, &filter.subject)];
        for (column, wanted) in restrictions {
            if let Some(wanted) = wanted {
                select = select.filter(column.eq(wanted.as_str()));
            }
        }
        newest_first(QueryTrait::query(&mut select), "audit_event", "at", page);
        let rows = select.all(&self.db()).await.map_err(store_error)?;
        let records = rows.into_iter().map(record).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(records, page.limit, |r| Cursor { at: r.at, id: r.id.0 }))
    }
}
