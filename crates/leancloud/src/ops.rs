//! What a create or an update says: new values and operations, per field or dotted key, and applying them.

use serde_json::{Map, Value, json};

use crate::acl::Acl;
use crate::rest::RestError;
use crate::value::{self, Path, canonical};
use crate::wire::Pointer;

/// Largest object, in bytes of its JSON.
pub const MAX_OBJECT_BYTES: usize = 128 * 1024;
/// Most values of one operation.
const MAX_VALUES: usize = 1_000;
/// Most keys of one body.
const MAX_KEYS: usize = 500;

/// Keys that SDKs and REST users send beside the fields; those that begin with `_`, like `_method`, are too.
const IGNORED: [&str; 4] = ["objectId", "createdAt", "updatedAt", "className"];

/// Everything a body changes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    pub fields: Vec<(Path, Op)>,
    pub acl: Option<AclChange>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AclChange {
    Set(Acl),
    Clear,
}

/// What becomes of one value.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    Set(Value),
    Unset,
    Increment(f64),
    Add(Vec<Value>),
    AddUnique(Vec<Value>),
    Remove(Vec<Value>),
    Bit(BitOp, i64),
    AddRelation(Vec<Pointer>),
    RemoveRelation(Vec<Pointer>),
    Batch(Vec<Op>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BitOp {
    And,
    Or,
    Xor,
}

/// Members that join or leave a relation of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationChange {
    pub key: String,
    pub target: Pointer,
    pub is_added: bool,
}

impl Changes {
    /// Reads a body.
    ///
    /// # Errors
    /// [`RestError`] naming key or value at fault.
    pub fn parse(body: Map<String, Value>) -> Result<Self, RestError> {
        if body.len() > MAX_KEYS {
            return Err(RestError::wrong_type(format!("an object has at most {MAX_KEYS} keys")));
        }
        let mut changes = Self::default();
        for (key, value) in body {
            if IGNORED.contains(&key.as_str()) || key.starts_with('_') {
                continue;
            }
            if key == "ACL" {
                let is_removed = value.is_null() || value.get("__op").and_then(Value::as_str) == Some("Delete");
                changes.acl = Some(if is_removed { AclChange::Clear } else { AclChange::Set(Acl::parse(&value)?) });
                continue;
            }
            changes.fields.push((Path::parse(&key)?, Op::parse(value, 0)?));
        }
        Ok(changes)
    }

    /// The names of all fields that are touched.
    pub fn touched(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|(path, _)| path.first())
    }

    /// Applies everything to the fields of an object. Relations change beside it.
    ///
    /// # Errors
    /// [`RestError`] when an operation does not fit the value it meets, or the object grows too large.
    pub fn apply(&self, object: &mut Map<String, Value>) -> Result<Vec<RelationChange>, RestError> {
        let mut relations = Vec::new();
        for (path, op) in &self.fields {
            op.apply(object, path, &mut relations)?;
        }
        let points = object.values().filter(|v| v.get("__type").and_then(Value::as_str) == Some("GeoPoint"));
        if points.count() > 1 {
            return Err(RestError::wrong_type("an object has at most one GeoPoint"));
        }
        let bytes = serde_json::to_vec(object).map_or(usize::MAX, |json| json.len());
        if bytes > MAX_OBJECT_BYTES {
            return Err(RestError::TooLarge { max_bytes: MAX_OBJECT_BYTES });
        }
        Ok(relations)
    }
}

