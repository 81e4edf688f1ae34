//! Objects as clients get them: targets of pointers included, files expanded, only the keys that were asked for.

use std::collections::{BTreeMap, BTreeSet};

use domain::file::{File, FilePlace};
use domain::id::FileId;
use domain::{ObjectId, StoreError};
use serde_json::{Map, Value, json};

use super::store::{Document, RestUnit, Viewer};
use super::{ClassKind, RestError};
use crate::query::{Clause, MAX_LIMIT, Query, Test, Where};
use crate::value::{Path, as_pointer, file_id};
use crate::wire::FileValue;

/// Most paths of one `include`.
const MAX_INCLUDES: usize = 20;
/// Most pointers that one path of `include` follows.
const MAX_INCLUDED: usize = 2_000;

/// Makes the addresses under which files that are kept here can be fetched.
pub trait FileUrls: Send + Sync {
    fn url(&self, file: &File) -> String;
}

/// What a client wants of each object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shape {
    /// Paths whose pointers are followed; shorter ones first.
    include: Vec<Path>,
    keys: Keys,
    wants_acl: bool,
}

/// The keys that were asked for, by name: those inside of them follow.
#[derive(Debug, Clone, Default, PartialEq)]
struct Keys {
    /// Empty: all.
    only: BTreeMap<String, Keys>,
    without: Vec<Path>,
}

impl Shape {
    /// Reads `include` and `keys`.
    ///
    /// # Errors
    /// [`RestError::BadKey`], [`RestError::BadQuery`].
    pub fn parse(include: Option<&str>, keys: Option<&str>, wants_acl: bool) -> Result<Self, RestError> {
        let names = |text: Option<&str>| -> Vec<String> {
            let names = text.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
            names.map(str::to_owned).collect()
        };
        let mut paths = BTreeSet::new();
        for name in names(include) {
            // `a.b` includes `a`.
            let path = Path::parse(&name)?;
            for end in 1..=path.parts().len() {
                let part = path.parts().get(..end).unwrap_or_default().join(".");
                paths.insert((end, part));
            }
        }
        if paths.len() > MAX_INCLUDES {
            return Err(RestError::bad_query("include has too many keys"));
        }
        let include = paths.iter().map(|(_, path)| Path::parse(path)).collect::<Result<_, _>>()?;
        let mut wanted = Keys::default();
        for name in names(keys) {
            match name.strip_prefix('-') {
                Some(name) => wanted.without.push(Path::parse(name)?),
                None => wanted.add(Path::parse(&name)?.parts()),
            }
        }
        Ok(Self { include, keys: wanted, wants_acl })
    }

    /// Every field, and the list.
    pub fn whole() -> Self {
        Self { wants_acl: true, ..Self::default() }
    }
}

impl Keys {
    fn add(&mut self, parts: &[String]) {
        if let Some((first, rest)) = parts.split_first() {
            self.only.entry(first.clone()).or_default().add(rest);
        }
    }

    fn filter(&self, object: &mut Map<String, Value>) {
        const ALWAYS: [&str; 7] = ["objectId", "createdAt", "updatedAt", "__type", "className", "ACL", "sessionToken"];
        if !self.only.is_empty() {
            object.retain(|key, _| ALWAYS.contains(&key.as_str()) || self.only.contains_key(key));
            for (key, inner) in &self.only {
                if let Some(value) = object.get_mut(key) {
                    for_each_object(value, &mut |object| inner.filter(object));
                }
            }
        }
        for path in &self.without {
            let Some((last, parents)) = path.parts().split_last() else { continue };
            let place = parents.iter().try_fold(&mut *object, |place, key| place.get_mut(key)?.as_object_mut());
            if let Some(place) = place.filter(|_| !ALWAYS.contains(&last.as_str())) {
                place.remove(last);
            }
        }
    }
}

fn for_each_object(value: &mut Value, act: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => act(object),
        Value::Array(items) => items.iter_mut().for_each(|item| for_each_object(item, act)),
        _ => {}
    }
}

