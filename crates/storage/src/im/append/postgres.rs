//! `PostgreSQL`: one statement takes a batch in whole or not at all.
//!
//! Numbers are given here, on the assumption that every message of the batch is new. The quick statement only writes, and
//! breaks off when a row it counts on is not there; it does for nearly all batches. For the others there is a thorough
//! one, which finds out under the locks what each message is. It writes nothing unless all are new; those that are
//! are then tried again without the others, which are settled.

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

/// What a statement breaks off with when rows are not what it counts on.
const DIVISION_BY_ZERO: &str = "22012";

pub(super) async fn append(unit: &SeaUnit, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError> {
    // Breaking off would end a transaction for good.
    if !unit.is_transaction() {
        match append_new(unit, messages).await {
            // A name that is there already, a row that is missing, or an owner who is to be asked.
            Err(StoreError::Unique(_) | StoreError::Conflict) => {}
            other => return other,
        }
    }
    append_what_is_new(unit, messages).await
}

/// Appends messages that all are new, of members of known conversations whose owners need not be asked.
async fn append_new(unit: &SeaUnit, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError> {
    let batch = Batch::of(messages.iter().collect());
    let rows = run(unit, &QUICK, &batch).await?;
    let base: i64 = at(rows.first().ok_or(StoreError::Conflict)?, BASE)?;
    let mut last_seqs = vec![0; rows.len()];
    for row in &rows {
        let place: i64 = at(row, PLACE)?;
        let slot = usize::try_from(place - 1).ok().and_then(|place| last_seqs.get_mut(place));
        *slot.ok_or(StoreError::Conflict)? = at(row, LAST_SEQ)?;
    }
    let outcome = |(place, (nth, ord)): (&usize, (&i64, i64))| {
        let last_seq = last_seqs.get(*place).ok_or(StoreError::Conflict)?;
        Ok(Appended::Stored { position: base + ord, seq: last_seq + nth })
    };
    batch.places.iter().zip(batch.nth.iter().zip(1..)).map(outcome).collect()
}

/// Appends what is new, and finds out what the rest is.
async fn append_what_is_new(unit: &SeaUnit, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError> {
    let mut outcomes: Vec<Option<Appended>> = messages.iter().map(|_| None).collect();
    let mut waiting: Vec<(usize, &NewMessage)> = messages.iter().enumerate().collect();
    while !waiting.is_empty() {
        let batch = Batch::of(waiting.iter().map(|(_, message)| *message).collect());
        let rows = run(unit, &THOROUGH, &batch).await?;
        let base: Option<i64> = rows.first().map(|row| at(row, BASE)).transpose()?.flatten();
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

async fn run(unit: &SeaUnit, sql: &str, batch: &Batch<'_>) -> Result<Vec<QueryResult>, StoreError> {
    let db = unit.db();
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, batch.columns());
    db.query_all_raw(statement).await.map_err(|error: DbErr| match sql_state(&error).as_deref() {
        Some(DIVISION_BY_ZERO) => StoreError::Conflict,
        _ => store_error(error),
    })
}

/// Columns of what the quick statement answers, a row for each conversation.
const BASE: usize = 0;
const PLACE: usize = 1;
const LAST_SEQ: usize = 2;
/// Of what the thorough one answers, a row for each message, beside [`BASE`] and its [`fate`].
const SEQ: usize = 1;

fn at<T: sea_orm::TryGetable>(row: &QueryResult, index: usize) -> Result<T, StoreError> {
    row.try_get_by_index(index).map_err(store_error)
}

/// The conversations, locked, with how far each goes. The snapshot of a statement is older than the locks it waits for,
/// but a row that is locked is read as it is then.
const TARGET: &str = "target AS MATERIALIZED (SELECT c.id, c.last_seq, u.messages, u.last, u.at, u.place \
     FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) WITH ORDINALITY \
     AS u (id, messages, last, at, place) JOIN conversation c ON c.id = u.id ORDER BY c.id FOR UPDATE OF c)";
/// The messages as they came, `''` for null.
const INPUT: &str = "unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], \
     $12::text[], $13::bigint[], $14::boolean[], $15::bigint[], $16::bigint[]) WITH ORDINALITY AS i (conversation_id, \
     id, sender, client_message_id, kind, content, acted_by, corrects, created_at, is_agreed, place, nth, ord)";
const NULLABLE: &str = "NULLIF(sender, '') AS sender, NULLIF(acted_by, '') AS acted_by, \
     NULLIF(client_message_id, '') AS client_message_id, NULLIF(corrects, '') AS corrects";
const STORED: &str = "INSERT INTO message (position, id, conversation_id, kind, content, created_at, seq, sender, \
     acted_by, client_message_id, corrects) SELECT head.base + ord, id, conversation_id, kind, content, created_at";
const MOVED: &str = "UPDATE conversation SET last_seq = t.last_seq + t.messages, last_position = head.base + t.last, \
     last_message_at = t.at, updated_at = t.at FROM target t CROSS JOIN head WHERE conversation.id = t.id";
/// The members who sent, if they may without their owner being asked, on the newest version of their row.
const COUNTED: &str = "UPDATE conversation_member m SET own_after_read = own_after_read + w.messages \
     FROM unnest($17::text[], $18::text[], $19::bigint[], $20::bigint[]) AS w (conversation_id, client_id, messages, \
     asked_at)";
const MAY_SEND: &str = "m.conversation_id = w.conversation_id AND m.client_id = w.client_id \
     AND (w.asked_at = 0 OR m.review_at IS NULL OR m.review_at > w.asked_at) RETURNING 1";

/// Each step counts the rows of the one before, and so waits for it: conversations, members and the head are locked in
/// this order, and what is missing breaks the statement off. A name that is there already breaks the unique rule.
static QUICK: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH {TARGET}, \
         known AS MATERIALIZED (SELECT array_agg(last_seq ORDER BY place) AS last_seqs, \
         count(*) = cardinality($1::text[]) AS is_all FROM target), \
         counted AS ({COUNTED} WHERE (SELECT is_all FROM known) AND {MAY_SEND}), \
         head AS (UPDATE log_head SET position = position + cardinality($5::text[]) / CASE WHEN \
         (SELECT is_all FROM known) AND (SELECT count(*) FROM counted) = cardinality($17::text[]) THEN 1 ELSE 0 END \
         WHERE id = 1 RETURNING position - cardinality($5::text[]) AS base), \
         stored AS ({STORED}, (SELECT last_seqs FROM known)[place + 1] + nth, {NULLABLE} FROM head CROSS JOIN {INPUT}), \
         moved AS ({MOVED}) \
         SELECT head.base, t.place, t.last_seq FROM target t CROSS JOIN head"
    )
});

/// A message of the same name that was committed meanwhile breaks the unique rule; a member whose row has changed
/// since it was looked at breaks the statement off.
static THOROUGH: LazyLock<String> = LazyLock::new(|| {
    format!(
        "WITH {TARGET}, \
         input AS MATERIALIZED (SELECT conversation_id, id, kind, content, created_at, is_agreed, nth, ord, {NULLABLE} \
         FROM {INPUT}), \
         checked AS MATERIALIZED (SELECT i.*, c.last_seq + i.nth AS seq_to_be, {FATE} FROM input i \
         LEFT JOIN target c ON c.id = i.conversation_id \
         LEFT JOIN LATERAL (SELECT client_id, review_at FROM conversation_member \
         WHERE conversation_id = i.conversation_id AND client_id = i.sender LIMIT 1) m ON true \
         LEFT JOIN LATERAL (SELECT position, id, seq, kind, content, created_at {KNOWN} LIMIT 1) k ON true), \
         head AS MATERIALIZED (UPDATE log_head SET position = position + n.count FROM (SELECT count(*) AS count \
         FROM checked HAVING bool_and(fate = 'new')) n WHERE log_head.id = 1 RETURNING position - n.count AS base), \
         stored AS ({STORED}, seq_to_be, sender, acted_by, client_message_id, corrects FROM checked CROSS JOIN head), \
         moved AS ({MOVED}), \
         counted AS ({COUNTED} CROSS JOIN head WHERE {MAY_SEND}) \
         SELECT head.base, seq_to_be, fate, known_id, known_seq, known_kind, known_content, known_at, \
         1 / CASE WHEN head.base IS NOT NULL AND (SELECT count(*) FROM counted) < cardinality($17::text[]) \
         THEN 0 ELSE 1 END AS is_sound FROM checked LEFT JOIN head ON true ORDER BY ord"
    )
});

/// Messages with what they are to their conversations and senders.
struct Batch<'a> {
    messages: Vec<&'a NewMessage>,
    conversation_ids: Vec<String>,
    shares: BTreeMap<String, Share>,
    own: BTreeMap<(String, &'a str), Own>,
    /// Of each message: where its conversation stands among `shares`.
    places: Vec<usize>,
    /// Which of its conversation it is in the batch, from 1.
    nth: Vec<i64>,
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

impl<'a> Batch<'a> {
    fn of(messages: Vec<&'a NewMessage>) -> Self {
        let conversation_ids: Vec<String> = messages.iter().map(|message| text(&message.conversation_id)).collect();
        let mut shares: BTreeMap<String, Share> = BTreeMap::new();
        let mut own: BTreeMap<(String, &str), Own> = BTreeMap::new();
        let mut nth = Vec::with_capacity(messages.len());
        for ((message, id), ord) in messages.iter().zip(&conversation_ids).zip(1..) {
            let share = shares.entry(id.clone()).or_default();
            share.messages += 1;
            (share.last, share.at) = (ord, message.created_at.as_millis());
            nth.push(share.messages);
            if let Some(sender) = &message.sender {
                let own = own.entry((id.clone(), sender)).or_default();
                own.messages += 1;
                if !message.is_agreed {
                    own.asked_at = own.asked_at.max(message.created_at.as_millis());
                }
            }
        }
        let order: BTreeMap<&str, usize> = shares.keys().map(String::as_str).zip(0..).collect();
        let places = conversation_ids.iter().filter_map(|id| order.get(id.as_str()).copied()).collect();
        Self { messages, conversation_ids, shares, own, places, nth }
    }

    /// The parameters of both statements.
    fn columns(&self) -> [Value; 20] {
        let of = |read: fn(&NewMessage) -> String| texts(self.messages.iter().map(|message| read(message)));
        let is_agreed = self.messages.iter().map(|message| message.is_agreed.into()).collect();
        [
            texts(self.shares.keys().cloned()),
            numbers(self.shares.values().map(|share| share.messages)),
            numbers(self.shares.values().map(|share| share.last)),
            numbers(self.shares.values().map(|share| share.at)),
            texts(self.conversation_ids.iter().cloned()),
            of(|message| text(&message.id)),
            of(|message| message.sender.clone().unwrap_or_default()),
            of(|message| message.client_message_id.clone().unwrap_or_default()),
            of(|message| message.kind.as_str().to_owned()),
            of(|message| message.content.as_str().to_owned()),
            of(|message| message.acted_by.map(|id| text(&id)).unwrap_or_default()),
            of(|message| message.corrects.map(|id| text(&id)).unwrap_or_default()),
            numbers(self.messages.iter().map(|message| message.created_at.as_millis())),
            Value::Array(ArrayType::Bool, Some(Box::new(is_agreed))),
            numbers(self.places.iter().map(|place| i64::try_from(*place).unwrap_or(i64::MAX))),
            numbers(self.nth.iter().copied()),
            texts(self.own.keys().map(|(id, _)| id.clone())),
            texts(self.own.keys().map(|(_, sender)| (*sender).to_owned())),
            numbers(self.own.values().map(|own| own.messages)),
            numbers(self.own.values().map(|own| own.asked_at)),
        ]
    }
}

fn texts(values: impl Iterator<Item = String>) -> Value {
    Value::Array(ArrayType::String, Some(Box::new(values.map(Value::from).collect())))
}

fn numbers(values: impl Iterator<Item = i64>) -> Value {
    Value::Array(ArrayType::BigInt, Some(Box::new(values.map(Value::from).collect())))
}
