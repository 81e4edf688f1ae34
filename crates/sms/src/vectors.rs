//! For the tests: recorded requests with their signatures, and the providers' own printed examples.

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

static FILE: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(include_str!("../tests/vectors.json")).unwrap());

/// The recordings of one signature.
pub(crate) fn of_scheme(scheme: &str) -> Vec<Value> {
    let all = FILE["vectors"].as_array().unwrap();
    all.iter().filter(|vector| vector["scheme"] == scheme).cloned().collect()
}

/// A printed example.
pub(crate) fn published(id: &str) -> Value {
    let all = FILE["published"].as_array().unwrap();
    all.iter().find(|example| example["id"] == id).unwrap().clone()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) fn bytes(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(text(value)).unwrap()
}
