//! Reads `where` and the other parameters of a query.

use serde_json::{Map, Value};

use super::{Clause, Comparable, Comparison, GeoPoint, OrderKey, Pattern, SubQuery, Test, Where};
use crate::rest::RestError;
use crate::value::{self, Path, canonical, checked_class};
use crate::wire::Typed;

/// Most objects of one answer.
pub const MAX_LIMIT: u32 = 1_000;
/// Objects of an answer unless said otherwise.
const DEFAULT_LIMIT: u32 = 100;
/// Deepest nesting of conditions.
const MAX_NESTING: usize = 12;
/// Most conditions of one query, those of queries within included.
const MAX_CONDITIONS: usize = 200;
/// Deepest nesting of queries within queries.
const MAX_SUBQUERIES: usize = 4;
/// Most values of one `$in` or `$all`.
const MAX_VALUES: usize = 2_000;
/// Most keys of an order.
const MAX_ORDER_KEYS: usize = 10;
/// Furthest `skip`.
const MAX_SKIP: u32 = 1_000_000;

const EARTH_RADIUS_KM: f64 = 6_371.0;
const EARTH_RADIUS_MILES: f64 = 3_958.8;

/// Everything a query may say, as it was sent: in the address of a request or in `params` of a batched one.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a parameter of its own")]
pub struct Params {
    pub filter: Option<Value>,
    pub limit: Option<i64>,
    pub skip: Option<i64>,
    pub order: Option<String>,
    pub include: Option<String>,
    pub keys: Option<String>,
    pub wants_count: bool,
    pub wants_acl: bool,
    /// `new=true` or `fetchWhenSave=true`.
    pub wants_new: bool,
    pub cursor: Option<String>,
    /// A relation of the class whose members' class is meant instead.
    pub redirect: Option<String>,
    pub fails_on_missing: bool,
}

impl Params {
    /// Takes one parameter; those not known are ignored.
    ///
    /// # Errors
    /// [`RestError::BadQuery`] when `where` is not JSON.
    pub fn take(&mut self, name: &str, value: &str) -> Result<(), RestError> {
        let flag = || matches!(value, "1" | "true");
        match name {
            "where" if value.is_empty() => {}
            "where" => {
                let read = serde_json::from_str(value).ok();
                self.filter = Some(read.ok_or_else(|| RestError::bad_query("where is not JSON"))?);
            }
            "limit" => self.limit = value.parse().ok(),
            "skip" => self.skip = value.parse().ok(),
            "order" => self.order = Some(value.to_owned()),
            "include" => self.include = Some(value.to_owned()),
            "keys" => self.keys = Some(value.to_owned()),
            "count" => self.wants_count = flag(),
            "returnACL" => self.wants_acl = flag(),
            "new" | "fetchWhenSave" => self.wants_new = self.wants_new || flag(),
            "redirectClassNameForKey" => self.redirect = Some(value.to_owned()),
            "cursor" => self.cursor = Some(value.to_owned()),
            "failOnNotExist" => self.fails_on_missing = flag(),
            _ => {}
        }
        Ok(())
    }

    /// Takes `params` of a batched request, whose values may be JSON as well as text.
    ///
    /// # Errors
    /// [`RestError::BadQuery`] when `where` is not JSON.
    pub fn take_all(&mut self, sent: &Map<String, Value>) -> Result<(), RestError> {
        for (name, value) in sent {
            match value {
                Value::String(text) => self.take(name, text)?,
                Value::Null => {}
                Value::Object(_) if name == "where" => self.filter = Some(value.clone()),
                other => self.take(name, &other.to_string())?,
            }
        }
        Ok(())
    }

    /// The conditions.
    ///
    /// # Errors
    /// As [`parse_where`].
    pub fn conditions(&self) -> Result<Where, RestError> {
        self.filter.as_ref().map_or_else(|| Ok(Where::default()), parse_where)
    }

    /// 0 to [`MAX_LIMIT`]; everything else is the default.
    pub fn page_size(&self) -> u32 {
        let asked = self.limit.and_then(|limit| u32::try_from(limit).ok());
        asked.filter(|limit| *limit <= MAX_LIMIT).unwrap_or(DEFAULT_LIMIT)
    }