impl Op {
    fn parse(value: Value, depth: usize) -> Result<Self, RestError> {
        let Some(name) = value.get("__op").and_then(Value::as_str) else {
            return Ok(Self::Set(canonical(value)?));
        };
        let objects = || {
            let objects = value.get("objects").and_then(Value::as_array).filter(|objects| objects.len() <= MAX_VALUES);
            objects.ok_or_else(|| RestError::wrong_type(format!("{name} has at most {MAX_VALUES} objects")))
        };
        let values = || objects()?.iter().cloned().map(canonical).collect::<Result<Vec<_>, RestError>>();
        let pointers = || {
            let pointer = |object: &Value| value::pointer(object.as_object().ok_or(RestError::MalformedPointer)?);
            objects()?.iter().map(pointer).collect::<Result<Vec<_>, RestError>>()
        };
        let amount = || {
            let amount = value.get("amount").map_or(Some(1.0), Value::as_f64);
            amount.ok_or_else(|| RestError::wrong_type("an amount is a number"))
        };
        let bits = |op| {
            let bits = value.get("value").and_then(Value::as_i64);
            Ok(Self::Bit(op, bits.ok_or_else(|| RestError::wrong_type("bits are a whole number"))?))
        };
        match name {
            "Delete" => Ok(Self::Unset),
            "Increment" => Ok(Self::Increment(amount()?)),
            "Decrement" => Ok(Self::Increment(-amount()?)),
            "Add" => Ok(Self::Add(values()?)),
            "AddUnique" => Ok(Self::AddUnique(values()?)),
            "Remove" => Ok(Self::Remove(values()?)),
            "BitAnd" => bits(BitOp::And),
            "BitOr" => bits(BitOp::Or),
            "BitXor" => bits(BitOp::Xor),
            "AddRelation" => Ok(Self::AddRelation(pointers()?)),
            "RemoveRelation" => Ok(Self::RemoveRelation(pointers()?)),
            "Batch" if depth == 0 => {
                let ops = value.get("ops").and_then(Value::as_array).filter(|ops| ops.len() <= MAX_VALUES);
                let ops = ops.ok_or_else(|| RestError::wrong_type("Batch has ops"))?;
                Ok(Self::Batch(ops.iter().map(|op| Self::parse(op.clone(), 1)).collect::<Result<_, _>>()?))
            }
            _ => Err(RestError::wrong_type("an __op is not known")),
        }
    }

    fn apply(
        &self,
        object: &mut Map<String, Value>,
        path: &Path,
        relations: &mut Vec<RelationChange>,
    ) -> Result<(), RestError> {
        let before = path.get(object);
        let array = || match before {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items.clone()),
            Some(_) => Err(RestError::wrong_type(format!("'{path}' is not an array"))),
        };
        let after = match self {
            Self::Set(value) => value.clone(),
            Self::Unset => {
                unset(object, path);
                return Ok(());
            }
            Self::Increment(amount) => incremented(before, *amount, path)?,
            Self::Bit(op, bits) => {
                let old = match before {
                    None | Some(Value::Null) => Some(0),
                    Some(value) => value.as_i64(),
                };
                let old = old.ok_or_else(|| RestError::wrong_type(format!("'{path}' is not a whole number")))?;
                match op {
                    BitOp::And => old & bits,
                    BitOp::Or => old | bits,
                    BitOp::Xor => old ^ bits,
                }
                .into()
            }
            Self::Add(values) => {
                let mut items = array()?;
                items.extend(values.iter().cloned());
                Value::Array(items)
            }
            Self::AddUnique(values) => {
                let mut items = array()?;
                for value in values {
                    if !items.contains(value) {
                        items.push(value.clone());
                    }
                }
                Value::Array(items)
            }
            Self::Remove(values) => {
                let mut items = array()?;
                items.retain(|item| !values.contains(item));
                Value::Array(items)
            }
            Self::AddRelation(targets) | Self::RemoveRelation(targets) => {
                let is_added = matches!(self, Self::AddRelation(_));
                let Some(relation) = relation(before, path, targets)? else { return Ok(()) };
                let key = path.first();
                let change =
                    |target: &Pointer| RelationChange { key: key.to_owned(), target: target.clone(), is_added };
                relations.extend(targets.iter().map(change));
                relation
            }
            Self::Batch(ops) => {
                return ops.iter().try_for_each(|op| op.apply(object, path, relations));
            }
        };
        set(object, path, after)
    }
}

fn incremented(before: Option<&Value>, amount: f64, path: &Path) -> Result<Value, RestError> {
    let wrong = || RestError::wrong_type(format!("'{path}' is not a number"));
    let sum = match before {
        None | Some(Value::Null) => amount,
        Some(value) => value.as_f64().ok_or_else(wrong)? + amount,
    };
    // Whole numbers stay exact as long as an i64 holds them.
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    let whole = (amount.fract() == 0.0 && amount.abs() < 9e15).then_some(amount as i64);
    let exact = before.map_or(Some(0), Value::as_i64).zip(whole).and_then(|(old, more)| old.checked_add(more));
    match exact {
        Some(sum) => Ok(sum.into()),
        None if sum.is_finite() => canonical(sum.into()),
        None => Err(RestError::wrong_type(format!("'{path}' would grow beyond all numbers"))),
    }
}

