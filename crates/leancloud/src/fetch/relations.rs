//! The members of relations, object by object.

use serde_json::{Value, json};

use super::pages::Pages;
use super::rows::results;
use super::state::{Output, State};
use super::{FetchError, FetchOptions, FetchProgress};

/// Relations that every application has.
const OF_ROLES: [(&str, &str); 2] = [("users", "_User"), ("roles", "_Role")];

/// The relations of a class with the classes of their members.
pub(super) fn fields_of(schema: Option<&Value>, class: &str) -> Vec<(String, String)> {
    let fields =
        schema.map(|schema| ["schema", "fields"].into_iter().find_map(|key| schema.get(key)).unwrap_or(schema));
    let mut found: Vec<(String, String)> = Vec::new();
    for (name, described) in fields.and_then(Value::as_object).into_iter().flatten() {
        let text = |key: &str| described.get(key).and_then(Value::as_str);
        if let (Some("Relation"), Some(target)) = (text("type"), text("className")) {
            found.push((name.clone(), target.to_owned()));
        }
    }
    if class == "_Role" {
        for (name, target) in OF_ROLES {
            if !found.iter().any(|(known, _)| known == name) {
                found.push((name.to_owned(), target.to_owned()));
            }
        }
    }
    found
}

/// What the members of a relation are kept as.
pub(super) fn name_of(field: &str, class: &str) -> String {
    format!("_Join:{field}:{class}")
}

/// Fetches the members of one relation of all objects of a class; answers how many came.
pub(super) async fn fetch(
    pages: &Pages<'_>,
    class: &str,
    field: &str,
    target: &str,
    state: &mut State,
    options: &FetchOptions,
    progress: &dyn FetchProgress,
) -> Result<u64, FetchError> {
    let name = name_of(field, class);
    let failed = |source| FetchError::Remote { what: format!("relation {field} of {class}"), source };
    let mut owners: Vec<String> = Vec::new();
    for path in Output::files_of(&options.folder, class)? {
        owners.extend(Output::rows(&path)?.filter_map(|row| row.get("objectId")?.as_str().map(str::to_owned)));
    }
    owners.sort_unstable();
    owners.dedup();
    progress.stage(&name, Some(owners.len() as u64));
    let mut round = state.stage(&name);
    // The last owner that is done in this round.
    let done = round.cursor.as_ref().and_then(Value::as_str).map(str::to_owned);
    let header = format!("#filetype:JSON-streaming {}", json!({ "type": "Class", "class": name }));
    let mut output = Output::open(&options.folder, &name, &round, &header)?;
    let mut fetched = 0;
    for owner in owners.into_iter().filter(|owner| done.as_ref().is_none_or(|done| owner > done)) {
        let related = json!({ "$relatedTo": {
            "object": { "__type": "Pointer", "className": class, "objectId": owner }, "key": field,
        } });
        let mut skip = 0;
        loop {
            let query = [
                ("where", related.to_string()),
                ("keys", "objectId".to_owned()),
                ("limit", options.page.to_string()),
                ("skip", skip.to_string()),
            ];
            let path = if target == "_User" { "/1.1/users".to_owned() } else { format!("/1.1/classes/{target}") };
            let rows = results(&pages.get(&path, &query).await.map_err(failed)?).map_err(failed)?;
            let ids = rows.iter().filter_map(|row| row.get("objectId"));
            let members: Vec<Value> =
                ids.map(|id| json!({ "owningId": owner, "relatedId": id, "relatedClass": target })).collect();
            round.bytes = output.append(&members)?;
            fetched += members.len() as u64;
            skip += rows.len();
            if rows.len() < options.page as usize {
                break;
            }
        }
        round.cursor = Some(Value::from(owner));
        state.save(&name, &round)?;
        progress.advance(1);
    }
    round.finish();
    state.save(&name, &round)?;
    Ok(fetched)
}