    pub fn skipped(&self) -> u32 {
        self.skip.and_then(|skip| u32::try_from(skip).ok()).unwrap_or(0).min(MAX_SKIP)
    }
}

/// Reads a `where`.
///
/// # Errors
/// [`RestError`] naming what cannot be used: 105 for keys, 106 for pointers, 107 for the rest of the language, 111 for
/// values.
pub fn parse_where(sent: &Value) -> Result<Where, RestError> {
    Parser { conditions: 0, subqueries: 0 }.filter(sent, 0)
}

/// Reads `order`: `a,-b`.
///
/// # Errors
/// [`RestError::BadKey`], [`RestError::BadQuery`].
pub fn parse_order(text: &str) -> Result<Vec<OrderKey>, RestError> {
    let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
    let keys = keys.map(|key| {
        let (name, is_descending) = match key.strip_prefix('-') {
            Some(name) => (name, true),
            None => (key.strip_prefix('+').unwrap_or(key), false),
        };
        Ok(OrderKey { path: Path::parse(name)?, is_descending })
    });
    let keys: Vec<OrderKey> = keys.collect::<Result<_, RestError>>()?;
    if keys.len() > MAX_ORDER_KEYS { Err(RestError::bad_query("order has too many keys")) } else { Ok(keys) }
}

struct Parser {
    conditions: usize,
    subqueries: usize,
}

impl Parser {
    fn filter(&mut self, sent: &Value, depth: usize) -> Result<Where, RestError> {
        let object = sent.as_object().ok_or_else(|| RestError::bad_query("where is an object"))?;
        if depth > MAX_NESTING {
            return Err(RestError::bad_query("conditions are nested too deep"));
        }
        let mut clauses = Vec::new();
        for (key, value) in object {
            self.count()?;
            match key.as_str() {
                "$or" => clauses.push(Clause::Any(self.branches(value, depth)?)),
                "$and" => clauses.push(Clause::All(self.branches(value, depth)?)),
                "$nor" => clauses.push(Clause::None(self.branches(value, depth)?)),
                "$relatedTo" => clauses.push(related_to(value)?),
                key if key.starts_with('$') => return Err(unknown(key)),
                key => {
                    let path = Path::parse(key)?;
                    let tests = self.tests(value, depth)?;
                    clauses.extend(tests.into_iter().map(|test| Clause::Field { path: path.clone(), test }));
                }
            }
        }
        Ok(Where(clauses))
    }

