//! Says what is wrong with a JSON value, field by field, from its OpenAPI schema.
//!
//! poem-openapi stops at the first fault, does not say where it is and quotes the value. This runs only
//! after a body was refused, walks the same schema the document publishes and never quotes anything.

use std::fmt::Write;

use domain::{FieldError, ObjectId, Timestamp};
use serde_json::{Map, Value};

use crate::http::values::{ID_FORMAT, parse_date};

/// More faults than this are not worth telling.
const MAX_FAULTS: usize = 20;
/// Unknown field names longer than this are not repeated.
const MAX_FIELD_NAME_CHARS: usize = 64;
/// Name of the whole body in a fault.
const ROOT: &str = "body";
/// What is said of a text with a character that PostgreSQL cannot store; refused on every database.
pub const NO_NUL: &str = "must not contain the character U+0000";

/// Compares `value` with `schema`; references are looked up in `schemas` (`components.schemas`).
pub fn faults(schemas: &Value, schema: &Value, value: &Value) -> Vec<FieldError> {
    let mut checker = Checker { schemas, faults: Vec::new() };
    checker.check(schema, value, "");
    checker.faults.truncate(MAX_FAULTS);
    checker.faults
}

/// One sentence on what a scalar parameter with this schema accepts.
pub fn expectation(schema: &Value) -> String {
    if let Some(allowed) = schema["enum"].as_array() {
        let words: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        return format!("must be one of {}", words.join(", "));
    }
    match (schema["type"].as_str(), schema["format"].as_str()) {
        (_, Some(ID_FORMAT)) => "must be an id of 24 hexadecimal digits".into(),
        (_, Some("date-time")) => "must be a time like 2026-01-02T03:04:05.678Z".into(),
        (_, Some("date")) => "must be a date like 1980-01-31".into(),
        (Some("integer"), _) => with_bounds("must be an integer", schema, "minimum", "maximum", ""),
        (Some("number"), _) => with_bounds("must be a number", schema, "minimum", "maximum", ""),
        (Some("boolean"), _) => "must be true or false".into(),
        (Some("array"), _) => with_bounds("must be a list", schema, "minItems", "maxItems", " items"),
        (Some("object"), _) => "must be an object".into(),
        (Some("string"), _) => with_bounds("must be a text", schema, "minLength", "maxLength", " characters"),
        _ => "is not as documented".into(),
    }
}

fn with_bounds(what: &str, schema: &Value, min: &str, max: &str, unit: &str) -> String {
    let mut sentence = what.to_owned();
    let bound = |key: &str| schema[key].as_f64();
    let _ = match (bound(min), bound(max)) {
        (Some(min), Some(max)) => write!(sentence, " of {min} to {max}{unit}"),
        (Some(min), None) => write!(sentence, " of at least {min}{unit}"),
        (None, Some(max)) => write!(sentence, " of at most {max}{unit}"),
        (None, None) => Ok(()),
    };
    sentence
}

struct Checker<'a> {
    schemas: &'a Value,
    faults: Vec<FieldError>,
}

impl<'a> Checker<'a> {
    fn check(&mut self, schema: &'a Value, value: &Value, path: &str) {
        if self.faults.len() > MAX_FAULTS {
            return;
        }
        let schema = self.resolve(schema);
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.check(part, value, path);
        }
        if !is_of_type(schema, value) || !is_in_enum(schema, value) || !is_well_formed(schema, value) {
            return self.fault(path, expectation(schema));
        }
        match value {
            Value::String(text) if text.contains('\0') => self.fault(path, NO_NUL.into()),
            Value::Object(fields) => self.check_object(schema, fields, path),
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    self.check(&schema["items"], item, &format!("{path}[{at}]"));
                }
            }
            _ => {}
        }
    }

    fn check_object(&mut self, schema: &'a Value, fields: &Map<String, Value>, path: &str) {
        let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                self.fault(&join(name), "is required".into());
            }
        }
        for (name, value) in fields {
            if name.contains('\0') {
                self.fault(&join(&presentable(name)), NO_NUL.into());
            }
            match schema["properties"].get(name) {
                Some(property) => self.check(property, value, &join(name)),
                None if schema["additionalProperties"] == false => {
                    self.fault(&join(&presentable(name)), "is not a field of this request".into());
                }
                // Nothing is documented about it, except that it has to be storable.
                None => self.check(&Value::Null, value, &join(&presentable(name))),
            }
        }
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) {
            Some(name) => &self.schemas[name],
            None => schema,
        }
    }

    fn fault(&mut self, path: &str, message: String) {
        let field = if path.is_empty() { ROOT } else { path };
        self.faults.push(FieldError::new(field, message));
    }
}