/// Renders documents for a viewer.
///
/// # Errors
/// [`StoreError`] when targets or files cannot be read.
pub(super) async fn render(
    unit: &mut dyn RestUnit,
    urls: &dyn FileUrls,
    viewer: &Viewer,
    documents: Vec<Document>,
    shape: &Shape,
) -> Result<Vec<Value>, StoreError> {
    let files = describe_files(unit, urls, &documents).await?;
    let mut rows: Vec<Value> = Vec::with_capacity(documents.len());
    for document in documents {
        let file = files.get(&FileId(document.id)).cloned();
        let list = shape.wants_acl.then(|| shown_list(&document, viewer));
        let mut row = object(document);
        row.extend(list.map(|list| ("ACL".to_owned(), list)));
        row.extend(file.unwrap_or_default());
        rows.push(Value::Object(row));
    }
    for path in &shape.include {
        follow(unit, viewer, &mut rows, path).await?;
    }
    for row in &mut rows {
        if let Value::Object(object) = row {
            shape.keys.filter(object);
        }
    }
    expand_files(unit, urls, &mut rows).await?;
    Ok(rows)
}

/// What rows of `_File` say beside their columns: the address above all.
async fn describe_files(
    unit: &mut dyn RestUnit,
    urls: &dyn FileUrls,
    documents: &[Document],
) -> Result<BTreeMap<FileId, Map<String, Value>>, StoreError> {
    let is_file = |document: &&Document| ClassKind::of(&document.class) == ClassKind::File;
    let ids: Vec<FileId> = documents.iter().filter(is_file).map(|document| FileId(document.id)).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let files = unit.files().find_all(&ids).await?;
    Ok(files.into_iter().map(|file| (file.id, super::files::row(&file, urls))).collect())
}

/// The list of a row as its viewer sees it. Rows of the product have none of their own: of whose they are it says what concerns
/// the viewer, and of a certified doctor that everybody may read.
fn shown_list(document: &Document, viewer: &Viewer) -> Value {
    let kind = ClassKind::of(&document.class);
    let mut list = Map::new();
    let mut grant = |key: String, rights: Value| _ = list.insert(key, rights);
    match (&document.acl, kind) {
        (Some(acl), _) => return acl.to_value(),
        (None, ClassKind::Document | ClassKind::Role) => grant("*".into(), json!({ "read": true, "write": true })),
        (None, ClassKind::Notice) => grant("*".into(), json!({ "read": true })),
        (None, _) => {
            if document.fields.get("authenticated").and_then(Value::as_str) == Some("1") {
                grant("*".into(), json!({ "read": true }));
            }
            let owner = match kind {
                ClassKind::User => Some(document.id),
                _ => document.fields.get("user").and_then(as_pointer).map(|user| user.id),
            };
            let is_written = !matches!(kind, ClassKind::Patient | ClassKind::Doctor | ClassKind::Consultation);
            match (owner, viewer.user()) {
                (Some(owner), _) => grant(owner.to_string(), json!({ "read": true, "write": true })),
                (None, Some(user)) if is_written => grant(user.to_string(), json!({ "read": true, "write": true })),
                (None, Some(user)) => grant(user.to_string(), json!({ "read": true })),
                (None, None) => {}
            }
        }
    }
    Value::Object(list)
}

fn object(document: Document) -> Map<String, Value> {
    let Document { class, id, mut fields, created_at, updated_at, .. } = document;
    if ClassKind::of(&class) == ClassKind::User {
        super::users::hide_session_keys(&mut fields);
    }
    fields.insert("objectId".into(), json!(id.to_string()));
    fields.insert("createdAt".into(), json!(created_at.to_rfc3339()));
    fields.insert("updatedAt".into(), json!(updated_at.to_rfc3339()));
    fields
}