    fn count(&mut self) -> Result<(), RestError> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            Err(RestError::bad_query("there are too many conditions"))
        } else {
            Ok(())
        }
    }

    fn branches(&mut self, value: &Value, depth: usize) -> Result<Vec<Where>, RestError> {
        let branches = value.as_array().ok_or_else(|| RestError::bad_query("$or, $and and $nor have an array"))?;
        branches.iter().map(|branch| self.filter(branch, depth + 1)).collect()
    }

    /// All tests of one field: a value to be equal to, or operators.
    fn tests(&mut self, value: &Value, depth: usize) -> Result<Vec<Test>, RestError> {
        let operators = value.as_object().filter(|object| object.keys().any(|key| key.starts_with('$')));
        let Some(operators) = operators else {
            return Ok(vec![Test::Equals(canonical(value.clone())?)]);
        };
        let mut tests = Vec::new();
        for (operator, operand) in operators {
            self.count()?;
            tests.extend(self.test(operator, operand, operators, depth)?);
        }
        Ok(tests)
    }

    fn test(
        &mut self,
        operator: &str,
        operand: &Value,
        beside: &Map<String, Value>,
        depth: usize,
    ) -> Result<Option<Test>, RestError> {
        let not = |test: Test| Test::Not(Box::new(test));
        Ok(Some(match operator {
            "$eq" => Test::Equals(canonical(operand.clone())?),
            "$ne" => not(Test::Equals(canonical(operand.clone())?)),
            "$in" => Test::In(values(operator, operand)?),
            "$nin" => not(Test::In(values(operator, operand)?)),
            "$all" => Test::HasAll(values(operator, operand)?),
            "$lt" => compared(Comparison::Less, operand)?,
            "$lte" => compared(Comparison::LessOrEqual, operand)?,
            "$gt" => compared(Comparison::Greater, operand)?,
            "$gte" => compared(Comparison::GreaterOrEqual, operand)?,
            "$exists" => Test::Exists(match operand {
                Value::Bool(exists) => *exists,
                Value::Number(number) => number.as_i64() != Some(0),
                _ => return Err(RestError::bad_query("$exists is true or false")),
            }),
            "$size" => {
                let size = operand.as_u64().and_then(|size| u32::try_from(size).ok());
                Test::Size(size.ok_or_else(|| RestError::bad_query("$size is a whole number"))?)
            }
            "$regex" => {
                let options = beside.get("$options").map_or(Some(""), Value::as_str);
                let (Some(pattern), Some(options)) = (operand.as_str(), options) else {
                    return Err(RestError::bad_query("$regex and $options are texts"));
                };
                Test::Matches(Pattern::parse(pattern, options)?)
            }
            "$options" if beside.contains_key("$regex") => return Ok(None),
            "$inQuery" => Test::InQuery(self.subquery(operand, depth)?),
            "$notInQuery" => not(Test::InQuery(self.subquery(operand, depth)?)),
            "$select" => self.select(operand, depth)?,
            "$dontSelect" => not(self.select(operand, depth)?),
            "$not" => {
                if depth > MAX_NESTING {
                    return Err(RestError::bad_query("conditions are nested too deep"));
                }
                let tests = self.tests(operand, depth + 1)?;
                return Ok(Some(negated(tests)));
            }
            "$nearSphere" | "$near" => Test::Near { point: point(operand)?, max_radians: max_radians(beside)? },
            "$maxDistance" | "$maxDistanceInRadians" | "$maxDistanceInKilometers" | "$maxDistanceInMiles"
                if beside.contains_key("$nearSphere") || beside.contains_key("$near") =>
            {
                return Ok(None);
            }
            "$within" => within(operand)?,
            other => return Err(unknown(other)),
        }))
    }

    fn subquery(&mut self, operand: &Value, depth: usize) -> Result<SubQuery, RestError> {
        let object = operand.as_object().ok_or_else(|| RestError::bad_query("a query within is an object"))?;
        self.subqueries += 1;
        if self.subqueries > MAX_SUBQUERIES {
            return Err(RestError::bad_query("there are too many queries within"));
        }
        let class = object.get("className").and_then(Value::as_str).unwrap_or_default();
        let class = checked_class(class)?.to_owned();
        let filter = match object.get("where") {
            None | Some(Value::Null) => Where::default(),
            Some(filter) => self.filter(filter, depth + 1)?,
        };
        let number = |key: &str| object.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let order = object.get("order").and_then(Value::as_str).unwrap_or_default();
        Ok(SubQuery {
            class,
            filter,
            order: parse_order(order)?,
            limit: number("limit").map(|limit| limit.min(MAX_LIMIT)),
            skip: number("skip").unwrap_or(0).min(MAX_SKIP),
        })
    }

    fn select(&mut self, operand: &Value, depth: usize) -> Result<Test, RestError> {
        let part = |key: &str| operand.get(key).ok_or_else(|| RestError::bad_query("$select has a query and a key"));
        let key = Path::parse(part("key")?.as_str().unwrap_or_default())?;
        Ok(Test::Select { key, query: self.subquery(part("query")?, depth)? })
    }
}

fn unknown(operator: &str) -> RestError {
    RestError::bad_query(format!("{} is not an operator", operator.chars().take(32).collect::<String>()))
}

