//! `SQLite`: one writer, so what is read stays true while a unit runs, and numbers are given here. Every statement is a
//! journey to the thread of the connection, so there are few: one looks, one moves what messages change, one stores them.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use ::im::{Appended, Message, NewMessage};
use domain::StoreError;
use domain::id::ConversationId;
use sea_orm::sea_query::Value;
use serde::Serialize;

use super::{FATE, Fate, KNOWN, fate, get};
use crate::bulk;
use crate::convert::text;
use crate::im::message;
use crate::store::SeaUnit;

/// A message before it is numbered: conversation, sender, name, time, whether the owner has agreed.
#[derive(Serialize)]
struct Asked<'a>(&'a str, Option<&'a str>, Option<&'a str>, i64, bool);

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

/// Writes the new head of the log, and what messages change about their conversations and senders.
const MOVE: &str = "UPDATE log_head SET position = $1 WHERE id = 1; \
     UPDATE conversation SET last_seq = j.value ->> 1, last_position = j.value ->> 2, last_message_at = j.value ->> 3, \
     updated_at = j.value ->> 3 FROM json_each($2) j WHERE conversation.id = j.value ->> 0; \
     UPDATE conversation_member SET own_after_read = own_after_read + (j.value ->> 2) FROM json_each($3) j \
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
        stored.push(message.stored(head, *seq));
    }
    if !stored.is_empty() {
        unit.execute(MOVE, moves(head, &stored)?).await?;
        bulk::insert::<message::Entity>(unit, stored.into_iter().map(message::row), "").await?;
    }
    Ok(outcomes)
}

/// The parameters of [`MOVE`].
fn moves(head: i64, stored: &[Message]) -> Result<[Value; 3], StoreError> {
    let mut moved: BTreeMap<ConversationId, (i64, i64, i64)> = BTreeMap::new();
    let mut counted: BTreeMap<(ConversationId, &str), i64> = BTreeMap::new();
    for message in stored {
        let Message { conversation_id, seq, position, created_at, .. } = message;
        moved.insert(*conversation_id, (*seq, *position, created_at.as_millis()));
        if let Some(sender) = &message.sender {
            *counted.entry((*conversation_id, sender)).or_default() += 1;
        }
    }
    let moved: Vec<_> = moved.iter().map(|(id, (seq, position, at))| (text(id), seq, position, at)).collect();
    let counted: Vec<_> = counted.iter().map(|((id, client), count)| (text(id), client, count)).collect();
    Ok([head.into(), json(&moved)?, json(&counted)?])
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<Value, StoreError> {
    serde_json::to_string(value).map(Value::from).map_err(StoreError::backend)
}
