//! `PostgreSQL`: one statement takes a batch in whole or not at all.
//!
//! Numbers are given here, on the assumption that every message of the batch is new: under the locks the statement finds
//! out whether that is so, and writes nothing otherwise but answers what each message is. Those that are new are
//! then tried again without the others, which are settled. Nearly every batch goes at once, and the statement is
//! spared the work of numbering.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ::im::{Appended, NewMessage};
use domain::StoreError;
use sea_orm::sea_query::{ArrayType, Value};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};

use super::{FATE, Fate, KNOWN, fate};
use crate::backend::{sql_state, store_error};
use crate::convert::text;
use crate::store::SeaUnit;

/// What the statement breaks off with when a sender's row has changed since it was looked at.
const DIVISION_BY_ZERO: &str = "22012";

/// Whether messages are looked for under their names before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// No: a name that is there already breaks the unique rule. For nearly all batches, which hold no retry.
    Quick,
    Thorough,
}

static QUICK: LazyLock<String> = LazyLock::new(|| statement(Way::Quick));
static THOROUGH: LazyLock<String> = LazyLock::new(|| statement(Way::Thorough));

pub(super) async fn append(unit: &SeaUnit, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError> {
    // A broken rule would end a transaction for good.
    let mut way = if unit.is_transaction() { Way::Thorough } else { Way::Quick };
    let mut outcomes: Vec<Option<Appended>> = messages.iter().map(|_| None).collect();
    let mut waiting: Vec<(usize, &NewMessage)> = messages.iter().enumerate().collect();
    while !waiting.is_empty() {
        let batch: Vec<&NewMessage> = waiting.iter().map(|(_, message)| *message).collect();
        let rows = match run(unit, way, &batch).await {
            Err(StoreError::Unique(_)) if way == Way::Quick => {
                way = Way::Thorough;
                continue;
            }
            other => other?,
        };
        let base: Option<i64> = rows.first().map(|row| at(row, BASE)).transpose()?.flatten();
        if base.is_none() && way == Way::Quick {
            // Somebody is to be asked, or is not in it: whether the message is there already comes first.
            way = Way::Thorough;
            continue;
        }
        let mut left = Vec::new();
        for ((slot, message), (row, nth)) in waiting.into_iter().zip(rows.iter().zip(1..)) {
            let outcome = match (base, fate(row)?) {
                (Some(base), _) => Some(Appended::Stored { position: base + nth, seq: at(row, SEQ)? }),
                (None, Fate::Settled(appended)) => Some(appended),
                (None, Fate::New) => None,
            };
            match outcome {
                Some(outcome) => outcomes.get_mut(slot).into_iter().for_each(|place| *place = Some(outcome.clone())),
                None => left.push((slot, message)),
            }
        }
        waiting = left;
    }
    outcomes.into_iter().map(|outcome| outcome.ok_or(StoreError::Conflict)).collect()
}

async fn run(unit: &SeaUnit, way: Way, batch: &[&NewMessage]) -> Result<Vec<QueryResult>, StoreError> {
    let sql = match way {
        Way::Quick => &*QUICK,
        Way::Thorough => &*THOROUGH,
    };
    let db = unit.db();
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, columns(batch));
    db.query_all_raw(statement).await.map_err(|error: DbErr| match sql_state(&error).as_deref() {
        Some(DIVISION_BY_ZERO) => StoreError::Conflict,
        _ => store_error(error),
    })
}

/// Places of the columns that are read of every message.
const BASE: usize = 0;
const SEQ: usize = 1;

fn at<T: sea_orm::TryGetable>(row: &QueryResult, index: usize) -> Result<T, StoreError> {
    row.try_get_by_index(index).map_err(store_error)
}

