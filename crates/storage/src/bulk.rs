//! Writing many rows at once, by statements whose text depends as little as possible on their number, so that each is
//! prepared once per connection.
//!
//! PostgreSQL takes the rows of a table as one parameter, a JSON array, and several tables in one statement: there
//! every statement is a round trip. SQLite takes each value as a parameter, since reading JSON would cost it as much
//! as storing the rows; its list of rows is padded to a power of two and cut off after those given.

use domain::StoreError;
use sea_orm::sea_query::Value;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ColumnType, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn, TryIntoModel,
};
use serde::Serialize;

use crate::backend::{Backend, store_error};
use crate::store::SeaUnit;

/// Most rows in one statement on SQLite, which allows 32,766 parameters.
const MAX_ROWS: usize = 256;

/// A table that can be written this way.
pub(crate) trait Table:
    EntityTrait<Model: Serialize, ActiveModel: TryIntoModel<<Self as EntityTrait>::Model>>
{
}

impl<E> Table for E where E: EntityTrait<Model: Serialize, ActiveModel: TryIntoModel<<E as EntityTrait>::Model>> {}

/// A statement and its parameters.
type Ready = (String, Vec<Value>);

/// Inserts `rows`, whose fields must all be set; `tail` is what follows them, e.g. `ON CONFLICT …`. Answers how many
/// went in.
pub(crate) async fn insert<E: Table>(
    unit: &SeaUnit,
    rows: impl IntoIterator<Item = E::ActiveModel>,
    tail: &str,
) -> Result<u64, StoreError> {
    let rows: Vec<E::ActiveModel> = rows.into_iter().collect();
    if rows.is_empty() {
        return Ok(0);
    }
    let mut inserted = 0;
    for (sql, values) in insertion::<E>(unit.backend, rows, 1, tail)? {
        inserted += unit.execute(&sql, values).await?;
    }
    Ok(inserted)
}

/// New rows of several tables, for one step.
pub(crate) struct Inserts {
    backend: Backend,
    statements: Vec<Ready>,
    has_rows: bool,
}

impl Inserts {
    pub(crate) const fn new(backend: Backend) -> Self {
        Self { backend, statements: Vec::new(), has_rows: false }
    }

    /// Takes in the rows of a table; see [`insert`].
    pub(crate) fn add<E: Table>(
        &mut self,
        rows: impl IntoIterator<Item = E::ActiveModel>,
        tail: &str,
    ) -> Result<(), StoreError> {
        let rows: Vec<E::ActiveModel> = rows.into_iter().collect();
        self.has_rows |= !rows.is_empty();
        let statements = insertion::<E>(self.backend, rows, self.statements.len() + 1, tail)?;
        self.statements.extend(statements);
        Ok(())
    }

    /// Writes everything.
    pub(crate) async fn run(self, unit: &SeaUnit) -> Result<(), StoreError> {
        let statements = match self.backend {
            _ if !self.has_rows => Vec::new(),
            Backend::Postgres => vec![together(self.statements)],
            Backend::Sqlite => self.statements,
        };
        for (sql, values) in statements {
            unit.execute(&sql, values).await?;
        }
        Ok(())
    }
}

/// Writes `columns` of rows that meet `condition`, each found by its primary key. Answers how many did.
pub(crate) async fn update<E: Table>(
    unit: &SeaUnit,
    rows: impl IntoIterator<Item = E::ActiveModel>,
    columns: &[E::Column],
    condition: &str,
) -> Result<u64, StoreError> {
    let table = E::default().as_str().to_owned();
    let set: Vec<String> = columns.iter().map(|c| format!("{0} = given.{0}", c.as_str())).collect();
    let keys = E::PrimaryKey::iter().map(|key| key.into_column().as_str().to_owned());
    let is_it = keys.map(|key| format!("{table}.{key} = given.{key}")).chain([condition.to_owned()]);
    let is_it = is_it.collect::<Vec<_>>().join(" AND ");
    let given = match unit.backend {
        Backend::Postgres => populated(&table, 1),
        Backend::Sqlite => {
            let elements: Vec<String> = E::Column::iter().map(element).collect();
            format!("(SELECT {} FROM json_each($1))", elements.join(", "))
        }
    };
    let sql = format!("UPDATE {table} SET {} FROM {given} AS given WHERE {is_it}", set.join(", "));
    unit.execute(&sql, [json::<E>(rows)?.into()]).await
}

