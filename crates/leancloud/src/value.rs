//! The one stored form of every value, and the names of fields.
//!
//! Equal values have equal stored texts: objects have their keys sorted, whole numbers are integers, dates are
//! written in one way, pointers and files hold nothing but what names their target. The queries compare those texts.

use domain::{ObjectId, Timestamp};
use serde_json::{Map, Value, json};

use crate::rest::RestError;
use crate::wire;

/// Deepest nesting of a stored value.
pub const MAX_DEPTH: usize = 24;
/// Longest name of a class or field, in characters.
pub const MAX_NAME_CHARS: usize = 128;
/// Most parts of a dotted key.
pub const MAX_PATH_PARTS: usize = 10;

/// Beyond this, doubles skip integers; such numbers stay doubles.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;

/// Brings a value a client sent into its stored form.
///
/// # Errors
/// [`RestError`] naming the value at fault: a malformed pointer, date or point, U+0000, or too deep nesting.
pub fn canonical(value: Value) -> Result<Value, RestError> {
    at_depth(value, MAX_DEPTH)
}

/// Passes a value whose texts every database can store.
///
/// # Errors
/// [`RestError::WrongType`] naming the place of the first one that holds U+0000.
pub fn check_storable(value: &Value) -> Result<(), RestError> {
    match place_of_nul(value) {
        Some(place) => Err(RestError::wrong_type(format!("{place} must not contain U+0000"))),
        None => Ok(()),
    }
}

/// Where in a value a text with U+0000 stands, like `diary.lines[2]`.
fn place_of_nul(value: &Value) -> Option<String> {
    let inside = |step: String, value: &Value| {
        let deeper = place_of_nul(value)?;
        let is_index = deeper.starts_with('[');
        Some(if deeper == THE_TEXT {
            step
        } else if is_index {
            step + &deeper
        } else {
            format!("{step}.{deeper}")
        })
    };
    match value {
        Value::String(text) if text.contains('\0') => Some(THE_TEXT.to_owned()),
        Value::Array(items) => items.iter().enumerate().find_map(|(at, item)| inside(format!("[{at}]"), item)),
        Value::Object(fields) if fields.keys().any(|name| name.contains('\0')) => {
            Some("the name of a field".to_owned())
        }
        Value::Object(fields) => fields.iter().find_map(|(name, value)| inside(name.clone(), value)),
        _ => None,
    }
}

/// The place of a text that is the whole value.
const THE_TEXT: &str = "the text";

fn at_depth(value: Value, left: usize) -> Result<Value, RestError> {
    let Some(left) = left.checked_sub(1) else {
        return Err(RestError::wrong_type(format!("values are nested at most {MAX_DEPTH} deep")));
    };
    Ok(match value {
        Value::Null | Value::Bool(_) => value,
        Value::Number(number) => canonical_number(&number),
        Value::String(text) => Value::String(without_nul(text)?),
        Value::Array(items) => {
            Value::Array(items.into_iter().map(|item| at_depth(item, left)).collect::<Result<_, _>>()?)
        }
        Value::Object(object) => match object.get("__type").and_then(Value::as_str) {
            Some(kind) => {
                let kind = kind.to_owned();
                typed(&kind, object, left)?
            }
            None => Value::Object(members(object, left)?),
        },
    })
}

fn members(object: Map<String, Value>, left: usize) -> Result<Map<String, Value>, RestError> {
    object.into_iter().map(|(key, value)| Ok((without_nul(key)?, at_depth(value, left)?))).collect()
}

fn without_nul(text: String) -> Result<String, RestError> {
    if text.contains('\0') { Err(RestError::wrong_type("a text must not contain U+0000")) } else { Ok(text) }
}

/// Whole numbers as integers, everything else as the nearest double: what JavaScript can tell apart.
fn canonical_number(number: &serde_json::Number) -> Value {
    if let Some(whole) = number.as_i64() {
        return whole.into();
    }
    let double = number.as_f64().unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "bounded by MAX_EXACT in the same expression")]
    if double.fract() == 0.0 && double.abs() <= MAX_EXACT { (double as i64).into() } else { double.into() }
}

