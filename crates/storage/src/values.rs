//! `VALUES` lists with numbered parameters, which both databases read; their columns are `column1`, `column2`, ….

use std::fmt::Write;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered_through() {
        assert_eq!(tuples(2, 2, 1), "($1, $2), ($3, $4)");
        assert_eq!(tuples(1, 3, 2), "($2, $3, $4)");
        assert_eq!(tuples(0, 3, 1), "");
    }
}