/// The statements that insert the rows of one table: one on `PostgreSQL`, whose parameter bears the given number.
fn insertion<E: Table>(
    backend: Backend,
    rows: Vec<E::ActiveModel>,
    parameter: usize,
    tail: &str,
) -> Result<Vec<Ready>, StoreError> {
    match backend {
        Backend::Postgres => {
            let (table, columns) = (E::default().as_str().to_owned(), column_names::<E>().join(", "));
            let given = populated(&table, parameter);
            let sql = format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM {given} {tail}");
            Ok(vec![(sql, vec![json::<E>(rows)?.into()])])
        }
        Backend::Sqlite => {
            let mut rows = rows.into_iter().peekable();
            let mut statements = Vec::new();
            while rows.peek().is_some() {
                statements.push(padded::<E>(rows.by_ref().take(MAX_ROWS).collect(), tail));
            }
            Ok(statements)
        }
    }
}

/// `PostgreSQL`: the rows of a table that a parameter lists as JSON.
fn populated(table: &str, parameter: usize) -> String {
    format!("json_populate_recordset(NULL::{table}, CAST(${parameter} AS json))")
}

/// `PostgreSQL`: several inserts as one statement.
fn together(statements: Vec<Ready>) -> Ready {
    let (mut parts, values): (Vec<String>, Vec<Vec<Value>>) = statements.into_iter().unzip();
    let last = parts.pop().unwrap_or_default();
    let others: Vec<String> = parts.iter().enumerate().map(|(n, part)| format!("part{n} AS ({part})")).collect();
    let with = if others.is_empty() { String::new() } else { format!("WITH {} ", others.join(", ")) };
    (with + &last, values.concat())
}

/// `SQLite`: inserts the rows from a list that is longer by whatever is missing to the next power of two.
fn padded<E: Table>(rows: Vec<E::ActiveModel>, tail: &str) -> Ready {
    let (table, columns) = (E::default().as_str().to_owned(), column_names::<E>());
    let row = format!("({})", vec!["?"; columns.len()].join(", "));
    let list = vec![row; rows.len().next_power_of_two()].join(", ");
    // WHERE keeps ON CONFLICT from being taken for the condition of a join.
    let sql = format!(
        "WITH given(count) AS (SELECT ?) INSERT INTO {table} ({}) \
         SELECT * FROM (VALUES {list}) WHERE true LIMIT (SELECT count FROM given) {tail}",
        columns.join(", ")
    );
    let mut values: Vec<Value> = Vec::with_capacity(1 + rows.len() * columns.len());
    values.push(i64::try_from(rows.len()).unwrap_or(i64::MAX).into());
    for mut row in rows {
        // What is not set stays NULL, which a column that must be set refuses. The padding is left unbound.
        values.extend(E::Column::iter().map(|c| row.take(c).into_value().unwrap_or(Value::String(None))));
    }
    (sql, values)
}

fn column_names<E: Table>() -> Vec<String> {
    E::Column::iter().map(|column| column.as_str().to_owned()).collect()
}

/// The rows as a JSON array of objects.
fn json<E: Table>(rows: impl IntoIterator<Item = E::ActiveModel>) -> Result<String, StoreError> {
    let models = rows.into_iter().map(TryIntoModel::try_into_model).collect::<Result<Vec<E::Model>, _>>();
    serde_json::to_string(&models.map_err(store_error)?).map_err(StoreError::backend)
}

/// How SQLite reads one column out of a row's object: documents stay JSON, everything else becomes a value.
fn element<C: ColumnTrait>(column: C) -> String {
    let is_document = matches!(column.def().get_column_type(), ColumnType::Json | ColumnType::JsonBinary);
    let (arrow, name) = (if is_document { "->" } else { "->>" }, column.as_str());
    format!("value {arrow} '$.{name}' AS {name}")
}