fn typed(kind: &str, object: Map<String, Value>, left: usize) -> Result<Value, RestError> {
    match kind {
        "Pointer" | "Object" => {
            let pointer = pointer(&object)?;
            if pointer.class == "_File" { Ok(file_reference(pointer.id)) } else { Ok(pointer.to_value()) }
        }
        "Date" => Ok(wire::date(date(&object)?)),
        "GeoPoint" => {
            let point = geo_point(&object)?;
            Ok(json!({ "__type": "GeoPoint", "latitude": number(point.0), "longitude": number(point.1) }))
        }
        "File" => {
            let id = ["id", "objectId"].into_iter().find_map(|key| object.get(key).and_then(Value::as_str));
            match id.and_then(|id| id.parse::<ObjectId>().ok()) {
                Some(id) => Ok(file_reference(id)),
                None => Ok(Value::Object(members(object, left)?)),
            }
        }
        "Relation" => {
            let class = object.get("className").and_then(Value::as_str).unwrap_or_default();
            Ok(json!({ "__type": "Relation", "className": checked_class(class)? }))
        }
        "Bytes" if object.get("base64").is_some_and(Value::is_string) => Ok(Value::Object(members(object, left)?)),
        _ => Err(RestError::wrong_type("a value has an unknown __type")),
    }
}

fn number(double: f64) -> Value {
    serde_json::Number::from_f64(double).map_or(Value::Null, |number| canonical_number(&number))
}

/// How a file stands in a stored object: by its id alone. Name, type and address are added when it is read.
pub fn file_reference(id: ObjectId) -> Value {
    json!({ "__type": "File", "id": id.to_string() })
}

/// The file a stored value refers to.
pub fn file_id(value: &Value) -> Option<ObjectId> {
    let object = value.as_object()?;
    let is_file = object.get("__type").and_then(Value::as_str) == Some("File");
    object.get("id").filter(|_| is_file)?.as_str()?.parse().ok()
}

/// Reads a pointer.
///
/// # Errors
/// [`RestError::MalformedPointer`].
pub fn pointer(object: &Map<String, Value>) -> Result<wire::Pointer, RestError> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).ok_or(RestError::MalformedPointer);
    let class = checked_class(text("className")?)?.to_owned();
    let id = text("objectId")?.parse().or(Err(RestError::MalformedPointer))?;
    Ok(wire::Pointer { class, id })
}

/// Reads any value as a pointer; `None` when it is something else.
pub fn as_pointer(value: &Value) -> Option<wire::Pointer> {
    let object = value.as_object()?;
    let is_pointer = object.get("__type").and_then(Value::as_str) == Some("Pointer");
    if is_pointer { pointer(object).ok() } else { None }
}

fn date(object: &Map<String, Value>) -> Result<Timestamp, RestError> {
    let iso = object.get("iso").and_then(Value::as_str).unwrap_or_default();
    let at = Timestamp::parse_rfc3339(iso).or_else(|_| Timestamp::parse_rfc3339(&format!("{iso}Z")));
    let at = at.ok().ok_or_else(|| RestError::wrong_type("a Date has an iso time like 2026-01-02T03:04:05.678Z"))?;
    // Years are written with four digits, so that the texts sort as the times do.
    let is_common = (-62_135_596_800_000..253_402_300_800_000).contains(&at.as_millis());
    if is_common { Ok(at) } else { Err(RestError::wrong_type("a Date lies between the years 1 and 9999")) }
}

/// Latitude and longitude of a point.
///
/// # Errors
/// [`RestError::BadGeoPoint`].
pub fn geo_point(object: &Map<String, Value>) -> Result<(f64, f64), RestError> {
    let part = |key: &str, bound: f64| {
        let value = object.get(key).and_then(Value::as_f64).filter(|value| value.abs() <= bound);
        value.ok_or(RestError::BadGeoPoint)
    };
    Ok((part("latitude", 90.0)?, part("longitude", 180.0)?))
}

/// Checks a class name: letters, digits and `_`, not beginning with a digit.
///
/// # Errors
/// [`RestError::BadClassName`].
pub fn checked_class(name: &str) -> Result<&str, RestError> {
    if is_name(name) { Ok(name) } else { Err(RestError::BadClassName) }
}

