//! Fields of people that are kept sealed: the database finds them by equality and can tell nothing else of them.

use super::{ClassKind, RestError};
use crate::query::{Clause, OrderKey, Params, Query, SubQuery, Test, Where};
use crate::value::Path;

const USERNAME: &str = "username";

/// The fields of accounts, patients and doctors that are kept sealed.
pub const SEALED_FIELDS: [&str; 3] = ["mobilePhoneNumber", "phone", USERNAME];

/// Which values of a field are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealing {
    Always,
    /// Those that may tell a phone number, as names do that are one.
    Sometimes,
}

/// How a field of a class is kept; `None`: plain.
pub fn sealing(kind: ClassKind, path: &Path) -> Option<Sealing> {
    let is_sealed = kind.is_person() && path.is_field() && SEALED_FIELDS.contains(&path.first());
    let is_name = kind == ClassKind::User && path.first() == USERNAME;
    is_sealed.then_some(if is_name { Sealing::Sometimes } else { Sealing::Always })
}

/// Checks that a query asks of sealed fields no more than whether they are there and what they equal. Names that tell no
/// number are plain, and can be asked for in every way; the others are then found by equality only.
///
/// # Errors
/// [`RestError::BadQuery`] naming the field.
pub(super) fn check_query(class: &str, query: &Query) -> Result<(), RestError> {
    check(class, &query.filter, &query.order)
}

/// The conditions of a call that changes objects of a class.
///
/// # Errors
/// As [`check_query`], and what is wrong with the conditions themselves.
pub(super) fn conditions(class: &str, params: &Params) -> Result<Where, RestError> {
    let filter = params.conditions()?;
    check(class, &filter, &[])?;
    Ok(filter)
}

fn check(class: &str, filter: &Where, order: &[OrderKey]) -> Result<(), RestError> {
    let kind = ClassKind::of(class);
    order.iter().try_for_each(|key| require_plain(kind, &key.path))?;
    filter.0.iter().try_for_each(|clause| match clause {
        Clause::Field { path, test } => check_test(kind, path, test),
        Clause::Any(branches) | Clause::All(branches) | Clause::None(branches) => {
            branches.iter().try_for_each(|branch| check(class, branch, &[]))
        }
        Clause::RelatedTo { .. } => Ok(()),
    })
}

fn check_test(kind: ClassKind, path: &Path, test: &Test) -> Result<(), RestError> {
    match test {
        Test::Equals(_) | Test::In(_) | Test::HasAll(_) | Test::Exists(_) => Ok(()),
        Test::Not(inner) => check_test(kind, path, inner),
        Test::Both(tests) => tests.iter().try_for_each(|test| check_test(kind, path, test)),
        Test::InQuery(query) => check_subquery(query),
        Test::Select { key, query } => {
            check_subquery(query)?;
            require_plain(ClassKind::of(&query.class), key)?;
            require_plain(kind, path)
        }
        _ => require_plain(kind, path),
    }
}

fn check_subquery(query: &SubQuery) -> Result<(), RestError> {
    check(&query.class, &query.filter, &query.order)
}

fn require_plain(kind: ClassKind, path: &Path) -> Result<(), RestError> {
    match sealing(kind, path) {
        Some(Sealing::Always) => Err(RestError::bad_query(format!(
            "'{path}' is kept sealed: it can be equal, in a list or there, nothing else"
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::query::{parse_order, parse_where};

    #[rstest]
    #[case("Patients", json!({ "phone": "13900000000" }), "", true)]
    #[case("Patients", json!({ "phone": { "$in": ["13900000000"], "$exists": true } }), "", true)]
    #[case("Patients", json!({ "phone": { "$not": { "$in": [null] } } }), "-name", true)]
    #[case("Patients", json!({ "phone": { "$regex": "^139" } }), "", false)]
    #[case("Patients", json!({ "$or": [{ "name": "a" }, { "phone": { "$gt": "139" } }] }), "", false)]
    #[case("Patients", json!({ "phone": { "$not": { "$regex": "^139" } } }), "", false)]
    #[case("Patients", json!({}), "name,-phone", false)]
    #[case("_User", json!({ "mobilePhoneNumber": { "$lt": "2" } }), "", false)]
    #[case("_User", json!({ "username": { "$regex": "^a" } }), "username", true)]
    #[case("Doctor", json!({ "username": { "$regex": "^a" } }), "", false)]
    #[case("Diary", json!({ "phone": { "$regex": "^139" } }), "phone", true)]
    #[case("Diary", json!({ "of": { "$inQuery": {
        "className": "Patients", "where": { "phone": { "$regex": "^139" } } } } }), "", false)]
    #[case("Diary", json!({ "number": { "$select": {
        "key": "phone", "query": { "className": "Patients", "where": {} } } } }), "", false)]
    fn of_sealed_fields_only_presence_and_equality_can_be_asked(
        #[case] class: &str,
        #[case] filter: Value,
        #[case] order: &str,
        #[case] is_fine: bool,
    ) {
        let order = parse_order(order).unwrap();
        let query = Query { filter: parse_where(&filter).unwrap(), order, ..Query::default() };
        let checked = check_query(class, &query);
        assert_eq!(checked.is_ok(), is_fine, "{filter}");
        assert!(checked.is_ok() || matches!(checked, Err(RestError::BadQuery(told)) if told.contains("sealed")));
    }
}
