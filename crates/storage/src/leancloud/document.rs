//! Documents in their table, and queries over all classes.

use std::collections::BTreeSet;

use ::leancloud::acl::Acl;
use ::leancloud::ops::RelationChange;
use ::leancloud::query::{Clause, GeoPoint, Query, Test, Where};
use ::leancloud::rest::{ClassInfo, ClassKind, Document, DocumentRepository, LockedDocument, Viewer};
use ::leancloud::wire::{Pointer, Typed};
use async_trait::async_trait;
use domain::id::UserId;
use domain::{ObjectId, StoreError, Timestamp};
use sea_orm::{QueryResult, Value};
use serde_json::{Map, Value as Json};

use super::condition::{Classes, Compiler};
use super::source::readable;
use crate::backend::{Backend, store_error};
use crate::convert::{corrupt, parse, text};
use crate::store::SeaUnit;

#[async_trait]
impl DocumentRepository for SeaUnit {
    async fn class(&mut self, class: &str) -> Result<Option<ClassInfo>, StoreError> {
        let sql = "SELECT CAST(relation_keys AS text) AS relation_keys, CAST(array_keys AS text) AS array_keys, \
             CAST(indexed_keys AS text) AS indexed_keys FROM document_class WHERE name = $1";
        let rows = self.query(sql, [class.into()]).await?;
        let info = |row: &QueryResult| {
            Ok(ClassInfo {
                relation_keys: json_column(row, "relation_keys")?,
                array_keys: json_column(row, "array_keys")?,
                indexed_keys: json_column(row, "indexed_keys")?,
            })
        };
        rows.first().map(info).transpose()
    }

    async fn ensure_class(&mut self, class: &str, more: &ClassInfo, now: Timestamp) -> Result<(), StoreError> {
        let covers = |info: &ClassInfo| {
            info.relation_keys.is_superset(&more.relation_keys)
                && info.array_keys.is_superset(&more.array_keys)
                && info.indexed_keys.is_superset(&more.indexed_keys)
        };
        if DocumentRepository::class(self, class).await?.as_ref().is_some_and(covers) {
            return Ok(());
        }
        // Made if it is not there, then read under its lock: what others add at the same time stays.
        let backend = self.backend;
        let json = |n| json_parameter(backend, n);
        let sql = format!(
            "INSERT INTO document_class (name, relation_keys, array_keys, indexed_keys, created_at) \
             VALUES ($1, {none}, {none}, {none}, $3) ON CONFLICT (name) DO NOTHING",
            none = json(2)
        );
        self.execute(&sql, [class.into(), "[]".into(), now.as_millis().into()]).await?;
        let lock = format!("SELECT name FROM document_class WHERE name = $1{}", self.backend.for_update());
        self.query(&lock, [class.into()]).await?;
        let mut info = DocumentRepository::class(self, class).await?.unwrap_or_default();
        info.relation_keys.extend(more.relation_keys.iter().cloned());
        info.array_keys.extend(more.array_keys.iter().cloned());
        info.indexed_keys.extend(more.indexed_keys.iter().cloned());
        let sql = format!(
            "UPDATE document_class SET relation_keys = {}, array_keys = {}, indexed_keys = {} WHERE name = $1",
            json(2),
            json(3),
            json(4)
        );
        let values: [Value; 4] = [
            class.into(),
            json_text(&info.relation_keys).into(),
            json_text(&info.array_keys).into(),
            json_text(&info.indexed_keys).into(),
        ];
        self.execute(&sql, values).await?;
        Ok(())
    }