fn is_name(name: &str) -> bool {
    let is_word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_word && name.len() <= MAX_NAME_CHARS && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// Where a value stands inside an object: `profile.age`. The first part is a field's name, the others are keys of
/// nested objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<String>);

impl Path {
    /// Reads a dotted key.
    ///
    /// # Errors
    /// [`RestError::BadKey`].
    pub fn parse(text: &str) -> Result<Self, RestError> {
        let parts: Vec<String> = text.split('.').map(str::to_owned).collect();
        let (first, rest) = parts.split_first().ok_or_else(|| RestError::bad_key(text))?;
        // Quotes and backslashes would end the paths that queries are written with.
        let is_key = |key: &String| {
            let is_plain = !key.contains(|c: char| matches!(c, '"' | '\\' | '\'') || c.is_control());
            is_plain && !key.is_empty() && key.chars().count() <= MAX_NAME_CHARS && !key.starts_with('$')
        };
        if is_name(first) && rest.iter().all(is_key) && parts.len() <= MAX_PATH_PARTS {
            Ok(Self(parts))
        } else {
            Err(RestError::bad_key(text))
        }
    }

    /// The field's name.
    pub fn first(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    pub fn parts(&self) -> &[String] {
        &self.0
    }

    pub fn is_field(&self) -> bool {
        self.0.len() == 1
    }

    /// The value there; keys are never looked up in arrays.
    pub fn get<'a>(&self, object: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(object.get(first)?, |value, key| value.as_object()?.get(key))
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(json!(1.0), "1")]
    #[case(json!(-0.0), "0")]
    #[case(json!(1.5), "1.5")]
    #[case(json!(1e300), "1e+300")]
    #[case(json!({"b": 1, "a": 2.0}), r#"{"a":2,"b":1}"#)]
    #[case(json!({"__type":"Date","iso":"2026-01-02T11:04:05.678+08:00"}), r#"{"__type":"Date","iso":"2026-01-02T03:04:05.678Z"}"#)]
    #[case(json!({"__type":"Date","iso":"2026-01-02T03:04:05"}), r#"{"__type":"Date","iso":"2026-01-02T03:04:05.000Z"}"#)]
    #[case(
        json!({"__type":"Pointer","objectId":"5daeb07b7b968a0074945056","className":"Doctor","name":"x"}),
        r#"{"__type":"Pointer","className":"Doctor","objectId":"5daeb07b7b968a0074945056"}"#
    )]
    #[case(json!({"__type":"File","objectId":"5daeb07b7b968a0074945056","url":"u"}), r#"{"__type":"File","id":"5daeb07b7b968a0074945056"}"#)]
    fn values_have_one_stored_text(#[case] sent: Value, #[case] stored: &str) {
        assert_eq!(canonical(sent).unwrap().to_string(), stored);
    }

    #[rstest]
    #[case(json!({"__type":"Pointer","className":"Doctor","objectId":"x"}), 106)]
    #[case(json!({"__type":"Pointer","className":"a b","objectId":"5daeb07b7b968a0074945056"}), 103)]
    #[case(json!({"__type":"Date","iso":"yesterday"}), 111)]
    #[case(json!({"__type":"Date","iso":"-0001-01-01T00:00:00Z"}), 111)]
    #[case(json!({"__type":"GeoPoint","latitude":91,"longitude":0}), 302)]
    #[case(json!({"__type":"Spaceship"}), 111)]
    #[case(json!("a\u{0}b"), 111)]
    #[case(json!({"a\u{0}": 1}), 111)]
    fn malformed_values_are_refused(#[case] sent: Value, #[case] code: i32) {
        assert_eq!(canonical(sent).unwrap_err().body().code, code);
    }

    #[test]
    fn a_text_that_no_database_stores_is_named_by_its_place() {
        let place = |value: Value| check_storable(&value).map_err(|error| error.to_string());
        let told = |place: &str| Err(format!("Bad value: {place} must not contain U+0000."));
        assert_eq!(place(json!({ "a": ["b", { "c": 1 }] })), Ok(()));
        assert_eq!(place(json!({ "a": 1, "b": "\0" })), told("b"));
        assert_eq!(place(json!({ "a": { "b": ["", { "c": "x\0" }] } })), told("a.b[1].c"));
        assert_eq!(place(json!(["", ["\0"]])), told("[1][0]"));
        assert_eq!(place(json!("\0")), told("the text"));
        assert_eq!(place(json!({ "a\0": 1 })), told("the name of a field"));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth| (1..depth).fold(json!(1), |value, _| json!([value]));
        assert!(canonical(nested(MAX_DEPTH)).is_ok());
        assert!(canonical(nested(MAX_DEPTH + 1)).is_err());
    }

    #[rstest]
    #[case("name", true)]
    #[case("profile.age", true)]
    #[case("authData._weixin_unionid", true)]
    #[case("profile.年龄", true)]
    #[case("", false)]
    #[case("1a", false)]
    #[case("a..b", false)]
    #[case("a.", false)]
    #[case("$where", false)]
    #[case("a.$b", false)]
    #[case("a.b\"c", false)]
    #[case("a'b", false)]
    #[case("a b", false)]
    fn keys(#[case] text: &str, #[case] is_good: bool) {
        assert_eq!(Path::parse(text).is_ok(), is_good);
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_a_key_panic(text in ".{0,60}") {
            if let Ok(path) = Path::parse(&text) {
                prop_assert_eq!(path.to_string(), text);
            }
        }

        #[test]
        fn the_stored_form_is_stable(text in r#"[\[\]{}",:0-9a-z. -]{0,60}"#) {
            if let Ok(value) = serde_json::from_str::<Value>(&text)
                && let Ok(stored) = canonical(value)
            {
                prop_assert_eq!(canonical(stored.clone()).unwrap(), stored);
            }
        }
    }
}
