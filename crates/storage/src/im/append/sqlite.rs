//! `SQLite`: one writer, so what is read stays true while a unit runs, and numbers are given here. Every statement is a
//! journey to the thread of the connection, so there are two: one that looks, and one that writes everything.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use ::im::{Appended, NewMessage};
use domain::StoreError;
use sea_orm::sea_query::Value;
use serde::Serialize;

use super::{FATE, Fate, KNOWN, fate, get};
use crate::convert::text;
use crate::store::SeaUnit;

/// A message before it is numbered: conversation, sender, name, time, whether the owner has agreed.
#[derive(Serialize)]
struct Asked<'a>(&'a str, Option<&'a str>, Option<&'a str>, i64, bool);

/// A row of `message`.
#[derive(Serialize)]
struct Stored<'a> {
    position: i64,
    id: String,
    conversation_id: &'a str,
    seq: i64,
    sender: Option<&'a str>,
    acted_by: Option<String>,
    client_message_id: Option<&'a str>,
    kind: &'a str,
    content: &'a str,
    corrects: Option<String>,
    created_at: i64,
}

/// Looks at messages, in their order.
static LOOK: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH i AS MATERIALIZED (SELECT key AS ord, value ->> 0 AS conversation_id, value ->> 1 AS sender, \
         value ->> 2 AS client_message_id, value ->> 3 AS created_at, value ->> 4 AS is_agreed FROM json_each($1)) \
         SELECT (SELECT position FROM log_head WHERE id = 1) AS head, c.last_seq, {FATE} FROM i \
         LEFT JOIN conversation c ON c.id = i.conversation_id \
         LEFT JOIN conversation_member m ON m.conversation_id = i.conversation_id AND m.client_id = i.sender \
         LEFT JOIN message k ON k.rowid = (SELECT rowid {KNOWN}) ORDER BY i.ord"
    )
});

/// Writes the new head of the log, the messages, and what they change about conversations and senders.
const WRITE: &str = "UPDATE log_head SET position = $1 WHERE id = 1; \
     INSERT INTO message (position, id, conversation_id, seq, sender, acted_by, client_message_id, kind, content, \
     corrects, created_at) SELECT value ->> 'position', value ->> 'id', value ->> 'conversation_id', value ->> 'seq', \
     value ->> 'sender', value ->> 'acted_by', value ->> 'client_message_id', value ->> 'kind', value ->> 'content', \
     value ->> 'corrects', value ->> 'created_at' FROM json_each($2); \
     UPDATE conversation SET last_seq = j.value ->> 1, last_position = j.value ->> 2, last_message_at = j.value ->> 3, \
     updated_at = j.value ->> 3 FROM json_each($3) j WHERE conversation.id = j.value ->> 0; \
     UPDATE conversation_member SET own_after_read = own_after_read + (j.value ->> 2) FROM json_each($4) j \
     WHERE conversation_id = j.value ->> 0 AND client_id = j.value ->> 1";

pub(super) async fn append(unit: &SeaUnit, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError> {
    let ids: Vec<String> = messages.iter().map(|message| text(&message.conversation_id)).collect();
    let asked = messages.iter().zip(&ids).map(|(message, id)| {
        let (sender, name) = (message.sender.as_deref(), message.client_message_id.as_deref());
        Asked(id, sender, name, message.created_at.as_millis(), message.is_agreed)
    });
    let rows = unit.query(&LOOK, [json(&asked.collect::<Vec<_>>())?]).await?;
    let mut outcomes = Vec::with_capacity(rows.len());
    let mut stored = Vec::with_capacity(rows.len());
    let mut seqs: HashMap<&str, i64> = HashMap::new();
    let mut head = rows.first().map(|row| get(row, "head")).transpose()?.unwrap_or_default();
    for (row, (message, id)) in rows.iter().zip(messages.iter().zip(&ids)) {
        if let Fate::Settled(appended) = fate(row)? {
            outcomes.push(appended);
            continue;
        }
        let seq = match seqs.get_mut(id.as_str()) {
            Some(seq) => seq,
            None => seqs.entry(id).or_insert(get(row, "last_seq")?),
        };
        *seq += 1;
        head += 1;
        outcomes.push(Appended::Stored { position: head, seq: *seq });
        stored.push(row_of(message, id, head, *seq));
    }
    if !stored.is_empty() {
        unit.execute(WRITE, write_values(head, &stored)?).await?;
    }
    Ok(outcomes)
}

fn row_of<'a>(message: &'a NewMessage, conversation_id: &'a str, position: i64, seq: i64) -> Stored<'a> {
    Stored {
        position,
        id: text(&message.id),
        conversation_id,
        seq,
        sender: message.sender.as_deref(),
        acted_by: message.acted_by.map(|id| text(&id)),
        client_message_id: message.client_message_id.as_deref(),
        kind: message.kind.as_str(),
        content: message.content.as_str(),
        corrects: message.corrects.map(|id| text(&id)),
        created_at: message.created_at.as_millis(),
    }
}

/// The parameters of [`WRITE`].
fn write_values(head: i64, stored: &[Stored<'_>]) -> Result<[Value; 4], StoreError> {
    let mut moved: BTreeMap<&str, (i64, i64, i64)> = BTreeMap::new();
    let mut counted: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for row in stored {
        moved.insert(row.conversation_id, (row.seq, row.position, row.created_at));
        if let Some(sender) = row.sender {
            *counted.entry((row.conversation_id, sender)).or_default() += 1;
        }
    }
    let moved: Vec<_> = moved.into_iter().map(|(id, (seq, position, at))| (id, seq, position, at)).collect();
    let counted: Vec<_> = counted.into_iter().map(|((id, client), count)| (id, client, count)).collect();
    Ok([head.into(), json(stored)?, json(&moved)?, json(&counted)?])
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<Value, StoreError> {
    serde_json::to_string(value).map(Value::from).map_err(StoreError::backend)
}
