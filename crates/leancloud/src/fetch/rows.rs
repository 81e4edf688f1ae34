//! The rows of one class, by scan; by ordered queries where the other side has none.

use domain::Timestamp;
use serde_json::{Value, json};

use super::pages::Pages;
use super::state::{Output, Stage, State};
use super::{FetchError, FetchOptions, FetchProgress, RemoteError};

/// Rows that changed while a round began may be told late: rounds overlap by this much.
const OVERLAP_MS: i64 = 10 * 60 * 1_000;

/// Fetches what is missing of a class; answers how many rows came.
pub(super) async fn fetch(
    pages: &Pages<'_>,
    class: &str,
    now: Timestamp,
    state: &mut State,
    options: &FetchOptions,
    progress: &dyn FetchProgress,
) -> Result<u64, FetchError> {
    let failed = |source| FetchError::Remote { what: format!("class {class}"), source };
    let mut round = state.stage(class);
    if round.began.is_none() {
        round.began = Some(Timestamp::from_millis(now.as_millis() - OVERLAP_MS).to_rfc3339());
    }
    let condition =
        round.since.as_ref().map(|since| json!({ "updatedAt": { "$gte": { "__type": "Date", "iso": since } } }));
    progress.stage(class, count(pages, class, condition.as_ref()).await);
    let header = format!("#filetype:JSON-streaming {}", json!({ "type": "Class", "class": class }));
    let mut output = None;
    let mut fetched = 0;
    loop {
        let Page { rows, next } = page(pages, class, condition.as_ref(), &round, options).await.map_err(failed)?;
        if output.is_none() {
            output = Some(Output::open(&options.folder, class, &round, &header)?);
        }
        let Some(output) = &mut output else { return Ok(fetched) };
        round.bytes = output.append(&rows)?;
        fetched += rows.len() as u64;
        progress.advance(rows.len() as u64);
        round.cursor = next;
        if round.cursor.is_none() {
            round.finish();
        }
        state.save(class, &round)?;
        if round.began.is_none() {
            return Ok(fetched);
        }
    }
}

struct Page {
    rows: Vec<Value>,
    next: Option<Value>,
}

/// The rows after the cursor, which is the other side's own text, or the last id where there is no scan.
async fn page(
    pages: &Pages<'_>,
    class: &str,
    condition: Option<&Value>,
    round: &Stage,
    options: &FetchOptions,
) -> Result<Page, RemoteError> {
    let after = |key: &str| round.cursor.as_ref().and_then(|cursor| cursor.get(key)?.as_str());
    if let Some(id) = after("id") {
        return ordered(pages, class, condition, Some(id), options).await;
    }
    let mut query = vec![("limit", options.page.to_string())];
    query.extend(condition.map(|condition| ("where", condition.to_string())));
    query.extend(after("scan").map(|cursor| ("cursor", cursor.to_owned())));
    match pages.get(&format!("/1.1/scan/classes/{class}"), &query).await {
        Ok(answer) => {
            let rows = results(&answer)?;
            let cursor = answer.get("cursor").and_then(Value::as_str).filter(|cursor| !cursor.is_empty());
            // A cursor without rows would go on for ever.
            let next = cursor.filter(|_| !rows.is_empty()).map(|cursor| json!({ "scan": cursor }));
            Ok(Page { rows, next })
        }
        Err(RemoteError::Refused { status: 400 | 404 | 405, .. }) if round.cursor.is_none() => {
            ordered(pages, class, condition, None, options).await
        }
        Err(error) => Err(error),
    }
}

async fn ordered(
    pages: &Pages<'_>,
    class: &str,
    condition: Option<&Value>,
    after: Option<&str>,
    options: &FetchOptions,
) -> Result<Page, RemoteError> {
    let mut filter = condition.cloned().unwrap_or_else(|| json!({}));
    if let (Some(id), Some(filter)) = (after, filter.as_object_mut()) {
        filter.insert("objectId".into(), json!({ "$gt": id }));
    }
    let query = [("limit", options.page.to_string()), ("order", "objectId".to_owned()), ("where", filter.to_string())];
    let rows = results(&pages.get(&format!("/1.1/classes/{class}"), &query).await?)?;
    let last = rows.last().and_then(|row| row.get("objectId")?.as_str()).map(str::to_owned);
    let next = last.map(|id| json!({ "id": id }));
    Ok(Page { rows, next })
}

pub(super) fn results(answer: &Value) -> Result<Vec<Value>, RemoteError> {
    answer.get("results").and_then(Value::as_array).cloned().ok_or(RemoteError::Malformed)
}

/// How many rows there are, for the progress alone.
async fn count(pages: &Pages<'_>, class: &str, condition: Option<&Value>) -> Option<u64> {
    let mut query = vec![("count", "1".to_owned()), ("limit", "0".to_owned())];
    query.extend(condition.map(|condition| ("where", condition.to_string())));
    pages.get(&format!("/1.1/classes/{class}"), &query).await.ok()?.get("count")?.as_u64()
}
