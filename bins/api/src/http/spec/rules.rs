//! What every operation of the document must have.

use std::collections::HashSet;

use serde_json::Value;

use super::Document;
use crate::http::{apis, idempotency};

/// Verbs of operation ids.
const VERBS: &[&str] = &[
    "request", "sign", "get", "list", "revoke", "bind", "update", "set", "submit", "take", "create", "scan",
    "initiate", "end", "reopen", "upload", "download", "approve", "reject", "retry", "discard", "void", "reveal",
    "reset", "unlock", "check", "report", "force", "sync", "decide", "answer", "send", "recall", "mark", "export",
    "search", "open", "rate", "renew", "count", "claim", "release", "transfer", "accept", "decline", "cancel", "close",
    "delete",
];

fn operations() -> Vec<(String, String, Value)> {
    let document = Document::of(apis());
    let mut operations = Vec::new();
    for (path, methods) in document.value()["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations.push((path.clone(), method.clone(), operation.clone()));
        }
    }
    operations
}

fn each(mut check: impl FnMut(&str, &str, &Value) -> bool, what: &str) {
    let wrong: Vec<String> = operations()
        .iter()
        .filter(|(path, method, operation)| !check(path, method, operation))
        .map(|(path, method, _)| format!("{method} {path}"))
        .collect();
    assert!(wrong.is_empty(), "{what}: {wrong:?}");
}

#[test]
fn operation_ids_are_unique_and_verb_resource() {
    let mut seen = HashSet::new();
    let is_right = |id: &str| {
        let is_snake = id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && !id.contains("__");
        id.split_once('_').is_some_and(|(verb, rest)| VERBS.contains(&verb) && !rest.is_empty()) && is_snake
    };
    each(
        |_, _, operation| {
            operation["operationId"].as_str().is_some_and(|id| is_right(id) && seen.insert(id.to_owned()))
        },
        "without a right and unique operationId",
    );
}

#[test]
fn every_operation_has_summary_tag_and_security() {
    each(|_, _, operation| operation["summary"].as_str().is_some_and(|s| !s.is_empty()), "without summary");
    each(|_, _, operation| operation["tags"].as_array().is_some_and(|t| t.len() == 1), "without exactly one tag");
    each(|_, _, operation| operation["security"].as_array().is_some_and(|s| !s.is_empty()), "without security");
}

#[test]
fn every_operation_documents_its_errors_as_problems() {
    let is_problem = |response: &Value| {
        response["content"]["application/problem+json"]["schema"]["$ref"] == "#/components/schemas/Problem"
    };
    each(
        |_, _, operation| {
            ["400", "401", "403", "404", "429", "500", "503"].iter().all(|s| is_problem(&operation["responses"][s]))
        },
        "without documented errors",
    );
    each(
        |_, _, operation| {
            let errors = operation["responses"].as_object().unwrap().iter().filter(|(s, _)| s.starts_with(['4', '5']));
            errors.into_iter().all(|(_, response)| is_problem(response))
        },
        "with errors that are not problems",
    );
}

#[test]
fn nothing_has_an_empty_description() {
    fn empties(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (key, inner) in fields {
                    if key == "description" && inner == "" {
                        found.push(at.to_owned());
                    }
                    empties(inner, &format!("{at}/{key}"), found);
                }
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, inner)| empties(inner, &format!("{at}/{i}"), found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    empties(Document::of(apis()).value(), "", &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn parameters_and_properties_are_described() {
    each(
        |_, _, operation| {
            let mut parameters = operation["parameters"].as_array().into_iter().flatten();
            parameters.all(|p| p["description"].as_str().is_some_and(|d| !d.is_empty()))
        },
        "with a parameter that is not described",
    );
    let document = Document::of(apis());
    let bare: Vec<String> = document
        .schemas()
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(name, schema)| {
            schema["properties"].as_object().into_iter().flatten().map(move |(p, s)| (name, p, s))
        })
        .filter(|(_, _, s)| s.get("description").is_none() && s.get("$ref").is_none())
        .map(|(name, property, _)| format!("{name}.{property}"))
        .collect();
    assert!(bare.is_empty(), "properties without description: {bare:?}");
}

#[test]
fn content_types_are_plain() {
    let text = Document::of(apis()).text().to_owned();
    assert!(!text.contains("charset"), "a content type carries a charset");
    assert!(!text.contains("\"uint"), "an integer format of Rust is left");
}

#[test]
fn requests_refuse_unknown_fields_in_the_document() {
    let document = Document::of(apis());
    let open: Vec<&String> = document
        .schemas()
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, schema)| {
            (name.ends_with("Request") || name.ends_with("Patch")) && schema["additionalProperties"] != false
        })
        .map(|(name, _)| name)
        .collect();
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn creating_operations_take_an_idempotency_key_unless_their_answer_is_secret_or_they_name_what_they_create() {
    const SECRET: &[&str] =
        &["sign_in_with_sms_code", "sign_in_with_wechat", "sign_in_agent", "create_console_session", "create_agent"];
    // A message is stored once under its clientMessageId, and there is one conversation with the assistant.
    const NAMED: &[&str] = &["send_message", "send_desk_message", "open_assistant_conversation"];
    each(
        |_, _, operation| {
            let id = operation["operationId"].as_str().unwrap();
            let creates = operation["responses"].get("201").is_some() && !SECRET.contains(&id) && !NAMED.contains(&id);
            creates == idempotency::OPERATIONS.contains(&id)
        },
        "creating without a word on Idempotency-Key, or the other way round",
    );
}

#[test]
fn the_committed_document_is_up_to_date() {
    let committed =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../openapi/api.json")).unwrap_or_default();
    assert!(committed == Document::of(apis()).text(), "openapi/api.json is out of date; run `just openapi`");
}

#[test]
fn the_committed_error_list_is_up_to_date() {
    let committed =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md")).unwrap_or_default();
    assert!(committed == crate::http::catalogue::markdown(), "docs/errors.md is out of date; run `just openapi`");
}
