//! SQL with numbered parameters, which both databases read: `VALUES` lists, whose columns are `column1`, `column2`,
//! …, and parts of conditions.

use std::fmt::Write;

use sea_orm::sea_query::{Expr, Value};

use crate::backend::Backend;

/// `($1, $2), ($3, $4)`: `rows` tuples of `columns` parameters, numbered from `first`.
pub(crate) fn tuples(rows: usize, columns: usize, first: usize) -> String {
    let mut list = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        list.push_str(if row == 0 { "(" } else { ", (" });
        for column in 0..columns {
            let comma = if column == 0 { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = write!(list, "{comma}${}", first + row * columns + column);
        }
        list.push(')');
    }
    list
}

/// A condition written once with `$1`-style parameters, to be part of a built statement. sea-query knows them on
/// `PostgreSQL` only, so on `SQLite` every mention becomes a `?` with its own copy of the value.
pub(crate) fn condition(backend: Backend, sql: &str, values: &[Value]) -> Expr {
    match backend {
        Backend::Postgres => Expr::cust_with_values(sql.to_owned(), values.iter().cloned()),
        Backend::Sqlite => {
            let (sql, order) = with_question_marks(sql);
            Expr::cust_with_values(sql, order.into_iter().filter_map(|n| values.get(n - 1)).cloned())
        }
    }
}

/// Replaces `$n` by `?` and returns the numbers in the order of their mentions.
fn with_question_marks(sql: &str) -> (String, Vec<usize>) {
    let mut pieces = sql.split('$');
    let mut replaced = pieces.next().unwrap_or_default().to_owned();
    let mut order = Vec::new();
    for piece in pieces {
        let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = piece.split_at(digits);
        order.push(number.parse().unwrap_or(1));
        replaced.push('?');
        replaced.push_str(rest);
    }
    (replaced, order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_of_parameters_become_question_marks_in_their_order() {
        let (sql, order) = with_question_marks("a = $2 AND (b, c) IN (VALUES ($1, $12)) OR d = $2");
        assert_eq!(sql, "a = ? AND (b, c) IN (VALUES (?, ?)) OR d = ?");
        assert_eq!(order, [2, 1, 12, 2]);
        assert_eq!(with_question_marks("NOT is_invalid"), ("NOT is_invalid".to_owned(), vec![]));
    }

    #[test]
    fn parameters_are_numbered_through() {
        assert_eq!(tuples(2, 2, 1), "($1, $2), ($3, $4)");
        assert_eq!(tuples(1, 3, 2), "($2, $3, $4)");
        assert_eq!(tuples(0, 3, 1), "");
    }
}
