//! Files that are still at outside addresses, and the addresses files had.

use ::leancloud::import::store::ImportFiles;
use async_trait::async_trait;
use domain::StoreError;
use domain::file::{File, FilePlace};
use domain::id::FileId;
use sea_orm::FromQueryResult as _;
use sea_orm::Value;
use serde_json::json;

use crate::backend::store_error;
use crate::convert::{list, text};
use crate::people::file;
use crate::store::SeaUnit;

#[async_trait]
impl ImportFiles for SeaUnit {
    async fn outside(&mut self, after: Option<FileId>, limit: u32) -> Result<Vec<File>, StoreError> {
        let sql = format!("SELECT * FROM file WHERE url IS NOT NULL AND id > $1 ORDER BY id LIMIT {limit}");
        let after = after.map(|id| text(&id)).unwrap_or_default();
        self.rows::<file::Entity>(&sql, [after.into()]).await?.into_iter().map(file::file).collect()
    }

    async fn brought_in(&mut self, files: &[File]) -> Result<(), StoreError> {
        for file in files {
            let FilePlace::Stored { key } = &file.place else { continue };
            let sql =
                "UPDATE file SET blob_key = $1, url = NULL, size = $2, sha256 = $3 WHERE id = $4 AND blob_key IS NULL";
            let values: [Value; 4] =
                [key.as_str().into(), file.size.into(), file.sha256.clone().into(), text(&file.id).into()];
            self.execute(sql, values).await?;
        }
        Ok(())
    }

    async fn at_addresses(&mut self, urls: &[String]) -> Result<Vec<(String, File)>, StoreError> {
        if urls.is_empty() {
            return Ok(Vec::new());
        }
        let is_wanted = self.backend.is_among("origin.url", "$1");
        let sql = format!(
            "SELECT origin.url AS origin_url, file.* FROM file_origin origin JOIN file ON file.id = origin.file_id \
             WHERE {is_wanted}"
        );
        let rows = self.query(&sql, [list(urls)]).await?;
        let found = rows.iter().map(|row| {
            let url: String = row.try_get("", "origin_url").map_err(store_error)?;
            Ok((url, file::file(file::Model::from_query_result(row, "").map_err(store_error)?)?))
        });
        found.collect()
    }
}

/// Remembers where files are outside, for as long as anything may refer to them there.
pub(super) async fn remember_origins(unit: &SeaUnit, files: &[File]) -> Result<(), StoreError> {
    let origins: Vec<[String; 2]> = files
        .iter()
        .filter_map(|file| match &file.place {
            FilePlace::External { url } => Some([url.clone(), text(&file.id)]),
            FilePlace::Stored { .. } => None,
        })
        .collect();
    if origins.is_empty() {
        return Ok(());
    }
    // WHERE keeps ON CONFLICT from being taken for the condition of a join.
    let sql = format!(
        "INSERT INTO file_origin (url, file_id) SELECT value ->> 0, value ->> 1 FROM {} AS given WHERE true \
         ON CONFLICT (url) DO NOTHING",
        unit.backend.each(1)
    );
    unit.execute(&sql, [json!(origins).to_string().into()]).await?;
    Ok(())
}
