//! Files in memory.

use async_trait::async_trait;
use domain::StoreError;
use domain::file::{File, FileRepository};
use domain::id::FileId;

use super::MemoryUnit;
use super::tables::{all_of, insert_new};

#[async_trait]
impl FileRepository for MemoryUnit {
    async fn find(&mut self, id: FileId) -> Result<Option<File>, StoreError> {
        Ok(self.tables()?.files.get(&id).cloned())
    }

    async fn find_all(&mut self, ids: &[FileId]) -> Result<Vec<File>, StoreError> {
        Ok(all_of(&self.tables()?.files, ids))
    }

    async fn insert(&mut self, file: &File) -> Result<(), StoreError> {
        self.write(|tables| insert_new(&mut tables.files, file.id, file.clone(), "file_pkey"))
    }

    async fn delete(&mut self, id: FileId) -> Result<bool, StoreError> {
        self.write(|tables| {
            let is_shown = tables.patients.values().any(|patient| patient.icon == Some(id))
                || tables
                    .doctors
                    .values()
                    .any(|d| [d.icon, d.certificate1, d.certificate2, d.licence1, d.licence2].contains(&Some(id)));
            Ok(!is_shown && tables.files.remove(&id).is_some())
        })
    }
}
