//! Between columns and the domain's values. A stored value that breaks a rule is [`StoreError::Corrupt`], named.

use std::fmt::Display;
use std::str::FromStr;

use domain::page::{Cursor, PageRequest};
use domain::{StoreError, Timestamp};
use sea_orm::sea_query::{Alias, Expr, ExprTrait, Order, SelectStatement};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Reads an id or another parsed text column.
pub(crate) fn parse<T: FromStr>(column: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().or_else(|_| corrupt(column))
}

/// Reads an optional id column.
pub(crate) fn parse_opt<T: FromStr>(column: &'static str, text: Option<&str>) -> Result<Option<T>, StoreError> {
    text.map(|t| parse(column, t)).transpose()
}

/// Takes the value of a word column, or says the column is corrupt.
pub(crate) fn known<T>(column: &'static str, value: Option<T>) -> Result<T, StoreError> {
    value.map_or_else(|| corrupt(column), Ok)
}

pub(crate) fn corrupt<T>(column: &'static str) -> Result<T, StoreError> {
    Err(StoreError::Corrupt(column.to_owned()))
}

/// Reads a JSON column.
pub(crate) fn from_json<T: DeserializeOwned>(column: &'static str, value: Value) -> Result<T, StoreError> {
    serde_json::from_value(value).or_else(|_| corrupt(column))
}

/// Writes a JSON column. The values given are plain data, which always serialise.
pub(crate) fn to_json<T: Serialize + ?Sized>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// Writes a JSON object column.
pub(crate) fn object(map: &Map<String, Value>) -> Value {
    Value::Object(map.clone())
}

/// Reads a JSON object column.
pub(crate) fn into_object(column: &'static str, value: Value) -> Result<Map<String, Value>, StoreError> {
    match value {
        Value::Object(map) => Ok(map),
        _ => corrupt(column),
    }
}

pub(crate) fn text<T: ToString>(value: &T) -> String {
    value.to_string()
}

/// A list of ids or words as one parameter: a JSON array of strings.
pub(crate) fn list(values: impl IntoIterator<Item = impl Display>) -> sea_orm::Value {
    values.into_iter().map(|value| value.to_string()).collect::<Value>().to_string().into()
}

pub(crate) fn text_opt<T: ToString>(value: Option<&T>) -> Option<String> {
    value.map(ToString::to_string)
}

pub(crate) fn millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_millis)
}

pub(crate) fn instant(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(Timestamp::from_millis)
}

/// `%text%` for a LIKE with `ESCAPE '\'`, the text's own wildcards taken literally. Lower-casing is left to the
/// database, on both sides: SQLite lowers ASCII letters only, PostgreSQL as its locale says.
pub(crate) fn like_pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Orders a select newest first by (`time`, id), starts after the cursor and asks for one row more than the page.
pub(crate) fn newest_first(select: &mut SelectStatement, table: &'static str, time: &'static str, page: PageRequest) {
    let column = |name: &'static str| Expr::col((Alias::new(table), Alias::new(name)));
    if let Some(Cursor { at, id }) = page.after {
        let earlier = column(time).lt(at.as_millis());
        let same = column(time).eq(at.as_millis()).and(column("id").lt(id.to_string()));
        select.and_where(earlier.or(same));
    }
    select
        .order_by((Alias::new(table), Alias::new(time)), Order::Desc)
        .order_by((Alias::new(table), Alias::new("id")), Order::Desc)
        .limit(u64::from(page.limit) + 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_of_the_text_are_literal() {
        assert_eq!(like_pattern("50%_a\\B"), "%50\\%\\_a\\\\B%");
    }
}