/// Not all of them.
fn negated(tests: Vec<Test>) -> Test {
    let mut tests = tests.into_iter();
    match (tests.next(), tests.next()) {
        (Some(only), None) => Test::Not(Box::new(only)),
        (Some(first), Some(second)) => Test::Not(Box::new(Test::Both(
            std::iter::once(first).chain(std::iter::once(second)).chain(tests).collect(),
        ))),
        (None, _) => Test::Not(Box::new(Test::Both(Vec::new()))),
    }
}

fn values(operator: &str, operand: &Value) -> Result<Vec<Value>, RestError> {
    let values = operand.as_array().filter(|values| values.len() <= MAX_VALUES);
    let values = values.ok_or_else(|| RestError::bad_query(format!("{operator} has at most {MAX_VALUES} values")))?;
    values.iter().cloned().map(canonical).collect()
}

/// Numbers, texts and dates have an order; nothing is before or behind anything else.
fn compared(comparison: Comparison, operand: &Value) -> Result<Test, RestError> {
    let value = canonical(operand.clone())?;
    let compared = match &value {
        Value::Number(number) => number.as_f64().map(Comparable::Number),
        Value::String(text) => Some(Comparable::Text(text.clone())),
        Value::Object(_) => match Typed::parse(&value) {
            Some(Typed::Date(at)) => Some(Comparable::Date(at)),
            _ => None,
        },
        _ => None,
    };
    Ok(compared.map_or(Test::In(Vec::new()), |with| Test::Compare(comparison, with)))
}

fn related_to(value: &Value) -> Result<Clause, RestError> {
    let owner = value.get("object").and_then(Value::as_object).ok_or(RestError::MalformedPointer)?;
    let key = value.get("key").and_then(Value::as_str).unwrap_or_default();
    let path = Path::parse(key)?;
    if !path.is_field() {
        return Err(RestError::bad_key(key));
    }
    Ok(Clause::RelatedTo { owner: value::pointer(owner)?, key: key.to_owned() })
}

fn point(operand: &Value) -> Result<GeoPoint, RestError> {
    let object = operand.as_object().ok_or(RestError::BadGeoPoint)?;
    let (latitude, longitude) = value::geo_point(object)?;
    Ok(GeoPoint { latitude, longitude })
}

fn max_radians(beside: &Map<String, Value>) -> Result<Option<f64>, RestError> {
    let distances = [
        ("$maxDistanceInKilometers", EARTH_RADIUS_KM),
        ("$maxDistanceInMiles", EARTH_RADIUS_MILES),
        ("$maxDistanceInRadians", 1.0),
        ("$maxDistance", 1.0),
    ];
    let found = distances.into_iter().find_map(|(key, radius)| beside.get(key).map(|value| (value, radius)));
    let Some((value, radius)) = found else { return Ok(None) };
    let distance = value.as_f64().filter(|distance| *distance >= 0.0);
    distance.map(|distance| Some(distance / radius)).ok_or_else(|| RestError::bad_query("a distance is a number"))
}

