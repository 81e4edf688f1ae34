//! Adds to the generated document what poem-openapi leaves out, so that it says what the server does:
//! unknown fields refused, nulls accepted, integer bounds, plain content types, paired credentials.
#![expect(clippy::indexing_slicing, reason = "a JSON object is indexed by name, which inserts and never panics")]

use account::idempotency::MAX_KEY_CHARS;
use serde_json::{Map, Value, json};

use crate::http::caller::schemes::{APPLICATION_ID, NEEDING_ID};
use crate::http::idempotency;

/// The finished document.
pub(super) fn polish(mut document: Value) -> Value {
    document["servers"] = json!([{"url": "/", "description": "This server."}]);
    each_schema(&mut document, &bound_integers);
    for_each_operation(&mut document, |method, operation| {
        plain_content_types(operation);
        drop_noise(operation);
        describe_responses(operation);
        prune_errors(method, operation);
        pair_credentials(operation);
        offer_idempotency(operation);
        close_form(operation);
    });
    let requested = schemas_of_requests(&document);
    for name in requested {
        if let Some(schema) = document.pointer_mut(&format!("/components/schemas/{name}")) {
            close_request(schema);
        }
    }
    document
}

fn for_each_operation(document: &mut Value, mut act: impl FnMut(&str, &mut Value)) {
    for methods in document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            act(method, operation);
        }
    }
}

/// Visits every object of the document that looks like a schema.
fn each_schema(value: &mut Value, act: &dyn Fn(&mut Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            if fields.get("type").is_some_and(Value::is_string) {
                act(fields);
            }
            fields.values_mut().for_each(|inner| each_schema(inner, act));
        }
        Value::Array(items) => items.iter_mut().for_each(|inner| each_schema(inner, act)),
        _ => {}
    }
}

/// Integer formats of Rust become those of OpenAPI, with the bounds that the parser enforces.
fn bound_integers(schema: &mut Map<String, Value>) {
    if schema["type"] != "integer" {
        return;
    }
    let (format, least, most) = match schema.get("format").and_then(Value::as_str) {
        Some("uint8") => ("int32", json!(0), json!(u8::MAX)),
        Some("uint16") => ("int32", json!(0), json!(u16::MAX)),
        Some("uint32") => ("int64", json!(0), json!(u32::MAX)),
        Some("uint64") => ("int64", json!(0), json!(i64::MAX)),
        Some("int32") => ("int32", json!(i32::MIN), json!(i32::MAX)),
        _ => ("int64", json!(i64::MIN), json!(i64::MAX)),
    };
    schema.insert("format".into(), format.into());
    // poem-openapi keeps bounds as floats; a whole number reads better and compares exactly.
    for (key, fallback) in [("minimum", least), ("maximum", most)] {
        #[expect(clippy::cast_possible_truncation, reason = "bounds written in the source, far below 2^53")]
        let bound = schema.get(key).and_then(Value::as_f64).map_or(fallback, |bound| json!(bound as i64));
        schema.insert(key.into(), bound);
    }
}

/// Types with a charset, e.g. `application/json; charset=utf-8`, confuse generators; everything here is UTF-8.
fn plain_content_types(operation: &mut Value) {
    let rename = |content: &mut Value| {
        let Some(types) = content.as_object_mut() else { return };
        let with_charset: Vec<String> = types.keys().filter(|name| name.contains("; charset=")).cloned().collect();
        for name in with_charset {
            let plain = name.split(';').next().unwrap_or_default().to_owned();
            if let Some(schema) = types.remove(&name) {
                types.insert(plain, schema);
            }
        }
    };
    rename(&mut operation["requestBody"]["content"]);
    if operation["requestBody"]["content"].is_null()
        && let Some(fields) = operation.as_object_mut()
    {
        fields.remove("requestBody");
    }
    for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(content) = response.get_mut("content") {
            rename(content);
        }
    }
}

/// `deprecated: false` and `explode: true` say nothing.
fn drop_noise(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, value| !(key == "deprecated" && value == false || key == "explode" && value == true));
            fields.values_mut().for_each(drop_noise);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_noise),
        _ => {}
    }
}

fn describe_responses(operation: &mut Value) {
    for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        if response["description"] == "" {
            response["description"] = "Success.".into();
        }
    }
}

/// Errors an operation cannot give: without a body nothing is too large, reading conflicts with nothing.
fn prune_errors(method: &str, operation: &mut Value) {
    let has_body = operation.get("requestBody").is_some();
    if let Some(responses) = operation["responses"].as_object_mut() {
        responses.retain(|status, _| match status.as_str() {
            "413" | "415" => has_body,
            "409" => method != "get",
            _ => true,
        });
    }
}

/// Application keys count only beside the application's id.
fn pair_credentials(operation: &mut Value) {
    for requirement in operation["security"].as_array_mut().into_iter().flatten() {
        if let Some(schemes) = requirement.as_object_mut()
            && schemes.keys().any(|name| NEEDING_ID.contains(&name.as_str()))
        {
            schemes.insert(APPLICATION_ID.into(), json!([]));
        }
    }
}

/// The header that [`crate::http::idempotency`] reads.
fn offer_idempotency(operation: &mut Value) {
    if !operation["operationId"].as_str().is_some_and(|id| idempotency::OPERATIONS.contains(&id)) {
        return;
    }
    let header = json!({
        "name": "Idempotency-Key",
        "in": "header",
        "required": false,
        "description": "Makes repeating safe: within 24 hours the same key and request get the first answer again.",
        "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS, "pattern": "^[!-~]+$"},
    });
    match operation["parameters"].as_array_mut() {
        Some(parameters) => parameters.push(header),
        None => operation["parameters"] = json!([header]),
    }
}

/// Names of all schemas that request bodies lead to.
fn schemas_of_requests(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for operation in document["paths"].as_object().into_iter().flatten().filter_map(|(_, methods)| methods.as_object())
    {
        for body in operation.values().filter_map(|operation| operation.get("requestBody")) {
            follow(document, body, &mut found);
        }
    }
    found
}

fn follow(document: &Value, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str).and_then(|target| target.rsplit('/').next())
                && !found.iter().any(|known| known == name)
            {
                found.push(name.to_owned());
                follow(document, &document["components"]["schemas"][name], found);
            }
            fields.values().for_each(|inner| follow(document, inner, found));
        }
        Value::Array(items) => items.iter().for_each(|inner| follow(document, inner, found)),
        _ => {}
    }
}

/// A form, which is described in place, refuses fields it does not know.
fn close_form(operation: &mut Value) {
    if let Some(form) = operation.pointer_mut("/requestBody/content/multipart~1form-data/schema") {
        form["additionalProperties"] = false.into();
    }
}

/// A request refuses fields it does not know, and takes `null` for a field that may be left out.
fn close_request(schema: &mut Value) {
    if schema["type"] != "object" {
        return;
    }
    schema["additionalProperties"] = false.into();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, property) in schema["properties"].as_object_mut().into_iter().flatten() {
        if required.iter().any(|needed| needed == name) {
            continue;
        }
        if property.get("$ref").is_some() {
            *property = json!({"allOf": [property.take()]});
        }
        property["nullable"] = true.into();
    }
}