    async fn find(&mut self, viewer: &Viewer, class: &str, query: &Query) -> Result<Vec<Document>, StoreError> {
        if query.limit == 0 {
            return Ok(Vec::new());
        }
        let classes = self.classes_of(class, &query.filter).await?;
        let mut compiler = Compiler::new(self.backend, &self.seal, viewer, &classes);
        let source = compiler.source(class);
        let rest = compiler.query(&source, query);
        let sql = format!("SELECT {} FROM {rest}", columns(&source.alias));
        let rows = self.query(&sql, compiler.values).await?;
        let mut found = rows.iter().map(|row| document(class, row)).collect::<Result<Vec<_>, _>>()?;
        if ClassKind::of(class).is_person() {
            found.iter_mut().try_for_each(|person| self.seal.open_document(&mut person.fields))?;
        }
        Ok(found)
    }

    async fn count(&mut self, viewer: &Viewer, class: &str, filter: &Where) -> Result<u64, StoreError> {
        let classes = self.classes_of(class, filter).await?;
        let mut compiler = Compiler::new(self.backend, &self.seal, viewer, &classes);
        let source = compiler.source(class);
        let rows = compiler.rows(&source, filter);
        let rows = self.query(&format!("SELECT COUNT(*) AS n FROM {rows}"), compiler.values).await?;
        let count: Option<i64> = rows.first().map(|row| row.try_get("", "n")).transpose().map_err(store_error)?;
        Ok(count.and_then(|n| u64::try_from(n).ok()).unwrap_or(0))
    }

    async fn lock(
        &mut self,
        viewer: &Viewer,
        class: &str,
        id: ObjectId,
        condition: &Where,
    ) -> Result<Option<LockedDocument>, StoreError> {
        let classes = self.classes_of(class, condition).await?;
        // The row itself is found whoever asks; what the viewer may do with it is asked of the database.
        let mut compiler = Compiler::new(self.backend, &self.seal, viewer, &classes);
        let source = compiler.source(class);
        let alias = source.alias.clone();
        let holds = compiler.filter(&source, condition);
        let may_read = readable(&mut compiler, &alias, "readers");
        let may_write = readable(&mut compiler, &alias, "writers");
        let id = compiler.bind(text(&id));
        let lock = match self.backend {
            Backend::Sqlite => String::new(),
            Backend::Postgres => format!(" FOR UPDATE OF {alias}"),
        };
        let sql = format!(
            "SELECT {}, COALESCE({holds}, FALSE) AS holds, COALESCE({may_read}, FALSE) AS may_read, \
             COALESCE({may_write}, FALSE) AS may_write FROM document AS {alias} \
             WHERE {alias}.class = '{class}' AND {alias}.id = {id}{lock}",
            columns(&alias)
        );
        let rows = self.query(&sql, compiler.values).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let flag = |name: &str| row.try_get::<bool>("", name).map_err(store_error);
        Ok(Some(LockedDocument {
            document: document(class, row)?,
            may_read: flag("may_read")?,
            may_write: flag("may_write")?,
            holds: flag("holds")?,
        }))
    }

    async fn insert(&mut self, document: &Document) -> Result<(), StoreError> {
        let (sql, values) = insertion(self.backend, document);
        self.execute(&sql, values).await?;
        Ok(())
    }

