//! Writing many rows at once, by statements whose text depends as little as possible on their number, so that each is
//! prepared once per connection.
//!
//! PostgreSQL takes the rows of a table as one parameter, a JSON array, and several tables in one statement: there
//! every statement is a round trip. SQLite takes each value as a parameter, since reading JSON would cost it as much
//! as storing the rows; its list of rows is padded to a power of two and cut off after those given.

use domain::StoreError;
use sea_orm::sea_query::{Value, sea_value_to_json_value};
use sea_orm::{ActiveModelTrait, ColumnTrait, ColumnType, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn};

use crate::backend::Backend;
use crate::im::log;
use crate::store::SeaUnit;

/// Most rows in one statement on SQLite, which allows 32,766 parameters.
const MAX_ROWS: usize = 256;

/// A statement and its parameters.
type Ready = (String, Vec<Value>);

/// Inserts `rows`, whose fields must all be set; `tail` is what follows them, e.g. `ON CONFLICT …`. Answers how many
/// went in.
pub(crate) async fn insert<E: EntityTrait>(
    unit: &SeaUnit,
    rows: impl IntoIterator<Item = E::ActiveModel>,
    tail: &str,
) -> Result<u64, StoreError> {
    let rows: Vec<E::ActiveModel> = rows.into_iter().collect();
    if rows.is_empty() {
        return Ok(0);
    }
    let mut inserted = 0;
    for (sql, values) in insertion::<E>(unit.backend, rows, 1, None, tail)? {
        inserted += unit.execute(&sql, values).await?;
    }
    Ok(inserted)
}

/// New rows of several tables, for one step, in which they may take places in the log.
pub(crate) struct Inserts {
    backend: Backend,
    statements: Vec<Ready>,
    has_rows: bool,
    /// How many places are taken.
    places: i64,
    /// SQLite: the place before the first of them. PostgreSQL: 0, since its one statement takes them by itself, and last
    /// of all, so that others wait for the log as short as can be.
    base: i64,
}

impl Inserts {
    pub(crate) async fn new(unit: &SeaUnit, places: usize) -> Result<Self, StoreError> {
        let places = i64::try_from(places).map_err(StoreError::backend)?;
        let base = match unit.backend {
            Backend::Sqlite if places > 0 => log::advance(unit, places).await?,
            _ => 0,
        };
        Ok(Self { backend: unit.backend, statements: Vec::new(), has_rows: false, places, base })
    }

    /// Takes in the rows of a table; see [`insert`].
    pub(crate) fn add<E: EntityTrait>(
        &mut self,
        rows: impl IntoIterator<Item = E::ActiveModel>,
        tail: &str,
    ) -> Result<(), StoreError> {
        self.take_in::<E>(rows.into_iter().collect(), None, tail)
    }

    /// Takes in the rows of a table whose `column` counts places from 1; before those that have none.
    pub(crate) fn add_placed<E: EntityTrait>(
        &mut self,
        rows: impl IntoIterator<Item = E::ActiveModel>,
        column: E::Column,
    ) -> Result<(), StoreError> {
        let moved = |mut row: E::ActiveModel| {
            if let Some(Value::BigInt(Some(place))) = row.get(column).into_value() {
                row.set(column, (place + self.base).into());
            }
            row
        };
        self.take_in::<E>(rows.into_iter().map(moved).collect(), (self.places > 0).then_some(column), "")
    }

    fn take_in<E: EntityTrait>(
        &mut self,
        rows: Vec<E::ActiveModel>,
        placed: Option<E::Column>,
        tail: &str,
    ) -> Result<(), StoreError> {
        self.has_rows |= !rows.is_empty();
        self.statements.extend(insertion::<E>(self.backend, rows, self.statements.len() + 1, placed, tail)?);
        Ok(())
    }

    /// Writes everything.
    pub(crate) async fn run(self, unit: &SeaUnit) -> Result<(), StoreError> {
        let statements = match self.backend {
            _ if !self.has_rows => Vec::new(),
            Backend::Postgres => vec![together(self.statements, self.places)],
            Backend::Sqlite => self.statements,
        };
        for (sql, values) in statements {
            unit.execute(&sql, values).await?;
        }
        Ok(())
    }
}

