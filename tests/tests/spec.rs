//! The document that is committed, the one the command writes and the one the server shows are the same, and what
//! it describes is there.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::Value;
use tests::server::{Database, Deployment};
use tests::world::{As, Http};

fn committed(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

#[test]
fn the_command_writes_what_is_committed_without_a_database() {
    // Nothing may be connected to at this address.
    let deployment = Deployment::new(Database::Sqlite).with("database.url", "postgres://127.0.0.1:9/none");
    deployment.run_ok(&["openapi", "--output", "api.json", "--errors", "errors.md"]);
    for (written, path) in [("api.json", "openapi/api.json"), ("errors.md", "docs/errors.md")] {
        let text = fs::read_to_string(deployment.path().join(written)).unwrap();
        assert!(text == committed(path), "{path} is out of date: run `just openapi` and commit it");
    }
    assert!(deployment.run_ok(&["openapi"]) == committed("openapi/api.json"), "standard output tells the same");
}

#[test]
fn the_server_shows_the_committed_document_and_a_page_that_needs_nothing_else() {
    let deployment = Deployment::new(Database::Sqlite);
    let api = deployment.start_api();
    let http = Http::new(&api);
    let get = |path: &str| http.request(Method::GET, path, &As::Nobody).send().unwrap();
    let shown = get("/openapi.json");
    assert_eq!(shown.headers()["content-type"], "application/json");
    assert!(shown.text().unwrap() == committed("openapi/api.json"));
    let page = get("/docs");
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("connect-src 'self'"), "{policy}");
    let page = page.text().unwrap();
    assert!(page.contains("initiate_consultation"), "the page holds the document");
    for outside in ["src=\"http", "src=\"//", "href=\"http", "href=\"//", "@import"] {
        assert!(!page.contains(outside), "the page loads something from outside: {outside}");
    }
}

#[test]
fn every_documented_operation_is_served() {
    let deployment = Deployment::new(Database::Sqlite);
    let api = deployment.start_api();
    let http = Http::new(&api);
    let document: Value = serde_json::from_str(&committed("openapi/api.json")).unwrap();
    let mut absent = Vec::new();
    for (template, methods) in document["paths"].as_object().unwrap() {
        let parts =
            template.split('/').map(|part| if part.starts_with('{') { "ffffffffffffffffffffffff" } else { part });
        let path = parts.collect::<Vec<_>>().join("/");
        for method in methods.as_object().unwrap().keys() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = http.request(method.clone(), &path, &As::Nobody).send().unwrap();
            let body: Value = serde_json::from_str(&answer.text().unwrap()).unwrap_or_default();
            if ["request.unknown_path", "request.method_not_allowed"].iter().any(|code| body["code"] == *code) {
                absent.push(format!("{method} {template}"));
            }
        }
    }
    assert!(absent.is_empty(), "{absent:?}");
}

#[test]
fn clients_can_be_generated_from_the_document() {
    let document: Value = serde_json::from_str(&committed("openapi/api.json")).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let mut dangling = Vec::new();
    each_reference(&document, &mut |target| {
        let name = target.strip_prefix("#/components/schemas/");
        if !name.is_some_and(|name| schemas.contains_key(name)) {
            dangling.push(target.to_owned());
        }
    });
    assert!(dangling.is_empty(), "{dangling:?}");
    let credentials = document["components"]["securitySchemes"].as_object().unwrap();
    for operation in document["paths"].as_object().unwrap().values().flat_map(|p| p.as_object().unwrap().values()) {
        for requirement in operation["security"].as_array().unwrap() {
            let unknown: Vec<_> =
                requirement.as_object().unwrap().keys().filter(|s| !credentials.contains_key(*s)).collect();
            assert!(unknown.is_empty(), "{}: {unknown:?}", operation["operationId"]);
        }
    }
}

fn each_reference(value: &Value, act: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            if let Some(target) = fields.get("$ref").and_then(Value::as_str) {
                act(target);
            }
            fields.values().for_each(|inner| each_reference(inner, act));
        }
        Value::Array(items) => items.iter().for_each(|inner| each_reference(inner, act)),
        _ => {}
    }
}
