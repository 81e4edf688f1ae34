//! The OpenAPI document: what poem-openapi generates, then [`polish`]ed into what is served at
//! `/openapi.json` and committed as `openapi/api.json`.

mod polish;
#[cfg(test)]
mod rules;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use poem_openapi::{OpenApi, OpenApiService};
use serde_json::Value;

/// Where the native API lives.
pub const PREFIX: &str = "/api/v1";

const DESCRIPTION: &str = "\
Patients ask, doctors answer, an official assistant helps both.

Sign in with an SMS code and send the session token as `Authorization: Bearer`; servers send the application's id and \
master key. Instants are ISO 8601 in UTC with milliseconds. Lists are paged: send `nextCursor` back as `cursor`. \
Prices are integers in fen (1/100 yuan). A patch leaves absent fields alone and clears those that are `null`. \
Creating calls accept `Idempotency-Key`: a repeat within 24 hours gets the first answer again. \
Errors are `application/problem+json` with a stable `code`.";

/// The document, its text and what requests look up in it.
#[derive(Debug)]
pub struct Document {
    value: Value,
    text: String,
    operations: HashMap<String, Operation>,
    empty: Value,
}

#[derive(Debug)]
struct Operation {
    route: String,
    method: String,
    parameters: Vec<Value>,
}

/// poem-openapi's service around the APIs.
pub fn service<T: OpenApi>(apis: T) -> OpenApiService<T, ()> {
    OpenApiService::new(apis, "Zhaoguan doctor API", env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION)
        .url_prefix(PREFIX)
}

impl Document {
    /// Builds the document of these APIs.
    pub fn of<T: OpenApi>(apis: T) -> Self {
        let generated = serde_json::from_str(&service(apis).spec()).unwrap_or_default();
        let value = sorted(polish::polish(generated));
        let text = format!("{value:#}\n");
        let operations = operations(&value);
        Self { value, text, operations, empty: Value::Null }
    }

    /// The document as served and committed.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// `components.schemas`.
    pub fn schemas(&self) -> &Value {
        self.value.pointer("/components/schemas").unwrap_or(&self.empty)
    }

    /// Path template of an operation.
    pub fn route_of(&self, operation: &str) -> &str {
        self.operations.get(operation).map_or("unmatched", |known| known.route.as_str())
    }

    /// Id of the operation at a path. Looks at every operation, so not for every request.
    pub fn operation_at(&self, method: &str, path: &str) -> Option<&str> {
        let found = self.operations.iter().find(|(_, known)| known.method == method && is_at(&known.route, path));
        found.map(|(id, _)| id.as_str())
    }

    /// The methods of a path, as the `Allow` header lists them; empty when there are none.
    pub fn methods_at(&self, path: &str) -> String {
        let methods = self.operations.values().filter(|known| is_at(&known.route, path));
        let methods: BTreeSet<String> = methods.map(|known| known.method.to_uppercase()).collect();
        methods.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// Name and schema of a parameter. The router calls path parameters `param0`, `param1`, …
    pub fn parameter<'a>(&'a self, operation: &str, name: &'a str) -> (&'a str, Option<&'a Value>) {
        let Some(operation) = self.operations.get(operation) else { return (name, None) };
        let in_path = |parameter: &&Value| parameter["in"] == "path";
        let position = name.strip_prefix("param").and_then(|digits| digits.parse::<usize>().ok());
        let found = match position {
            Some(at) => operation.parameters.iter().filter(in_path).nth(at),
            None => operation.parameters.iter().find(|parameter| parameter["name"] == name),
        };
        match found {
            Some(parameter) => (parameter["name"].as_str().unwrap_or(name), Some(&parameter["schema"])),
            None => (name, None),
        }
    }
}

/// Whether a path is of a route such as `/doctors/{id}/card`.
fn is_at(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(expected), Some(found)) if expected == found || (expected.starts_with('{') && !found.is_empty()) => {}
            _ => return false,
        }
    }
}

fn operations(document: &Value) -> HashMap<String, Operation> {
    let mut operations = HashMap::new();
    for (route, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            if let Some(id) = operation["operationId"].as_str() {
                let operation = Operation { route: route.clone(), method: method.clone(), parameters };
                operations.insert(id.to_owned(), operation);
            }
        }
    }
    operations
}

/// The same value with the keys of all objects sorted, whatever map `serde_json` was built with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other => other,
    }
}
