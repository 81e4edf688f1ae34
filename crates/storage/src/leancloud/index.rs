//! Indexes over fields of documents, made when an operator names them.

use domain::StoreError;

use ::leancloud::rest::{ClassKind, RestError};
use ::leancloud::value::{Path, checked_class};
use sea_orm::ConnectionTrait;

use crate::backend::{Backend, store_error};
use crate::store::{SeaStore, SeaUnit};

/// A field of a class of documents that queries look for, order by or compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentIndex {
    class: String,
    path: Path,
}

impl DocumentIndex {
    /// An index over a class and a field, which may be a dotted key.
    ///
    /// # Errors
    /// [`RestError`] when either cannot be a name, or the class is not one of documents.
    pub fn new(class: &str, field: &str) -> Result<Self, RestError> {
        let class = checked_class(class)?.to_owned();
        if !ClassKind::of(&class).is_document() {
            return Err(RestError::BadClassName);
        }
        Ok(Self { class, path: Path::parse(field)? })
    }

    /// The statements that make it, unless it is there.
    fn statements(&self, backend: Backend) -> Vec<String> {
        let class = &self.class;
        let place = backend.at("data", self.path.parts());
        let name = format!("document_field_{class}_{}", self.path.parts().join("_"));
        match backend {
            Backend::Postgres => vec![format!(
                "CREATE INDEX IF NOT EXISTS \"{name}\" ON document ({} ASC NULLS FIRST, id) WHERE class = '{class}'",
                place.json
            )],
            // One for equality, one for order and comparisons.
            Backend::Sqlite => vec![
                format!(
                    "CREATE INDEX IF NOT EXISTS \"{name}_value\" ON document ({}, id) WHERE class = '{class}'",
                    place.json
                ),
                format!(
                    "CREATE INDEX IF NOT EXISTS \"{name}_order\" ON document ({}, id) WHERE class = '{class}'",
                    place.number
                ),
            ],
        }
    }
}

impl SeaStore {
    /// Makes the indexes that are not there yet. On a large class this takes a while, and writes wait.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses one.
    pub async fn index_documents(&self, indexes: &[DocumentIndex]) -> Result<(), StoreError> {
        if indexes.is_empty() {
            return Ok(());
        }
        let unit: SeaUnit = self.unit().await?;
        for index in indexes {
            for statement in index.statements(unit.backend) {
                unit.db().execute_unprepared(&statement).await.map_err(store_error)?;
            }
        }
        unit.finish().await
    }
}