fn within(operand: &Value) -> Result<Test, RestError> {
    let corners = operand.get("$box").and_then(Value::as_array).map(Vec::as_slice);
    let Some([south_west, north_east]) = corners else {
        return Err(RestError::bad_query("$within has a $box of two points"));
    };
    Ok(Test::Within { south_west: point(south_west)?, north_east: point(north_east)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn only_test(value: &Value) -> Test {
        match parse_where(&json!({ "a": value })).unwrap().0.remove(0) {
            Clause::Field { test, .. } => test,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_plain_value_is_to_be_equal_to() {
        assert_eq!(only_test(&json!(1.0)), Test::Equals(json!(1)));
        assert_eq!(only_test(&json!({"b": 1})), Test::Equals(json!({"b": 1})));
        assert_eq!(only_test(&json!({"$ne": "x"})), Test::Not(Box::new(Test::Equals(json!("x")))));
    }

    #[test]
    fn several_operators_stand_beside_each_other() {
        let parsed = parse_where(&json!({"a": {"$gt": 1, "$lte": 5}})).unwrap();
        assert_eq!(parsed.0.len(), 2);
        let regex = parse_where(&json!({"a": {"$regex": "\\Qx\\E", "$options": "i"}})).unwrap();
        assert_eq!(regex.0.len(), 1);
    }

    #[test]
    fn what_has_no_order_is_before_and_behind_nothing() {
        for operand in [json!(true), json!(null), json!([1]), json!({"b": 1})] {
            assert_eq!(only_test(&json!({ "$lt": operand })), Test::In(Vec::new()), "{operand}");
        }
    }

    #[rstest]
    #[case(json!([]), 107)]
    #[case(json!({"$where": "1"}), 107)]
    #[case(json!({"a b": 1}), 105)]
    #[case(json!({"a": {"$near": 1}}), 302)]
    #[case(json!({"a": {"$bogus": 1}}), 107)]
    #[case(json!({"a": {"$in": 1}}), 107)]
    #[case(json!({"a": {"$options": "i"}}), 107)]
    #[case(json!({"a": {"$maxDistance": 1}}), 107)]
    #[case(json!({"a": {"$regex": "(?=x)"}}), 107)]
    #[case(json!({"a": {"__type": "Pointer", "className": "C", "objectId": "x"}}), 106)]
    #[case(json!({"a": {"$inQuery": {"className": "1x"}}}), 103)]
    #[case(json!({"$relatedTo": {"object": {}, "key": "a"}}), 106)]
    fn what_is_not_the_language_is_refused(#[case] sent: Value, #[case] code: i32) {
        assert_eq!(parse_where(&sent).unwrap_err().body().code, code);
    }

    #[test]
    fn conditions_are_bounded() {
        let flat: Map<String, Value> = (0..=MAX_CONDITIONS).map(|i| (format!("f{i}"), json!(i))).collect();
        assert!(parse_where(&Value::Object(flat)).is_err());
        let nested = (0..20).fold(json!({"a": 1}), |inner, _| json!({"$or": [inner]}));
        assert!(parse_where(&nested).is_err());
        let within = (0..6).fold(json!(1), |inner, _| json!({"$inQuery": {"className": "C", "where": {"a": inner}}}));
        assert!(parse_where(&json!({ "a": within })).is_err());
    }

    #[rstest]
    #[case(None, 100)]
    #[case(Some(0), 0)]
    #[case(Some(1_000), 1_000)]
    #[case(Some(1_001), 100)]
    #[case(Some(-1), 100)]
    fn limits_outside_are_the_default(#[case] limit: Option<i64>, #[case] size: u32) {
        assert_eq!(Params { limit, ..Params::default() }.page_size(), size);
    }

    #[test]
    fn orders_are_read_with_their_direction() {
        let order = parse_order("-createdAt, name,+age").unwrap();
        let shown: Vec<_> = order.iter().map(|key| (key.path.to_string(), key.is_descending)).collect();
        assert_eq!(shown, [("createdAt".into(), true), ("name".into(), false), ("age".into(), false)]);
        assert!(parse_order("a'b").is_err());
    }

    #[test]
    fn batched_parameters_may_be_json() {
        let mut params = Params::default();
        let sent = json!({"where": "{\"a\":1}", "limit": 5, "count": 1, "returnACL": true});
        params.take_all(sent.as_object().unwrap()).unwrap();
        assert_eq!((params.filter, params.limit), (Some(json!({"a": 1})), Some(5)));
        assert!(params.wants_count && params.wants_acl);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let key = prop_oneof![
            "[a-c]{1,2}",
            prop::sample::select(vec![
                "$or",
                "$in",
                "$ne",
                "$regex",
                "$options",
                "$inQuery",
                "$select",
                "where",
                "className",
                "$not",
                "__type",
                "objectId",
                "$within",
                "$box",
                "$nearSphere",
                "key",
                "query",
                "$relatedTo",
                "object"
            ])
            .prop_map(str::to_owned)
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z$.*()\\[\\]]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(key.clone(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_json_makes_reading_a_query_panic(sent in any_json()) {
            let _ = parse_where(&sent);
        }

        #[test]
        fn no_text_makes_reading_an_order_panic(text in ".{0,40}") {
            let _ = parse_order(&text);
        }
    }
}