/// Writes `columns` of rows that meet `condition`, each found by its primary key. Answers how many did.
pub(crate) async fn update<E: EntityTrait>(
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

/// The statements that insert the rows of one table: one on `PostgreSQL`, whose parameter bears the given number, and
/// where a column may count places in the log from where [`together`] takes them.
fn insertion<E: EntityTrait>(
    backend: Backend,
    rows: Vec<E::ActiveModel>,
    parameter: usize,
    placed: Option<E::Column>,
    tail: &str,
) -> Result<Vec<Ready>, StoreError> {
    match backend {
        Backend::Postgres => {
            let (table, columns) = (E::default().as_str().to_owned(), column_names::<E>().join(", "));
            let (read, head) = placed.map_or_else(
                || (columns.clone(), ""),
                |placed| (columns_from_head::<E>(placed.as_str()), " AS given CROSS JOIN head"),
            );
            let given = populated(&table, parameter);
            let sql = format!("INSERT INTO {table} ({columns}) SELECT {read} FROM {given}{head} {tail}");
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

/// `PostgreSQL`: the columns of a table, of which one is counted from the head of the log.
fn columns_from_head<E: EntityTrait>(placed: &str) -> String {
    let columns = column_names::<E>().into_iter();
    let read: Vec<_> = columns.map(|c| if c == placed { format!("head.base + {c}") } else { c }).collect();
    read.join(", ")
}

/// `PostgreSQL`: the rows of a table that a parameter lists as JSON.
fn populated(table: &str, parameter: usize) -> String {
    format!("json_populate_recordset(NULL::{table}, CAST(${parameter} AS json))")
}

/// `PostgreSQL`: several inserts as one statement, which takes so many places in the log. It does the last of them first,
/// and the others from there backwards.
fn together(statements: Vec<Ready>, places: i64) -> Ready {
    let (mut parts, values): (Vec<String>, Vec<Vec<Value>>) = statements.into_iter().unzip();
    let mut values = values.concat();
    let last = parts.pop().unwrap_or_default();
    let mut others = Vec::with_capacity(parts.len() + 1);
    if places > 0 {
        values.push(places.into());
        others.push(format!("head AS ({})", log::advance_by(values.len())));
    }
    others.extend(parts.iter().enumerate().map(|(n, part)| format!("part{n} AS ({part})")));
    let with = if others.is_empty() { String::new() } else { format!("WITH {} ", others.join(", ")) };
    (with + &last, values)
}

/// `SQLite`: inserts the rows from a list that is longer by whatever is missing to the next power of two.
fn padded<E: EntityTrait>(rows: Vec<E::ActiveModel>, tail: &str) -> Ready {
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

fn column_names<E: EntityTrait>() -> Vec<String> {
    E::Column::iter().map(|column| column.as_str().to_owned()).collect()
}

/// The rows as a JSON array of objects, without what is NULL: reading them is a third of what writing costs `PostgreSQL`.
fn json<E: EntityTrait>(rows: impl IntoIterator<Item = E::ActiveModel>) -> Result<String, StoreError> {
    let keys: Vec<(E::Column, String)> = E::Column::iter().map(|c| (c, format!("\"{}\":", c.as_str()))).collect();
    let mut json = vec![b'['];
    for mut row in rows {
        separate(&mut json, b'[');
        json.push(b'{');
        for (column, key) in &keys {
            let value = row.take(*column).into_value().map(|value| sea_value_to_json_value(&value)).unwrap_or_default();
            if !value.is_null() {
                separate(&mut json, b'{');
                json.extend(key.as_bytes());
                serde_json::to_writer(&mut json, &value).map_err(StoreError::backend)?;
            }
        }
        json.push(b'}');
    }
    json.push(b']');
    String::from_utf8(json).map_err(StoreError::backend)
}

/// A comma, unless what comes next is the first after `opening`.
fn separate(json: &mut Vec<u8>, opening: u8) {
    if json.last() != Some(&opening) {
        json.push(b',');
    }
}

/// How SQLite reads one column out of a row's object: documents stay JSON, everything else becomes a value.
fn element<C: ColumnTrait>(column: C) -> String {
    let is_document = matches!(column.def().get_column_type(), ColumnType::Json | ColumnType::JsonBinary);
    let (arrow, name) = (if is_document { "->" } else { "->>" }, column.as_str());
    format!("value {arrow} '$.{name}' AS {name}")
}
