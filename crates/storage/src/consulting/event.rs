//! The events of consultations.

use ::consultation::consultation::ConsultationEvent;
use ::consultation::{EndReason, Status};
use domain::id::ConsultationId;
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::QueryOrder;
use sea_orm::entity::prelude::*;

use crate::backend::store_error;
use crate::bulk;
use crate::convert::{known, parse, text};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "consultation_event")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub consultation_id: String,
    pub event: String,
    pub actor: String,
    pub from_status: Option<String>,
    pub to_status: String,
    pub end_reason: Option<String>,
    pub note: Option<String>,
    pub at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(super) fn row(event: &ConsultationEvent) -> ActiveModel {
    ActiveModel {
        id: Set(text(&event.id)),
        consultation_id: Set(text(&event.consultation_id)),
        event: Set(event.event.clone()),
        actor: Set(event.actor.clone()),
        from_status: Set(event.from_status.map(|s| s.as_str().to_owned())),
        to_status: Set(event.to_status.as_str().to_owned()),
        end_reason: Set(event.end_reason.map(|r| r.as_str().to_owned())),
        note: Set(event.note.clone()),
        at: Set(event.at.as_millis()),
    }
}

pub(crate) async fn append(unit: &SeaUnit, events: &[ConsultationEvent]) -> Result<(), StoreError> {
    bulk::insert::<Entity>(unit, events.iter().map(row), "").await?;
    Ok(())
}

pub(super) async fn list(unit: &SeaUnit, id: ConsultationId) -> Result<Vec<ConsultationEvent>, StoreError> {
    let select =
        Entity::find().filter(Column::ConsultationId.eq(text(&id))).order_by_asc(Column::At).order_by_asc(Column::Id);
    select.all(&unit.db()).await.map_err(store_error)?.into_iter().map(event).collect()
}

fn event(row: Model) -> Result<ConsultationEvent, StoreError> {
    let status = |text: &str| known("consultation_event.to_status", Status::parse(text));
    Ok(ConsultationEvent {
        id: parse("consultation_event.id", &row.id)?,
        consultation_id: parse("consultation_event.consultation_id", &row.consultation_id)?,
        event: row.event,
        actor: row.actor,
        from_status: row.from_status.as_deref().map(status).transpose()?,
        to_status: status(&row.to_status)?,
        end_reason: row.end_reason.map(|r| known("consultation_event.end_reason", EndReason::parse(&r))).transpose()?,
        note: row.note,
        at: Timestamp::from_millis(row.at),
    })
}
