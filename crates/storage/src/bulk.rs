//! Inserting many rows in one statement with one parameter: a JSON array of the rows.
//!
//! The text of the statement does not depend on the number of rows, so each table's is prepared once per connection;
//! a `VALUES` list would be parsed and planned anew for every batch size.

use domain::StoreError;
use sea_orm::sea_query::Value;
use sea_orm::{ColumnTrait, ColumnType, EntityTrait, IdenStatic, Iterable, QueryResult, TryIntoModel};
use serde::Serialize;

use crate::backend::{Backend, store_error};
use crate::store::SeaUnit;

/// Inserts `rows`, whose fields must all be set; `tail` is what follows the rows, e.g. `ON CONFLICT …` or
/// `RETURNING id`. Answers what is returned.
pub(crate) async fn insert<E>(
    unit: &SeaUnit,
    rows: impl IntoIterator<Item = E::ActiveModel>,
    tail: &str,
) -> Result<Vec<QueryResult>, StoreError>
where
    E: EntityTrait,
    E::Model: Serialize,
    E::ActiveModel: TryIntoModel<E::Model>,
{
    let models = rows.into_iter().map(TryIntoModel::try_into_model).collect::<Result<Vec<E::Model>, _>>();
    let models = models.map_err(store_error)?;
    if models.is_empty() {
        return Ok(Vec::new());
    }
    let json = serde_json::to_string(&models).map_err(StoreError::backend)?;
    unit.query(&statement::<E>(unit.backend, tail), [Value::from(json)]).await
}

fn statement<E: EntityTrait>(backend: Backend, tail: &str) -> String {
    let table = E::default().as_str().to_owned();
    let columns: Vec<String> = E::Column::iter().map(|column| column.as_str().to_owned()).collect();
    let columns = columns.join(", ");
    match backend {
        Backend::Postgres => format!(
            "INSERT INTO {table} ({columns}) \
             SELECT {columns} FROM jsonb_populate_recordset(NULL::{table}, CAST($1 AS jsonb)) {tail}"
        ),
        Backend::Sqlite => {
            let values: Vec<String> = E::Column::iter().map(element).collect();
            // WHERE keeps SQLite from taking ON CONFLICT for the condition of a join.
            format!("INSERT INTO {table} ({columns}) SELECT {} FROM json_each($1) WHERE true {tail}", values.join(", "))
        }
    }
}

/// How SQLite reads one column out of a row's object: documents stay JSON, everything else becomes a value.
fn element<C: ColumnTrait>(column: C) -> String {
    let is_document = matches!(column.def().get_column_type(), ColumnType::Json | ColumnType::JsonBinary);
    let arrow = if is_document { "->" } else { "->>" };
    format!("value {arrow} '$.{}'", column.as_str())
}
