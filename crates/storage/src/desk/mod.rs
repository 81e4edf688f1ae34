//! The assistant, the chats of its desk, and what agents keep beside them.

mod agent;
mod assistant;
mod canned;
mod chat;
mod draft;
mod entry;
mod episode;
mod unit;

use domain::StoreError;
use sea_orm::QueryResult;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::backend::store_error;
use crate::convert::corrupt;

fn get<T: sea_orm::TryGetable>(row: &QueryResult, column: &str) -> Result<T, StoreError> {
    row.try_get("", column).map_err(store_error)
}

/// Writes a document as JSON text.
fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::backend)
}

/// Reads a document.
fn read<T: DeserializeOwned>(row: &QueryResult, column: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(&get::<String>(row, column)?).or_else(|_| corrupt(column))
}

/// A number that never is below zero or beyond 32 bits.
fn small<T: TryFrom<i64>>(row: &QueryResult, column: &'static str) -> Result<T, StoreError> {
    T::try_from(get::<i64>(row, column)?).or_else(|_| corrupt(column))
}