/// Replaces the pointers at a path by what they point to, as far as the viewer may see it.
async fn follow(unit: &mut dyn RestUnit, viewer: &Viewer, rows: &mut [Value], path: &Path) -> Result<(), StoreError> {
    let mut wanted: BTreeMap<String, BTreeSet<ObjectId>> = BTreeMap::new();
    let mut found = 0;
    for row in rows.iter_mut() {
        at_path(row, path.parts(), &mut |value| {
            if let Some(pointer) = as_pointer(value).filter(|_| found < MAX_INCLUDED && is_bare(value)) {
                found += usize::from(wanted.entry(pointer.class).or_default().insert(pointer.id));
            }
        });
    }
    let mut targets = BTreeMap::new();
    for (class, ids) in wanted {
        if ClassKind::of(&class) == ClassKind::Closed {
            continue;
        }
        let ids: Vec<Value> = ids.iter().map(|id| json!(id.to_string())).collect();
        for ids in ids.chunks(MAX_LIMIT as usize) {
            let test = Test::In(ids.to_vec());
            let Ok(path) = Path::parse("objectId") else { continue };
            let filter = Where(vec![Clause::Field { path, test }]);
            let query = Query { filter, limit: MAX_LIMIT, ..Query::default() };
            for document in unit.documents().find(viewer, &class, &query).await? {
                targets.insert((class.clone(), document.id), object(document));
            }
        }
    }
    for row in rows {
        at_path(row, path.parts(), &mut |value| {
            let Some(pointer) = as_pointer(value).filter(|_| is_bare(value)) else { return };
            if let Some(target) = targets.get(&(pointer.class.clone(), pointer.id)) {
                let mut whole = target.clone();
                whole.insert("__type".into(), json!("Pointer"));
                whole.insert("className".into(), json!(pointer.class));
                *value = Value::Object(whole);
            }
        });
    }
    Ok(())
}

fn is_bare(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.len() == 3)
}

/// Every value at a path; arrays on the way and at its end are walked through.
fn at_path(value: &mut Value, path: &[String], act: &mut impl FnMut(&mut Value)) {
    match (value, path.split_first()) {
        (Value::Array(items), _) => items.iter_mut().for_each(|item| at_path(item, path, act)),
        (value, None) => act(value),
        (Value::Object(object), Some((key, rest))) => {
            if let Some(inner) = object.get_mut(key) {
                at_path(inner, rest, act);
            }
        }
        _ => {}
    }
}

async fn expand_files(unit: &mut dyn RestUnit, urls: &dyn FileUrls, rows: &mut [Value]) -> Result<(), StoreError> {
    let mut ids = BTreeSet::new();
    for row in rows.iter_mut() {
        each_file(row, &mut |_, id| _ = ids.insert(FileId(id)));
    }
    if ids.is_empty() {
        return Ok(());
    }
    let ids: Vec<FileId> = ids.into_iter().collect();
    let files = unit.files().find_all(&ids).await?;
    let files: BTreeMap<FileId, Value> = files.into_iter().map(|file| (file.id, file_value(&file, urls))).collect();
    for row in rows {
        each_file(row, &mut |value, id| {
            // A file that is gone is still a file: clients cannot read one without id and address.
            let gone = || FileValue { id: Some(id), ..FileValue::default() }.to_value();
            *value = files.get(&FileId(id)).cloned().unwrap_or_else(gone);
        });
    }
    Ok(())
}

fn each_file(value: &mut Value, act: &mut impl FnMut(&mut Value, ObjectId)) {
    if let Some(id) = file_id(value) {
        return act(value, id);
    }
    match value {
        Value::Object(object) => object.values_mut().for_each(|inner| each_file(inner, act)),
        Value::Array(items) => items.iter_mut().for_each(|inner| each_file(inner, act)),
        _ => {}
    }
}

/// The ids of all files a value refers to.
pub(super) fn files_in(value: &Value) -> BTreeSet<ObjectId> {
    let mut ids = BTreeSet::new();
    each_file(&mut value.clone(), &mut |_, id| _ = ids.insert(id));
    ids
}

/// A file with everything a client needs to show it.
pub(super) fn file_value(file: &File, urls: &dyn FileUrls) -> Value {
    FileValue {
        id: Some(file.id.0),
        name: Some(file.name.clone()),
        url: Some(address(file, urls)),
        mime_type: Some(file.mime_type.clone()),
        meta_data: Some(meta_data(file)),
        other: Map::new(),
    }
    .to_value()
}

/// Where a file can be fetched.
pub fn address(file: &File, urls: &dyn FileUrls) -> String {
    match &file.place {
        FilePlace::External { url } => url.clone(),
        FilePlace::Stored { .. } => urls.url(file),
    }
}

/// What the client said of the file, else its size.
pub(super) fn meta_data(file: &File) -> Value {
    let kept = file.extra.get("metaData").filter(|data| data.is_object()).cloned();
    kept.unwrap_or_else(|| file.size.map_or_else(|| json!({}), |size| json!({ "size": size })))
}