/// Arrays, one for each column of the input, `''` for null. The snapshot of the statement is older than the locks it
/// waits for, so what may have changed meanwhile is read from the locked rows: the newest numbers when conversations
/// are locked, and whether a sender may still write without being reviewed when its row is written, which breaks the
/// statement off if not. A message of the same name committed meanwhile breaks the unique rule.
fn statement(way: Way) -> String {
    let known = match way {
        Way::Quick => "(SELECT NULL::bigint AS position, NULL::text AS id, NULL::bigint AS seq, NULL::text AS kind, \
                       NULL::text AS content, NULL::bigint AS created_at)"
            .to_owned(),
        Way::Thorough => format!("LATERAL (SELECT position, id, seq, kind, content, created_at {KNOWN} LIMIT 1)"),
    };
    format!(
        "WITH target AS MATERIALIZED (SELECT c.id, c.last_seq, u.messages, u.last, u.at \
         FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS u (id, messages, last, at) \
         JOIN conversation c ON c.id = u.id ORDER BY c.id FOR UPDATE OF c), \
         input AS MATERIALIZED (SELECT conversation_id, id, NULLIF(sender, '') AS sender, \
         NULLIF(client_message_id, '') AS client_message_id, kind, content, NULLIF(acted_by, '') AS acted_by, \
         NULLIF(corrects, '') AS corrects, created_at, is_agreed, nth, ord FROM unnest($5::text[], $6::text[], \
         $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::boolean[], \
         $15::bigint[]) WITH ORDINALITY AS t (conversation_id, id, sender, client_message_id, kind, content, acted_by, \
         corrects, created_at, is_agreed, nth, ord)), \
         checked AS MATERIALIZED (SELECT i.*, c.last_seq + i.nth AS seq_to_be, {FATE} FROM input i \
         LEFT JOIN target c ON c.id = i.conversation_id \
         LEFT JOIN LATERAL (SELECT client_id, review_at FROM conversation_member \
         WHERE conversation_id = i.conversation_id AND client_id = i.sender LIMIT 1) m ON true \
         LEFT JOIN {known} k ON true), \
         head AS MATERIALIZED (UPDATE log_head SET position = position + n.count FROM (SELECT count(*) AS count \
         FROM checked HAVING bool_and(fate = 'new')) n WHERE log_head.id = 1 RETURNING position - n.count AS base), \
         stored AS (INSERT INTO message (position, id, conversation_id, seq, sender, acted_by, client_message_id, \
         kind, content, corrects, created_at) SELECT head.base + ord, id, conversation_id, seq_to_be, sender, acted_by, \
         client_message_id, kind, content, corrects, created_at FROM checked CROSS JOIN head), \
         moved AS (UPDATE conversation SET last_seq = t.last_seq + t.messages, last_position = head.base + t.last, \
         last_message_at = t.at, updated_at = t.at FROM target t CROSS JOIN head WHERE conversation.id = t.id), \
         counted AS (UPDATE conversation_member m SET own_after_read = own_after_read + w.messages \
         FROM unnest($16::text[], $17::text[], $18::bigint[], $19::bigint[]) AS w (conversation_id, client_id, \
         messages, asked_at) CROSS JOIN head WHERE m.conversation_id = w.conversation_id AND m.client_id = w.client_id \
         AND (w.asked_at = 0 OR m.review_at IS NULL OR m.review_at > w.asked_at) RETURNING 1) \
         SELECT head.base, seq_to_be, fate, known_id, known_seq, known_kind, known_content, known_at, \
         1 / CASE WHEN head.base IS NOT NULL AND (SELECT count(*) FROM counted) < cardinality($16::text[]) \
         THEN 0 ELSE 1 END AS is_sound FROM checked LEFT JOIN head ON true ORDER BY ord"
    )
}

/// What a batch is to one conversation.
#[derive(Default)]
struct Share {
    messages: i64,
    /// Place in the batch of the last of them, from 1.
    last: i64,
    at: i64,
}

/// What a batch is to one sender in one conversation.
#[derive(Default)]
struct Own {
    messages: i64,
    /// When the last message was written that the owner has not agreed to; 0 when there is none.
    asked_at: i64,
}

fn columns(batch: &[&NewMessage]) -> [Value; 19] {
    let conversation_ids: Vec<String> = batch.iter().map(|message| text(&message.conversation_id)).collect();
    let mut shares: BTreeMap<&str, Share> = BTreeMap::new();
    let mut own: BTreeMap<(&str, &str), Own> = BTreeMap::new();
    let mut nth = Vec::with_capacity(batch.len());
    for ((message, id), place) in batch.iter().zip(&conversation_ids).zip(1..) {
        let share = shares.entry(id).or_default();
        share.messages += 1;
        (share.last, share.at) = (place, message.created_at.as_millis());
        nth.push(share.messages);
        if let Some(sender) = &message.sender {
            let own = own.entry((id, sender)).or_default();
            own.messages += 1;
            if !message.is_agreed {
                own.asked_at = own.asked_at.max(message.created_at.as_millis());
            }
        }
    }
    let of = |read: fn(&NewMessage) -> String| texts(batch.iter().map(|message| read(message)));
    [
        texts(shares.keys().map(|id| (*id).to_owned())),
        numbers(shares.values().map(|share| share.messages)),
        numbers(shares.values().map(|share| share.last)),
        numbers(shares.values().map(|share| share.at)),
        texts(conversation_ids.iter().cloned()),
        of(|message| text(&message.id)),
        of(|message| message.sender.clone().unwrap_or_default()),
        of(|message| message.client_message_id.clone().unwrap_or_default()),
        of(|message| message.kind.as_str().to_owned()),
        of(|message| message.content.as_str().to_owned()),
        of(|message| message.acted_by.map(|id| text(&id)).unwrap_or_default()),
        of(|message| message.corrects.map(|id| text(&id)).unwrap_or_default()),
        numbers(batch.iter().map(|message| message.created_at.as_millis())),
        Value::Array(ArrayType::Bool, Some(Box::new(batch.iter().map(|m| m.is_agreed.into()).collect()))),
        numbers(nth.into_iter()),
        texts(own.keys().map(|(id, _)| (*id).to_owned())),
        texts(own.keys().map(|(_, sender)| (*sender).to_owned())),
        numbers(own.values().map(|own| own.messages)),
        numbers(own.values().map(|own| own.asked_at)),
    ]
}

fn texts(values: impl Iterator<Item = String>) -> Value {
    Value::Array(ArrayType::String, Some(Box::new(values.map(Value::from).collect())))
}

fn numbers(values: impl Iterator<Item = i64>) -> Value {
    Value::Array(ArrayType::BigInt, Some(Box::new(values.map(Value::from).collect())))
}
