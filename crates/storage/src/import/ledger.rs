//! Where rows came from.

use ::leancloud::import::store::{ImportClass, ImportLedger, RowState};
use async_trait::async_trait;
use domain::{ObjectId, StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::QueryResult;
use sea_orm::entity::prelude::*;

use super::Taken;
use crate::backend::store_error;
use crate::convert::{instant, list, parse, text};
use crate::store::SeaUnit;

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
        let (is_wanted, lock) = (self.backend.is_among("here.id", "$2"), self.backend.for_update());
        let sql = format!(
            "SELECT here.id AS id, CAST({updated_at} AS bigint) AS updated_at, (SELECT taken.updated_at \
             FROM imported_row taken WHERE taken.class = $1 AND taken.id = here.id) AS exported_at \
             FROM {table} here WHERE {is_wanted} ORDER BY here.id{lock}"
        );
        let state = |row: &QueryResult| {
            let id: String = row.try_get("", "id").map_err(store_error)?;
            Ok(RowState {
                id: parse("id", &id)?,
                updated_at: instant(row.try_get("", "updated_at").map_err(store_error)?),
                exported_at: instant(row.try_get("", "exported_at").map_err(store_error)?),
            })
        };
        self.query(&sql, [class.name().into(), list(ids)]).await?.iter().map(state).collect()
    }

    async fn existing(&mut self, class: ImportClass, ids: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError> {
        let sql = format!("SELECT id FROM {} WHERE {}", table_of(class), self.backend.is_among("id", "$1"));
        let id = |row: &QueryResult| row.try_get::<String>("", "id").map_err(store_error);
        self.query(&sql, [list(ids)]).await?.iter().map(|row| parse("id", &id(row)?)).collect()
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
