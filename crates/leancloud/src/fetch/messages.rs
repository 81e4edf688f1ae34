//! The history of messages of the whole application, newest first.

use serde_json::{Value, json};

use super::pages::Pages;
use super::state::{Output, State};
use super::{FetchError, FetchOptions, FetchProgress, RemoteError};
use crate::export::MESSAGE_CLASS;

/// Fetches messages from the newest back to the oldest, or to those of the last whole round; answers how many came.
pub(super) async fn fetch(
    pages: &Pages<'_>,
    state: &mut State,
    options: &FetchOptions,
    progress: &dyn FetchProgress,
) -> Result<u64, FetchError> {
    let failed = |source| FetchError::Remote { what: "the history of messages".into(), source };
    let mut round = state.stage(MESSAGE_CLASS);
    if round.began.is_none() {
        round.began = Some(String::new());
    }
    progress.stage(MESSAGE_CLASS, None);
    let mut output = Output::open(&options.folder, MESSAGE_CLASS, &round, "")?;
    let known_until = round.newest.as_ref().and_then(time_of);
    let mut fetched = 0;
    loop {
        let mut query = vec![("limit", options.page.to_string())];
        if let Some(cursor) = &round.cursor {
            query.extend(time_of(cursor).map(|at| ("timestamp", at.to_string())));
            query.extend(id_of(cursor).map(|id| ("msgid", id)));
        }
        let answer = pages.get("/1.2/rtm/messages", &query).await.map_err(failed)?;
        let Value::Array(mut page) = answer else { return Err(failed(RemoteError::Malformed)) };
        // Some answer the message that was named as well.
        let before = round.cursor.as_ref().and_then(id_of);
        page.retain(|message| before.is_none() || id_of(message) != before);
        let is_new = |message: &Value| known_until.is_none_or(|known| time_of(message).is_none_or(|at| at >= known));
        let new: Vec<&Value> = page.iter().filter(|message| is_new(message)).collect();
        round.bytes = output.append(new.iter().copied())?;
        fetched += new.len() as u64;
        progress.advance(new.len() as u64);
        if round.newest_of_round.is_none() {
            round.newest_of_round = page.first().map(place_of);
        }
        let reached_known = new.len() < page.len();
        let next = page.last().map(place_of).filter(|_| !reached_known);
        let is_last = next.is_none();
        round.cursor = next;
        if is_last {
            round.finish();
        }
        state.save(MESSAGE_CLASS, &round)?;
        if is_last {
            return Ok(fetched);
        }
    }
}

fn place_of(message: &Value) -> Value {
    json!({ "timestamp": message.get("timestamp"), "msg-id": message.get("msg-id") })
}

fn time_of(message: &Value) -> Option<i64> {
    message.get("timestamp")?.as_i64()
}

fn id_of(message: &Value) -> Option<String> {
    message.get("msg-id")?.as_str().map(str::to_owned)
}
