//! Writing `_File` rows.

use async_trait::async_trait;
use domain::file::File;
use domain::{ObjectId, StoreError, Timestamp};
use serde_json::{Map, Value};

use super::batch::{Candidate, ClassImport, Outcome, Run};
use super::store::{ImportClass, ImportUnit};
use crate::mapping::{FileRow, MapContext, Mapped, Unmappable, map_file};

pub(super) enum Files {}

#[async_trait]
impl ClassImport for Files {
    type Row = FileRow;
    const CLASS: ImportClass = ImportClass::File;

    fn map(row: &Map<String, Value>, context: &MapContext) -> Result<Mapped<FileRow>, Unmappable> {
        map_file(row, context)
    }

    fn key(row: &FileRow) -> (ObjectId, Timestamp) {
        (row.file.id.0, row.updated_at)
    }

    async fn write(
        _: &Run<'_>,
        unit: &mut dyn ImportUnit,
        rows: Vec<Candidate<FileRow>>,
        _: &mut Outcome,
    ) -> Result<(), StoreError> {
        let files: Vec<File> = rows.into_iter().map(|row| row.entity.file).collect();
        unit.people().save_files(&files).await
    }
}
