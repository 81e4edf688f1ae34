//! Indexes over fields of documents, made when an operator names them.

use std::collections::BTreeSet;

use ::leancloud::rest::{ClassInfo, ClassKind, RestError, RestUnit as _};
use ::leancloud::value::{Path, checked_class};
use domain::{StoreError, Timestamp};
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
        let name = index_name(class, &self.path);
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
                    "CREATE INDEX IF NOT EXISTS \"{}\" ON document ({}, id) WHERE class = '{class}'",
                    order_index(class, &self.path),
                    place.number
                ),
            ],
        }
    }
}

fn index_name(class: &str, path: &Path) -> String {
    format!("document_field_{class}_{}", path.parts().join("."))
}

/// The index on `SQLite` that has the rows of a class in the order of a field.
pub(super) fn order_index(class: &str, path: &Path) -> String {
    format!("{}_order", index_name(class, path))
}

impl SeaStore {
    /// Makes the indexes that are not there yet. On a large class this takes a while, and writes wait.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses one.
    pub async fn index_documents(&self, indexes: &[DocumentIndex], now: Timestamp) -> Result<(), StoreError> {
        if indexes.is_empty() {
            return Ok(());
        }
        let mut unit: SeaUnit = self.unit().await?;
        for index in indexes {
            let info = ClassInfo { indexed_keys: BTreeSet::from([index.path.to_string()]), ..ClassInfo::default() };
            unit.documents().ensure_class(&index.class, &info, now).await?;
            for statement in index.statements(unit.backend) {
                unit.db().execute_unprepared(&statement).await.map_err(store_error)?;
            }
        }
        if unit.backend == Backend::Sqlite {
            // SQLite chooses among indexes by what it counted; a sample is enough.
            unit.db()
                .execute_unprepared("PRAGMA analysis_limit = 2000; ANALYZE document")
                .await
                .map_err(store_error)?;
        }
        unit.finish().await
    }
}