/// The field of a relation; `None` when nothing is to be done.
fn relation(before: Option<&Value>, path: &Path, targets: &[Pointer]) -> Result<Option<Value>, RestError> {
    if !path.is_field() {
        return Err(RestError::bad_key(&path.to_string()));
    }
    let wrong = || RestError::wrong_type(format!("'{path}' is a relation of one class"));
    let old = match before {
        None | Some(Value::Null) => None,
        Some(value) if value.get("__type").and_then(Value::as_str) == Some("Relation") => {
            value.get("className").and_then(Value::as_str)
        }
        Some(_) => return Err(wrong()),
    };
    let Some(class) = old.or_else(|| targets.first().map(|target| target.class.as_str())) else { return Ok(None) };
    if targets.iter().any(|target| target.class != class) {
        return Err(wrong());
    }
    Ok(Some(json!({ "__type": "Relation", "className": class })))
}

fn set(object: &mut Map<String, Value>, path: &Path, value: Value) -> Result<(), RestError> {
    let Some((last, parents)) = path.parts().split_last() else { return Ok(()) };
    let mut place = object;
    for key in parents {
        let next = place.entry(key.clone()).or_insert(Value::Null);
        if next.is_null() {
            *next = Value::Object(Map::new());
        }
        let is_typed = next.get("__type").is_some();
        place = match next {
            Value::Object(inner) if !is_typed => inner,
            _ => return Err(RestError::wrong_type(format!("'{key}' in '{path}' is not an object"))),
        };
    }
    place.insert(last.clone(), value);
    Ok(())
}

