//! What is known of files.

use async_trait::async_trait;
use domain::file::{File, FileOwner, FilePlace, FileRepository};
use domain::id::FileId;
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::backend::store_error;
use crate::convert::{corrupt, into_object, object, parse, text};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "file")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub owner_kind: String,
    pub owner_id: Option<String>,
    pub name: String,
    pub mime_type: String,
    pub size: Option<i64>,
    pub sha256: Option<String>,
    pub blob_key: Option<String>,
    pub url: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub extra: Json,
    pub created_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(crate) fn row(file: &File) -> ActiveModel {
    let (owner_kind, owner_id) = match file.owner {
        FileOwner::User(id) => ("user", Some(text(&id))),
        FileOwner::Staff(id) => ("staff", Some(text(&id))),
        FileOwner::System => ("system", None),
    };
    let (blob_key, url) = match &file.place {
        FilePlace::Stored { key } => (Some(key.clone()), None),
        FilePlace::External { url } => (None, Some(url.clone())),
    };
    ActiveModel {
        id: Set(text(&file.id)),
        owner_kind: Set(owner_kind.to_owned()),
        owner_id: Set(owner_id),
        name: Set(file.name.clone()),
        mime_type: Set(file.mime_type.clone()),
        size: Set(file.size),
        sha256: Set(file.sha256.clone()),
        blob_key: Set(blob_key),
        url: Set(url),
        extra: Set(object(&file.extra)),
        created_at: Set(file.created_at.as_millis()),
    }
}

pub(crate) fn file(row: Model) -> Result<File, StoreError> {
    let owner_id = row.owner_id.as_deref();
    let owner = match (row.owner_kind.as_str(), owner_id) {
        ("user", Some(id)) => FileOwner::User(parse("file.owner_id", id)?),
        ("staff", Some(id)) => FileOwner::Staff(parse("file.owner_id", id)?),
        ("system", None) => FileOwner::System,
        _ => return corrupt("file.owner_kind"),
    };
    let place = match (row.blob_key, row.url) {
        (Some(key), None) => FilePlace::Stored { key },
        (None, Some(url)) => FilePlace::External { url },
        _ => return corrupt("file.blob_key"),
    };
    Ok(File {
        id: parse("file.id", &row.id)?,
        owner,
        name: row.name,
        mime_type: row.mime_type,
        size: row.size,
        sha256: row.sha256,
        place,
        extra: into_object("file.extra", row.extra)?,
        created_at: Timestamp::from_millis(row.created_at),
    })
}

#[async_trait]
impl FileRepository for SeaUnit {
    async fn find(&mut self, id: FileId) -> Result<Option<File>, StoreError> {
        Entity::find_by_id(text(&id)).one(&self.db()).await.map_err(store_error)?.map(file).transpose()
    }

    async fn find_all(&mut self, ids: &[FileId]) -> Result<Vec<File>, StoreError> {
        self.rows_of::<Entity>(ids, "").await?.into_iter().map(file).collect()
    }

    async fn insert(&mut self, file: &File) -> Result<(), StoreError> {
        Entity::insert(row(file)).exec_without_returning(&self.db()).await.map_err(store_error)?;
        Ok(())
    }

    async fn delete(&mut self, id: FileId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM file WHERE id = $1 \
             AND NOT EXISTS (SELECT 1 FROM patient p WHERE p.icon = $1) \
             AND NOT EXISTS (SELECT 1 FROM doctor d WHERE $1 IN \
             (d.icon, d.certificate1, d.certificate2, d.licence1, d.licence2))";
        Ok(self.execute(sql, [text(&id).into()]).await? == 1)
    }
}