    async fn update(&mut self, document: &Document) -> Result<(), StoreError> {
        let (values, placeholders) = columns_of(self.backend, document);
        let names =
            ["data", "acl", "readers", "writers", "unique_key", "geo_key", "geo_x", "geo_y", "geo_z", "updated_at"];
        let set: Vec<String> =
            names.iter().zip(&placeholders).map(|(name, place)| format!("{name} = {place}")).collect();
        // $3 keeps the numbering of an insert.
        let sql = format!("UPDATE document SET {} WHERE class = $1 AND id = $2 AND created_at = $3", set.join(", "));
        let key: [Value; 3] =
            [document.class.as_str().into(), text(&document.id).into(), document.created_at.as_millis().into()];
        let done = self.execute(&sql, key.into_iter().chain(values)).await?;
        if done == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn delete(&mut self, class: &str, id: ObjectId) -> Result<(), StoreError> {
        let key = || -> [Value; 2] { [class.into(), text(&id).into()] };
        self.execute("DELETE FROM document WHERE class = $1 AND id = $2", key()).await?;
        self.execute("DELETE FROM document_relation WHERE owning_class = $1 AND owning_id = $2", key()).await?;
        self.execute("DELETE FROM document_relation WHERE related_class = $1 AND related_id = $2", key()).await?;
        Ok(())
    }

    async fn change_relations(&mut self, owner: &Pointer, changes: &[RelationChange]) -> Result<(), StoreError> {
        for RelationChange { key, target, is_added } in changes {
            let values: [Value; 5] = [
                owner.class.as_str().into(),
                text(&owner.id).into(),
                key.as_str().into(),
                target.class.as_str().into(),
                text(&target.id).into(),
            ];
            let sql = if *is_added {
                "INSERT INTO document_relation (owning_class, owning_id, name, related_class, related_id) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"
            } else {
                "DELETE FROM document_relation WHERE owning_class = $1 AND owning_id = $2 AND name = $3 \
                 AND related_class = $4 AND related_id = $5"
            };
            self.execute(sql, values).await?;
        }
        Ok(())
    }

    async fn relation_target(&mut self, class: &str, key: &str) -> Result<Option<String>, StoreError> {
        let sql = "SELECT related_class FROM document_relation WHERE owning_class = $1 AND name = $2 LIMIT 1";
        let rows = self.query(sql, [class.into(), key.into()]).await?;
        rows.first().map(|row| row.try_get("", "related_class").map_err(store_error)).transpose()
    }

    async fn roles_of(&mut self, user: UserId) -> Result<Vec<String>, StoreError> {
        let sql = "WITH RECURSIVE member (id) AS (\
             SELECT owning_id FROM document_relation WHERE related_class = '_User' AND related_id = $1 \
             AND owning_class = '_Role' AND name = 'users' \
             UNION \
             SELECT r.owning_id FROM document_relation r JOIN member m ON r.related_class = '_Role' AND r.related_id = m.id \
             WHERE r.owning_class = '_Role' AND r.name = 'roles') \
             SELECT d.unique_key AS name FROM member m JOIN document d ON d.class = '_Role' AND d.id = m.id \
             WHERE d.unique_key IS NOT NULL ORDER BY d.unique_key";
        let rows = self.query(sql, [text(&user).into()]).await?;
        rows.iter().map(|row| row.try_get("", "name").map_err(store_error)).collect()
    }
}

impl SeaUnit {
    /// What is known of every class of documents that a query is about.
    async fn classes_of(&mut self, class: &str, filter: &Where) -> Result<Classes, StoreError> {
        let mut names = BTreeSet::from([class.to_owned()]);
        gather_classes(filter, &mut names);
        let mut classes = Classes::new();
        for name in names {
            if ClassKind::of(&name).is_document()
                && let Some(info) = DocumentRepository::class(self, &name).await?
            {
                classes.insert(name, info);
            }
        }
        Ok(classes)
    }
}

fn gather_classes(filter: &Where, classes: &mut BTreeSet<String>) {
    for clause in &filter.0 {
        match clause {
            Clause::Field { test, .. } => gather_classes_of_test(test, classes),
            Clause::Any(branches) | Clause::All(branches) | Clause::None(branches) => {
                for branch in branches {
                    gather_classes(branch, classes);
                }
            }
            Clause::RelatedTo { .. } => {}
        }
    }
}

fn gather_classes_of_test(test: &Test, classes: &mut BTreeSet<String>) {
    match test {
        Test::InQuery(query) | Test::Select { query, .. } => {
            classes.insert(query.class.clone());
            gather_classes(&query.filter, classes);
        }
        Test::Not(inner) => gather_classes_of_test(inner, classes),
        Test::Both(tests) => tests.iter().for_each(|test| gather_classes_of_test(test, classes)),
        _ => {}
    }
}

fn columns(alias: &str) -> String {
    format!(
        "{alias}.id AS id, CAST({alias}.data AS text) AS data, CAST({alias}.acl AS text) AS acl, \
         {alias}.created_at AS created_at, {alias}.updated_at AS updated_at"
    )
}

fn document(class: &str, row: &QueryResult) -> Result<Document, StoreError> {
    let column = |name: &str| row.try_get::<String>("", name).map_err(store_error);
    let millis = |name: &str| row.try_get::<i64>("", name).map(Timestamp::from_millis).map_err(store_error);
    let acl: Option<String> = row.try_get("", "acl").map_err(store_error)?;
    let acl = acl.map(|acl| read_json::<Map<String, Json>>("document.acl", &acl).map(Acl::from_stored)).transpose()?;
    Ok(Document {
        class: class.to_owned(),
        id: parse("document.id", &column("id")?)?,
        fields: read_json("document.data", &column("data")?)?,
        acl,
        created_at: millis("created_at")?,
        updated_at: millis("updated_at")?,
    })
}

/// The statement that inserts a document, and its values.
pub(crate) fn insertion(backend: Backend, document: &Document) -> (String, Vec<Value>) {
    let (columns, placeholders) = columns_of(backend, document);
    let sql = format!(
        "INSERT INTO document (class, id, created_at, data, acl, readers, writers, unique_key, geo_key, geo_x, \
         geo_y, geo_z, updated_at) VALUES ($1, $2, $3, {})",
        placeholders.join(", ")
    );
    let mut values: Vec<Value> =
        vec![document.class.as_str().into(), text(&document.id).into(), document.created_at.as_millis().into()];
    values.extend(columns);
    (sql, values)
}

/// The values of every column but the key, and how they are written, numbered from `$4`.
fn columns_of(backend: Backend, document: &Document) -> (Vec<Value>, Vec<String>) {
    let acl = document.acl.as_ref();
    let list = |holders: Option<Vec<&str>>| holders.map(|keys| json_text(&keys));
    let json: [Option<String>; 4] = [
        Some(json_text(&document.fields)),
        acl.map(|acl| json_text(&acl.to_value())),
        list(acl.and_then(Acl::readers)),
        list(acl.and_then(Acl::writers)),
    ];
    let is_role = ClassKind::of(&document.class) == ClassKind::Role;
    let name = document.fields.get("name").and_then(Json::as_str).filter(|_| is_role).map(str::to_owned);
    let point = document.fields.iter().find_map(|(key, value)| match Typed::parse(value) {
        Some(Typed::GeoPoint(point)) => Some((key.clone(), point)),
        _ => None,
    });
    let on_sphere =
        point.as_ref().map(|(_, point)| GeoPoint { latitude: point.latitude, longitude: point.longitude }.on_sphere());
    let part = |i: usize| on_sphere.and_then(|parts| parts.get(i).copied());
    let mut values: Vec<Value> = json.into_iter().map(Value::from).collect();
    values.push(name.into());
    values.push(point.as_ref().map(|(key, _)| key.clone()).into());
    values.extend([part(0).into(), part(1).into(), part(2).into(), document.updated_at.as_millis().into()]);
    let place = |i: usize| if i < 4 { json_parameter(backend, i + 4) } else { format!("${}", i + 4) };
    let places = (0..values.len()).map(place).collect();
    (values, places)
}

pub(super) fn json_parameter(backend: Backend, number: usize) -> String {
    match backend {
        Backend::Postgres => format!("CAST(${number} AS jsonb)"),
        Backend::Sqlite => format!("${number}"),
    }
}

pub(super) fn json_text(value: &impl serde::Serialize) -> String {
    // Plain data, which always serialises.
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}

fn read_json<T: serde::de::DeserializeOwned>(column: &'static str, json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).or_else(|_| corrupt(column))
}

fn json_column<T: serde::de::DeserializeOwned>(row: &QueryResult, name: &'static str) -> Result<T, StoreError> {
    let json: String = row.try_get("", name).map_err(store_error)?;
    read_json(name, &json)
}