/// The name a client gave to a field, if it can be repeated without harm.
fn presentable(name: &str) -> String {
    let is_harmless = name.chars().count() <= MAX_FIELD_NAME_CHARS
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$' | '.'));
    if is_harmless { name.to_owned() } else { "(unknown field)".to_owned() }
}

fn is_of_type(schema: &Value, value: &Value) -> bool {
    match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        _ => true,
    }
}

fn is_in_enum(schema: &Value, value: &Value) -> bool {
    schema["enum"].as_array().is_none_or(|allowed| allowed.contains(value))
}

fn is_well_formed(schema: &Value, value: &Value) -> bool {
    let within = |measure: f64, min: &str, max: &str| {
        schema[min].as_f64().is_none_or(|min| measure >= min) && schema[max].as_f64().is_none_or(|max| measure <= max)
    };
    let count = |n: usize| u32::try_from(n).map_or(f64::INFINITY, f64::from);
    match value {
        Value::Number(number) => within(number.as_f64().unwrap_or(f64::NAN), "minimum", "maximum"),
        Value::Array(items) => within(count(items.len()), "minItems", "maxItems"),
        Value::String(text) => {
            within(count(text.chars().count()), "minLength", "maxLength")
                && match schema["format"].as_str() {
                    Some(ID_FORMAT) => text.parse::<ObjectId>().is_ok(),
                    Some("date") => parse_date(text).is_some(),
                    Some("date-time") => Timestamp::parse_rfc3339(text).is_ok(),
                    _ => true,
                }
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(value: &Value) -> Vec<(String, String)> {
        let schemas = json!({
            "Window": {
                "type": "object",
                "required": ["start"],
                "additionalProperties": false,
                "properties": {"start": {"type": "string", "maxLength": 5}},
            }
        });
        let schema = json!({
            "type": "object",
            "required": ["doctorId"],
            "additionalProperties": false,
            "properties": {
                "doctorId": {"type": "string", "format": "object-id"},
                "type": {"type": "string", "enum": ["normal", "phone"]},
                "price": {"type": "integer", "minimum": 0, "maximum": 10, "nullable": true},
                "windows": {"type": "array", "maxItems": 2, "items": {"$ref": "#/components/schemas/Window"}},
            },
        });
        faults(&schemas, &schema, value).into_iter().map(|f| (f.field, f.message)).collect()
    }

    #[test]
    fn a_right_value_has_no_faults() {
        let right = json!({"doctorId": "5daeb07b7b968a0074945056", "price": null, "windows": [{"start": "08:00"}]});
        assert_eq!(told(&right), []);
    }

    #[test]
    fn every_fault_is_told_with_its_path() {
        let wrong = json!({
            "type": "video", "price": 11, "extra": 1,
            "windows": [{"start": "08:00"}, {"start": "08:00:00"}],
        });
        let mut fields: Vec<String> = told(&wrong).into_iter().map(|(field, _)| field).collect();
        fields.sort();
        assert_eq!(fields, ["doctorId", "extra", "price", "type", "windows[1].start"]);
    }

    #[test]
    fn a_text_that_cannot_be_stored_is_told_wherever_it_is() {
        let schema = json!({"type": "object", "properties": {
            "name": {"type": "string"},
            "extra": {"type": "object"},
        }});
        let wrong = json!({"name": "a\u{0}", "extra": {"list": ["b", {"deep": "\u{0}"}], "\u{0}": 1}});
        let told: Vec<_> = faults(&json!({}), &schema, &wrong).into_iter().map(|f| (f.field, f.message)).collect();
        let fields = ["extra.(unknown field)", "extra.list[1].deep", "name"];
        assert_eq!(told, fields.map(|field| (field.to_owned(), NO_NUL.to_owned())));
    }

    #[test]
    fn values_and_hostile_names_are_never_repeated() {
        let secret = "13900000000";
        let wrong = json!({"doctorId": secret, "<script>": secret, "type": 1});
        let shown = format!("{:?}", told(&wrong));
        assert!(!shown.contains(secret) && !shown.contains("<script>"), "{shown}");
    }

    #[test]
    fn the_body_itself_may_be_at_fault() {
        assert_eq!(told(&json!([])), [("body".into(), "must be an object".into())]);
        assert_eq!(told(&json!(null)), [("body".into(), "must be an object".into())]);
    }

    #[test]
    fn expectations_name_the_bounds() {
        assert_eq!(
            expectation(&json!({"type": "integer", "minimum": 1, "maximum": 100})),
            "must be an integer of 1 to 100"
        );
        assert_eq!(expectation(&json!({"type": "string", "maxLength": 5})), "must be a text of at most 5 characters");
        assert_eq!(expectation(&json!({"type": "string", "enum": ["a", "b"]})), "must be one of a, b");
    }
}
