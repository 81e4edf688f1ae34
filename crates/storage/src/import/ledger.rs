//! Where rows came from.

use ::leancloud::import::store::{ImportClass, ImportLedger, RowState};
use async_trait::async_trait;
use domain::{ObjectId, StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::Value;
use sea_orm::entity::prelude::*;

use super::{MAX_NAMED_PARAMETERS, Taken};
use crate::backend::store_error;
use crate::convert::{instant, parse, text};
use crate::store::SeaUnit;
use crate::values::tuples;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "imported_row")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub class: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub updated_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The table of a class.
pub(super) const fn table_of(class: ImportClass) -> &'static str {
    match class {
        ImportClass::User => "account_user",
        ImportClass::File => "file",
        ImportClass::Doctor => "doctor",
        ImportClass::Patient => "patient",
        ImportClass::Relation => "relation",
        ImportClass::Conversation => "conversation",
        ImportClass::Consultation => "consultation",
    }
}

#[async_trait]
impl ImportLedger for SeaUnit {
    async fn states(&mut self, class: ImportClass, ids: &[ObjectId]) -> Result<Vec<RowState>, StoreError> {
        let table = table_of(class);
        // Files do not change here and have no such column.
        let updated_at = if class == ImportClass::File { "NULL" } else { "here.updated_at" };
        let lock = self.backend.for_update();
        let mut states = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_NAMED_PARAMETERS) {
            let list = tuples(1, ids.len(), 2);
            let sql = format!(
                "SELECT here.id AS id, CAST({updated_at} AS bigint) AS updated_at, (SELECT taken.updated_at \
                 FROM imported_row taken WHERE taken.class = $1 AND taken.id = here.id) AS exported_at \
                 FROM {table} here WHERE here.id IN {list} ORDER BY here.id{lock}"
            );
            let values = std::iter::once(Value::from(class.name())).chain(ids.iter().map(|id| text(id).into()));
            for row in self.query(&sql, values).await? {
                let id: String = row.try_get("", "id").map_err(store_error)?;
                states.push(RowState {
                    id: parse("id", &id)?,
                    updated_at: instant(row.try_get("", "updated_at").map_err(store_error)?),
                    exported_at: instant(row.try_get("", "exported_at").map_err(store_error)?),
                });
            }
        }
        Ok(states)
    }

    async fn existing(&mut self, class: ImportClass, ids: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError> {
        let table = table_of(class);
        let mut existing = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_NAMED_PARAMETERS) {
            let sql = format!("SELECT id FROM {table} WHERE id IN {}", tuples(1, ids.len(), 1));
            for row in self.query(&sql, ids.iter().map(|id| text(id).into())).await? {
                let id: String = row.try_get("", "id").map_err(store_error)?;
                existing.push(parse("id", &id)?);
            }
        }
        Ok(existing)
    }

    async fn remember(&mut self, class: &str, rows: &[(ObjectId, Timestamp)]) -> Result<(), StoreError> {
        let row = |(id, at): &(ObjectId, Timestamp)| ActiveModel {
            class: Set(class.to_owned()),
            id: Set(text(id)),
            updated_at: Set(at.as_millis()),
        };
        self.put::<Entity>(rows.iter().map(row).collect(), Taken::Replace { except: &[] }).await
    }
}
