//! Objects of classes the product does not know.

use ::leancloud::import::store::{DocumentRelation, ImportClass, ImportDocuments, RowState};
use ::leancloud::rest::{ClassInfo, ClassKind, Document, DocumentRepository};
use async_trait::async_trait;
use domain::{ObjectId, StoreError, Timestamp};
use sea_orm::Value;
use serde_json::json;

use super::ledger::table_of;
use crate::backend::store_error;
use crate::convert::{instant, list, parse, text};
use crate::leancloud::insertion;
use crate::store::SeaUnit;

#[async_trait]
impl ImportDocuments for SeaUnit {
    async fn states(&mut self, class: &str, ids: &[ObjectId]) -> Result<Vec<RowState>, StoreError> {
        let (is_wanted, lock) = (self.backend.is_among("here.id", "$2"), self.backend.for_update());
        let sql = format!(
            "SELECT here.id AS id, here.updated_at AS updated_at, (SELECT taken.updated_at FROM imported_row taken \
             WHERE taken.class = $1 AND taken.id = here.id) AS exported_at FROM document here \
             WHERE here.class = $1 AND {is_wanted} ORDER BY here.id{lock}"
        );
        let rows = self.query(&sql, [class.into(), list(ids)]).await?;
        let state = |row: &sea_orm::QueryResult| {
            let id: String = row.try_get("", "id").map_err(store_error)?;
            Ok(RowState {
                id: parse("document.id", &id)?,
                updated_at: instant(row.try_get("", "updated_at").map_err(store_error)?),
                exported_at: instant(row.try_get("", "exported_at").map_err(store_error)?),
            })
        };
        rows.iter().map(state).collect()
    }

    async fn save(&mut self, class: &str, info: &ClassInfo, documents: &[Document]) -> Result<(), StoreError> {
        let first = documents.iter().map(|document| document.created_at).min().unwrap_or(Timestamp::EPOCH);
        self.ensure_class(class, info, first).await?;
        for document in documents {
            let (sql, values) = insertion(self.backend, document);
            let replaced = ["data", "acl", "readers", "writers", "unique_key", "geo_key", "geo_x", "geo_y", "geo_z"];
            let set: Vec<String> = replaced
                .iter()
                .chain(["created_at", "updated_at"].iter())
                .map(|column| format!("{column} = excluded.{column}"))
                .collect();
            let sql = format!("{sql} ON CONFLICT (class, id) DO UPDATE SET {}", set.join(", "));
            self.execute(&sql, values).await?;
        }
        Ok(())
    }

    async fn existing(&mut self, class: &str, ids: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError> {
        let product = ImportClass::ALL.into_iter().find(|known| known.name() == class);
        let is_wanted = self.backend.is_among("id", "$1");
        let (sql, values): (String, Vec<Value>) = match product {
            Some(known) => (format!("SELECT id FROM {} WHERE {is_wanted}", table_of(known)), vec![list(ids)]),
            None => {
                (format!("SELECT id FROM document WHERE {is_wanted} AND class = $2"), vec![list(ids), class.into()])
            }
        };
        let rows = self.query(&sql, values).await?;
        rows.iter().map(|row| parse("id", &row.try_get::<String>("", "id").map_err(store_error)?)).collect()
    }

    async fn add_relations(&mut self, relations: &[DocumentRelation]) -> Result<u64, StoreError> {
        if relations.is_empty() {
            return Ok(0);
        }
        let rows: Vec<[String; 5]> = relations
            .iter()
            .map(|relation| {
                [
                    relation.owning_class.clone(),
                    text(&relation.owning_id),
                    relation.name.clone(),
                    relation.related_class.clone(),
                    text(&relation.related_id),
                ]
            })
            .collect();
        let sql = format!(
            "INSERT INTO document_relation (owning_class, owning_id, name, related_class, related_id) \
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM {} AS given WHERE true \
             ON CONFLICT DO NOTHING",
            self.backend.each(1)
        );
        let inserted = self.execute(&sql, [json!(rows).to_string().into()]).await?;
        // An object is known to have a relation by what its class knows of it.
        let mut told = std::collections::BTreeSet::new();
        for relation in relations {
            let (class, name) = (&relation.owning_class, &relation.name);
            if ClassKind::of(class).is_document() && told.insert((class.clone(), name.clone())) {
                let info = ClassInfo { relation_keys: [name.clone()].into(), ..ClassInfo::default() };
                self.ensure_class(class, &info, Timestamp::EPOCH).await?;
            }
        }
        Ok(inserted)
    }
}
