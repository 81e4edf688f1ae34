//! Rows of classes the product does not know, as documents.

use domain::ObjectId;
use serde_json::{Map, Value};

use super::fields::Fields;
use super::{Mapped, Unmappable};
use crate::acl::Acl;
use crate::finding::{Note, Problem};
use crate::rest::Document;
use crate::value::canonical;

/// What stands in rows that were fetched, and is no field.
const NO_FIELDS: [&str; 2] = ["__type", "className"];

/// Maps a row of any class. A value without a stored form is kept as the text of its JSON and told.
///
/// # Errors
/// [`Unmappable`] when it has no usable id.
pub fn map_document(class: &str, row: &Map<String, Value>) -> Result<Mapped<Document>, Unmappable> {
    let mut fields = Fields::new("", row)?;
    let acl = fields.take("ACL").map(|list| {
        Acl::parse(&list).unwrap_or_else(|_| {
            fields.note(Note::field("ACL", Problem::BadAcl));
            Acl::from_stored(Map::new())
        })
    });
    let (id, created_at, updated_at) = (fields.id, fields.created_at, fields.updated_at);
    let mut odd = Vec::new();
    let Mapped { entity: rest, files, mut notes } = fields.finish(|rest| rest);
    let mut stored = Map::new();
    for (key, value) in rest {
        if NO_FIELDS.contains(&key.as_str()) || value.is_null() {
            continue;
        }
        let text = value.to_string();
        let value = canonical(value).unwrap_or_else(|_| {
            odd.push(Note::row(Problem::WrongType).about(&key));
            Value::String(text)
        });
        stored.insert(key, value);
    }
    notes.extend(odd);
    let document = Document { class: class.to_owned(), id, fields: stored, acl, created_at, updated_at };
    Ok(Mapped { entity: document, files, notes })
}

/// A member of a relation, from the separate rows in which an export lists them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct JoinRow {
    pub owning_id: ObjectId,
    pub related_id: ObjectId,
    /// The class of the member, where the row tells it.
    pub related_class: Option<String>,
}

/// Maps a row of `_Join:field:Class`.
///
/// # Errors
/// A note naming the side that is missing.
pub fn map_join(row: &Map<String, Value>) -> Result<JoinRow, Note> {
    let id = |key: &'static str| {
        let id = row.get(key).and_then(Value::as_str).and_then(|id| id.parse().ok());
        id.ok_or_else(|| Note::field(key, Problem::MissingReference))
    };
    let (owning_id, related_id) = (id("owningId")?, id("relatedId")?);
    let related_class =
        ["relatedClass", "relatedClassName", "className"].into_iter().find_map(|key| row.get(key)?.as_str());
    Ok(JoinRow { owning_id, related_id, related_class: related_class.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const USER: &str = "5ea26d077283e0ad84173581";

    fn mapped(extra: &Value) -> Mapped<Document> {
        let mut row = json!({
            "objectId": "5e10d76817149d439536b321", "createdAt": "2020-01-01T00:00:00.000Z",
            "updatedAt": "2020-02-01T00:00:00.000Z",
        });
        row.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        map_document("Diary", row.as_object().unwrap()).unwrap()
    }

    #[test]
    fn fields_take_their_stored_form() {
        let Mapped { entity, notes, .. } = mapped(&json!({
            "hours": 7.0, "empty": null, "__type": "Object",
            "ACL": { USER: { "read": true, "write": true } },
            "owner": { "__type": "Pointer", "className": "_User", "objectId": USER },
        }));
        assert_eq!(notes, []);
        assert_eq!(entity.acl, Some(Acl::private_to(USER.parse().unwrap())));
        let owner = json!({ "__type": "Pointer", "className": "_User", "objectId": USER });
        assert_eq!(Value::Object(entity.fields), json!({ "hours": 7, "owner": owner }));
        assert_eq!(entity.updated_at.to_rfc3339(), "2020-02-01T00:00:00.000Z");
    }

    #[test]
    fn odd_values_are_kept_as_text_and_odd_lists_let_nobody_in() {
        let Mapped { entity, notes, .. } = mapped(&json!({
            "when": { "__type": "Date", "iso": "soon" }, "ACL": "everybody",
        }));
        assert_eq!(entity.fields["when"], json!("{\"__type\":\"Date\",\"iso\":\"soon\"}"));
        assert_eq!(entity.acl.as_ref().and_then(Acl::readers), Some(vec![]));
        let told: Vec<Problem> = notes.iter().map(|note| note.problem).collect();
        assert_eq!(told, [Problem::BadAcl, Problem::WrongType]);
    }

    #[test]
    fn members_of_relations_need_both_sides() {
        let row = json!({ "owningId": USER, "relatedId": "5e10d76817149d439536b321" });
        assert_eq!(map_join(row.as_object().unwrap()).unwrap().related_class, None);
        let row = json!({ "owningId": USER });
        assert_eq!(map_join(row.as_object().unwrap()).unwrap_err().field, Some("relatedId"));
    }
}