fn unset(object: &mut Map<String, Value>, path: &Path) {
    let Some((last, parents)) = path.parts().split_last() else { return };
    let place = parents.iter().try_fold(object, |place, key| place.get_mut(key)?.as_object_mut());
    if let Some(place) = place {
        place.remove(last);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const ID: &str = "5daeb07b7b968a0074945056";

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("not an object") };
        object
    }

    fn applied(before: Value, body: Value) -> Result<Value, RestError> {
        let mut fields = object(before);
        Changes::parse(object(body))?.apply(&mut fields)?;
        Ok(Value::Object(fields))
    }

    #[rstest]
    #[case(json!({}), json!({"a": 1.0}), json!({"a": 1}))]
    #[case(json!({"a": 1}), json!({"a": null}), json!({"a": null}))]
    #[case(json!({"a": 1, "b": 2}), json!({"a": {"__op": "Delete"}}), json!({"b": 2}))]
    #[case(json!({}), json!({"a": {"__op": "Increment", "amount": 2}}), json!({"a": 2}))]
    #[case(json!({"a": 1}), json!({"a": {"__op": "Decrement", "amount": 0.5}}), json!({"a": 0.5}))]
    #[case(json!({"a": 9_007_199_254_740_993_i64}), json!({"a": {"__op": "Increment", "amount": 1}}), json!({"a": 9_007_199_254_740_994_i64}))]
    #[case(json!({"a": [1]}), json!({"a": {"__op": "Add", "objects": [1, 2]}}), json!({"a": [1, 1, 2]}))]
    #[case(json!({"a": [1]}), json!({"a": {"__op": "AddUnique", "objects": [1.0, 2, 2]}}), json!({"a": [1, 2]}))]
    #[case(json!({}), json!({"a": {"__op": "Remove", "objects": [1]}}), json!({"a": []}))]
    #[case(json!({"a": [{"x": 1}, 2, {"x": 1}]}), json!({"a": {"__op": "Remove", "objects": [{"x": 1}]}}), json!({"a": [2]}))]
    #[case(json!({"a": 6}), json!({"a": {"__op": "BitAnd", "value": 3}}), json!({"a": 2}))]
    #[case(json!({}), json!({"a": {"__op": "BitOr", "value": 4}}), json!({"a": 4}))]
    #[case(json!({"a": 5}), json!({"a": {"__op": "BitXor", "value": 1}}), json!({"a": 4}))]
    #[case(json!({"p": {"age": 1}}), json!({"p.age": 3, "p.name": "x"}), json!({"p": {"age": 3, "name": "x"}}))]
    #[case(json!({}), json!({"p.q.r": {"__op": "Increment", "amount": 1}}), json!({"p": {"q": {"r": 1}}}))]
    #[case(json!({"p": {"a": 1, "b": 2}}), json!({"p.a": {"__op": "Delete"}}), json!({"p": {"b": 2}}))]
    #[case(
        json!({"a": [1, 2]}),
        json!({"a": {"__op": "Batch", "ops": [{"__op": "Remove", "objects": [1]}, {"__op": "Add", "objects": [3]}]}}),
        json!({"a": [2, 3]})
    )]
    #[case(json!({}), json!({"objectId": "x", "createdAt": "y", "__ignore_hooks": [], "a": 1}), json!({"a": 1}))]
    #[case(json!({}), json!({"_method": "PUT", "_ApplicationId": "x", "_SessionToken": "y", "a": 1}), json!({"a": 1}))]
    #[case(
        json!({}),
        json!({"r": {"__op": "AddRelation", "objects": [{"__type": "Pointer", "className": "C", "objectId": ID}]}}),
        json!({"r": {"__type": "Relation", "className": "C"}})
    )]
    fn operations(#[case] before: Value, #[case] body: Value, #[case] after: Value) {
        assert_eq!(applied(before, body).unwrap(), after);
    }

    #[rstest]
    #[case(json!({"a": "x"}), json!({"a": {"__op": "Increment", "amount": 1}}), 111)]
    #[case(json!({"a": "x"}), json!({"a": {"__op": "Add", "objects": [1]}}), 111)]
    #[case(json!({"a": 1.5}), json!({"a": {"__op": "BitOr", "value": 1}}), 111)]
    #[case(json!({"a": 1}), json!({"a.b": 1}), 111)]
    #[case(json!({}), json!({"a": {"__op": "Explode"}}), 111)]
    #[case(json!({}), json!({"a": {"__op": "Add"}}), 111)]
    #[case(json!({}), json!({"a-b": 1}), 105)]
    #[case(json!({}), json!({"ACL": {"x": 1}}), 123)]
    #[case(json!({"r": 1}), json!({"r": {"__op": "AddRelation", "objects": [{"className": "C", "objectId": ID}]}}), 111)]
    #[case(json!({}), json!({"r": {"__op": "AddRelation", "objects": [{"className": "C", "objectId": "x"}]}}), 106)]
    #[case(
        json!({"a": {"__type": "GeoPoint", "latitude": 1, "longitude": 1}}),
        json!({"b": {"__type": "GeoPoint", "latitude": 1, "longitude": 1}}),
        111
    )]
    fn operations_that_do_not_fit_are_refused(#[case] before: Value, #[case] body: Value, #[case] code: i32) {
        assert_eq!(applied(before, body).unwrap_err().body().code, code);
    }

    #[test]
    fn an_object_has_a_largest_size() {
        let text = |bytes: usize| json!({ "a": "x".repeat(bytes - r#"{"a":""}"#.len()) });
        assert!(applied(json!({}), text(MAX_OBJECT_BYTES)).is_ok());
        assert_eq!(applied(json!({}), text(MAX_OBJECT_BYTES + 1)).unwrap_err().body().code, 116);
    }

    #[test]
    fn relations_change_beside_the_object() {
        let pointer = json!({"__type": "Pointer", "className": "C", "objectId": ID});
        let body = json!({"r": {"__op": "RemoveRelation", "objects": [pointer]}});
        let mut fields = object(json!({"r": {"__type": "Relation", "className": "C"}}));
        let changes = Changes::parse(object(body)).unwrap().apply(&mut fields).unwrap();
        assert_eq!((changes.len(), changes[0].is_added, changes[0].key.as_str()), (1, false, "r"));
    }

    proptest! {
        #[test]
        fn adding_uniquely_twice_is_adding_once(values in prop::collection::vec(0..5_i32, 0..6)) {
            let body = json!({"a": {"__op": "AddUnique", "objects": values}});
            let once = applied(json!({"a": [1]}), body.clone()).unwrap();
            prop_assert_eq!(applied(once.clone(), body).unwrap(), once);
        }

        #[test]
        fn no_json_makes_reading_a_body_panic(text in r#"\{"[a-c.]{1,3}":[\[\]{}",:0-9a-zA-Z_]{0,50}\}"#) {
            if let Ok(Value::Object(body)) = serde_json::from_str(&text) {
                let _ = Changes::parse(body).and_then(|changes| changes.apply(&mut Map::new()));
            }
        }
    }
}