#[cfg(test)]
mod tests {
    use domain::Timestamp;
    use domain::id::UserId;

    use super::*;
    use crate::rest::ClientViewer;

    fn shaped(keys: &str, row: Value) -> Value {
        let Value::Object(mut object) = row else { panic!("not an object") };
        Shape::parse(None, Some(keys), false).unwrap().keys.filter(&mut object);
        Value::Object(object)
    }

    #[test]
    fn only_the_keys_asked_for_are_kept_with_id_and_times() {
        let row = json!({"objectId": "x", "createdAt": "c", "updatedAt": "u", "a": 1, "b": {"c": 1, "d": 2}, "e": 3});
        assert_eq!(
            shaped("a,b.c", row.clone()),
            json!({"objectId": "x", "createdAt": "c", "updatedAt": "u", "a": 1, "b": {"c": 1}})
        );
        assert_eq!(
            shaped("-a,-b.d,-objectId", row),
            json!({"objectId": "x", "createdAt": "c", "updatedAt": "u", "b": {"c": 1}, "e": 3})
        );
    }

    #[test]
    fn including_a_path_includes_what_leads_there_first() {
        let shape = Shape::parse(Some("a.b.c,d"), None, false).unwrap();
        let shown: Vec<String> = shape.include.iter().map(Path::to_string).collect();
        assert_eq!(shown, ["a", "d", "a.b", "a.b.c"]);
        let many: Vec<String> = (0..=MAX_INCLUDES).map(|i| format!("k{i}")).collect();
        assert!(Shape::parse(Some(&many.join(",")), None, false).is_err());
    }

    #[test]
    fn lists_of_product_rows_say_whose_they_are() {
        let user = |n| UserId(ObjectId::from_parts(1, [0; 5], n));
        let viewer = |n| Viewer::Client(ClientViewer { user: Some(user(n)), ..ClientViewer::default() });
        let row = |class: &str, fields: Value| Document {
            class: class.to_owned(),
            id: user(9).0,
            fields: fields.as_object().cloned().unwrap_or_default(),
            acl: None,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
        };
        let own = json!({ "user": { "__type": "Pointer", "className": "_User", "objectId": user(1).to_string() } });
        let all = json!({ "read": true, "write": true });
        let read = json!({ "read": true });
        let shown = |class: &str, fields: Value, viewer: Viewer| shown_list(&row(class, fields), &viewer);
        assert_eq!(shown("Patients", own.clone(), viewer(1)), json!({ user(1).to_string(): all }));
        assert_eq!(shown("Patients", own, Viewer::Master), json!({ user(1).to_string(): all }));
        assert_eq!(shown("Patients", json!({}), viewer(2)), json!({ user(2).to_string(): read }));
        assert_eq!(shown("Consultation", json!({}), viewer(2)), json!({ user(2).to_string(): read }));
        assert_eq!(
            shown("Doctor", json!({ "authenticated": "1" }), Viewer::Client(ClientViewer::default())),
            json!({ "*": read })
        );
        assert_eq!(shown("_User", json!({}), viewer(9)), json!({ user(9).to_string(): all }));
        assert_eq!(shown("Diary", json!({}), viewer(2)), json!({ "*": all }));
        assert_eq!(shown("CustomerService", json!({}), viewer(2)), json!({ "*": read }));
    }

    #[test]
    fn a_row_of_an_account_shows_no_key_of_a_session() {
        let data = json!({ "authData": { "lc_weapp": { "openid": "o", "session_key": "k" } } });
        let shown = object(Document {
            class: "_User".into(),
            id: ObjectId::from_parts(1, [0; 5], 1),
            fields: data.as_object().cloned().unwrap_or_default(),
            acl: None,
            created_at: Timestamp::EPOCH,
            updated_at: Timestamp::EPOCH,
        });
        assert_eq!(shown["authData"], json!({ "lc_weapp": { "openid": "o" } }));
    }

    #[test]
    fn files_are_found_wherever_they_stand() {
        let file = |n: u8| json!({"__type": "File", "id": format!("{n:024x}")});
        let value = json!({"a": file(1), "b": [file(2), {"c": file(3)}], "d": {"__type": "File", "url": "u"}});
        assert_eq!(files_in(&value).len(), 3);
    }
}
