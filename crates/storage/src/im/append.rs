//! Appending messages: numbers them, keeps them, and moves their conversations and senders on, in one statement on
//! `PostgreSQL` and in a few cheap ones on `SQLite`.
//!
//! Locks are taken in the order conversations (by id), their members, the head of the log. The log comes last
//! because everybody needs it: it is held from here to the commit.

use std::collections::{BTreeMap, HashMap};

use ::im::message::KnownMessage;
use ::im::{Appended, MessageKind, NewMessage};
use domain::{StoreError, Timestamp};
use sea_orm::QueryResult;
use sea_orm::sea_query::{ArrayType, Value};
use serde::Serialize;

use super::message;
use crate::backend::{Backend, store_error};
use crate::convert::{corrupt, parse, text};
use crate::store::SeaUnit;

pub(super) async fn append(unit: &SeaUnit, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    match unit.backend {
        Backend::Postgres => append_at_once(unit, messages).await,
        Backend::Sqlite => append_in_steps(unit, messages).await,
    }
}

/// What is known of a message before it is numbered, as both ways answer it.
enum Fate {
    New,
    Settled(Appended),
}

/// Reads the columns `fate`, `known_id`, `known_seq`, `known_kind`, `known_content`, `known_at`.
fn fate(row: &QueryResult) -> Result<Fate, StoreError> {
    let word: String = get(row, "fate")?;
    Ok(Fate::Settled(match word.as_str() {
        "new" => return Ok(Fate::New),
        "missing" => Appended::NoConversation,
        "stranger" => Appended::NotMember,
        "review" => Appended::AskOwner,
        "known" => Appended::Known(KnownMessage {
            id: parse("message.id", &get::<String>(row, "known_id")?)?,
            seq: get(row, "known_seq")?,
            kind: MessageKind::parse(&get::<String>(row, "known_kind")?),
            content: message::content(&get::<String>(row, "known_content")?)?,
            created_at: Timestamp::from_millis(get(row, "known_at")?),
        }),
        _ => return corrupt("message fate"),
    }))
}

fn get<T: sea_orm::TryGetable>(row: &QueryResult, column: &str) -> Result<T, StoreError> {
    row.try_get("", column).map_err(store_error)
}

/// The part both ways share: which message may go in, and what is there under its name already.
/// `i` is the input, `c` the conversation, `m` the sender, `k` the known message.
const FATE: &str = "CASE WHEN c.id IS NULL THEN 'missing' WHEN k.position IS NOT NULL THEN 'known' \
     WHEN i.sender IS NOT NULL AND m.client_id IS NULL THEN 'stranger' \
     WHEN NOT i.is_agreed AND m.review_at <= i.created_at THEN 'review' ELSE 'new' END AS fate, \
     k.id AS known_id, k.seq AS known_seq, k.kind AS known_kind, k.content AS known_content, \
     k.created_at AS known_at";
const KNOWN: &str = "FROM message WHERE message.conversation_id = i.conversation_id AND message.sender = i.sender \
     AND message.client_message_id = i.client_message_id";

// ---- PostgreSQL

/// Arrays, one for each column of the input, `''` for null. The snapshot of the statement is older than the locks it
/// waits for, so what may have changed meanwhile is read from the locked rows; a message of the same name
/// committed meanwhile breaks the unique rule, and the caller tries again.
async fn append_at_once(unit: &SeaUnit, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError> {
    let sql = format!(
        "WITH input AS MATERIALIZED (SELECT conversation_id, id, NULLIF(sender, '') AS sender, \
         NULLIF(client_message_id, '') AS client_message_id, kind, content, NULLIF(acted_by, '') AS acted_by, \
         NULLIF(corrects, '') AS corrects, created_at, is_agreed, ord FROM unnest($1::text[], $2::text[], \
         $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::boolean[]) \
         WITH ORDINALITY AS t (conversation_id, id, sender, client_message_id, kind, content, acted_by, corrects, \
         created_at, is_agreed, ord)), \
         target AS MATERIALIZED (SELECT id, last_seq FROM conversation \
         WHERE id IN (SELECT conversation_id FROM input) ORDER BY id FOR UPDATE), \
         writer AS MATERIALIZED (SELECT m.conversation_id, m.client_id, m.review_at FROM \
         (SELECT DISTINCT input.conversation_id, sender FROM input JOIN target ON target.id = input.conversation_id \
         WHERE sender IS NOT NULL) s JOIN conversation_member m ON m.conversation_id = s.conversation_id \
         AND m.client_id = s.sender FOR UPDATE OF m), \
         checked AS MATERIALIZED (SELECT i.*, c.last_seq, {FATE} FROM input i \
         LEFT JOIN target c ON c.id = i.conversation_id \
         LEFT JOIN writer m ON m.conversation_id = i.conversation_id AND m.client_id = i.sender \
         LEFT JOIN LATERAL (SELECT * {KNOWN} LIMIT 1) k ON true), \
         numbered AS MATERIALIZED (SELECT *, last_seq + row_number() OVER (PARTITION BY conversation_id \
         ORDER BY ord) AS seq, row_number() OVER (ORDER BY ord) AS nth FROM checked WHERE fate = 'new'), \
         head AS (UPDATE log_head SET position = position + (SELECT count(*) FROM numbered) \
         WHERE id = 1 AND EXISTS (SELECT 1 FROM numbered) RETURNING position), \
         base AS MATERIALIZED (SELECT position - (SELECT count(*) FROM numbered) AS position FROM head), \
         stored AS (INSERT INTO message (position, id, conversation_id, seq, sender, acted_by, client_message_id, \
         kind, content, corrects, created_at) SELECT base.position + nth, id, conversation_id, seq, sender, acted_by, \
         client_message_id, kind, content, corrects, created_at FROM numbered CROSS JOIN base), \
         moved AS (UPDATE conversation SET last_seq = n.seq, last_position = base.position + n.nth, \
         last_message_at = n.created_at, updated_at = n.created_at FROM (SELECT DISTINCT ON (conversation_id) \
         conversation_id, seq, nth, created_at FROM numbered ORDER BY conversation_id, seq DESC) n CROSS JOIN base \
         WHERE conversation.id = n.conversation_id), \
         counted AS (UPDATE conversation_member SET own_after_read = own_after_read + n.count \
         FROM (SELECT conversation_id, sender, count(*) AS count FROM numbered WHERE sender IS NOT NULL \
         GROUP BY conversation_id, sender) n WHERE conversation_member.conversation_id = n.conversation_id \
         AND conversation_member.client_id = n.sender) \
         SELECT c.fate, c.known_id, c.known_seq, c.known_kind, c.known_content, c.known_at, n.seq, \
         base.position + n.nth AS position FROM checked c LEFT JOIN numbered n ON n.ord = c.ord \
         LEFT JOIN base ON true ORDER BY c.ord"
    );
    let rows = unit.query(&sql, columns(messages)).await?;
    let settle = |row: &QueryResult| match fate(row)? {
        Fate::New => Ok(Appended::Stored { position: get(row, "position")?, seq: get(row, "seq")? }),
        Fate::Settled(appended) => Ok(appended),
    };
    rows.iter().map(settle).collect()
}

fn columns(messages: &[NewMessage]) -> [Value; 10] {
    let texts = |of: &dyn Fn(&NewMessage) -> String| {
        let values = messages.iter().map(|message| Value::from(of(message))).collect();
        Value::Array(ArrayType::String, Some(Box::new(values)))
    };
    let or_empty = |text: Option<&String>| text.cloned().unwrap_or_default();
    let created = messages.iter().map(|m| Value::from(m.created_at.as_millis())).collect();
    let agreed = messages.iter().map(|m| Value::from(m.is_agreed)).collect();
    [
        texts(&|m| text(&m.conversation_id)),
        texts(&|m| text(&m.id)),
        texts(&|m| or_empty(m.sender.as_ref())),
        texts(&|m| or_empty(m.client_message_id.as_ref())),
        texts(&|m| m.kind.as_str().to_owned()),
        texts(&|m| m.content.as_str().to_owned()),
        texts(&|m| m.acted_by.map(|id| text(&id)).unwrap_or_default()),
        texts(&|m| m.corrects.map(|id| text(&id)).unwrap_or_default()),
        Value::Array(ArrayType::BigInt, Some(Box::new(created))),
        Value::Array(ArrayType::Bool, Some(Box::new(agreed))),
    ]
}

// ---- SQLite

/// One element of the input, as JSON.
#[derive(Serialize)]
struct Input<'a> {
    position: i64,
    id: String,
    conversation_id: String,
    seq: i64,
    sender: Option<&'a str>,
    acted_by: Option<String>,
    client_message_id: Option<&'a str>,
    kind: &'a str,
    content: &'a str,
    corrects: Option<String>,
    created_at: i64,
    is_agreed: bool,
}

impl<'a> Input<'a> {
    fn of(message: &'a NewMessage) -> Self {
        Self {
            position: 0,
            id: text(&message.id),
            conversation_id: text(&message.conversation_id),
            seq: 0,
            sender: message.sender.as_deref(),
            acted_by: message.acted_by.map(|id| text(&id)),
            client_message_id: message.client_message_id.as_deref(),
            kind: message.kind.as_str(),
            content: message.content.as_str(),
            corrects: message.corrects.map(|id| text(&id)),
            created_at: message.created_at.as_millis(),
            is_agreed: message.is_agreed,
        }
    }
}

/// Nobody else writes while this unit does, so what is read stays true: numbers are given here.
async fn append_in_steps(unit: &SeaUnit, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError> {
    let mut inputs: Vec<Input<'_>> = messages.iter().map(Input::of).collect();
    let sql = format!(
        "WITH i AS MATERIALIZED (SELECT key AS ord, value ->> '$.conversation_id' AS conversation_id, \
         value ->> '$.sender' AS sender, value ->> '$.client_message_id' AS client_message_id, \
         value ->> '$.created_at' AS created_at, value ->> '$.is_agreed' AS is_agreed FROM json_each($1)) \
         SELECT c.last_seq, {FATE} FROM i LEFT JOIN conversation c ON c.id = i.conversation_id \
         LEFT JOIN conversation_member m ON m.conversation_id = i.conversation_id AND m.client_id = i.sender \
         LEFT JOIN message k ON k.rowid = (SELECT rowid {KNOWN}) \
         ORDER BY i.ord"
    );
    let rows = unit.query(&sql, [json(&inputs)?]).await?;
    let mut outcomes = Vec::with_capacity(rows.len());
    let mut seqs: HashMap<String, i64> = HashMap::new();
    let mut count = 0;
    for (row, input) in rows.iter().zip(&mut inputs) {
        outcomes.push(match fate(row)? {
            Fate::Settled(appended) => appended,
            Fate::New => {
                let last_seq: i64 = get(row, "last_seq")?;
                let seq = seqs.entry(input.conversation_id.clone()).or_insert(last_seq);
                *seq += 1;
                count += 1;
                // The position is still counted from where this unit begins.
                (input.seq, input.position) = (*seq, count);
                Appended::Stored { position: count, seq: *seq }
            }
        });
    }
    if count == 0 {
        return Ok(outcomes);
    }
    let base = super::log::advance(unit, count).await? - count;
    inputs.retain(|input| input.seq > 0);
    for input in &mut inputs {
        input.position += base;
    }
    for outcome in &mut outcomes {
        if let Appended::Stored { position, .. } = outcome {
            *position += base;
        }
    }
    write_in_steps(unit, &inputs).await?;
    Ok(outcomes)
}

#[derive(Serialize)]
struct Moved<'a> {
    id: &'a str,
    seq: i64,
    position: i64,
    at: i64,
}

#[derive(Serialize)]
struct Counted<'a> {
    conversation_id: &'a str,
    client_id: &'a str,
    count: i64,
}

async fn write_in_steps(unit: &SeaUnit, inputs: &[Input<'_>]) -> Result<(), StoreError> {
    let mut moved: BTreeMap<&str, Moved<'_>> = BTreeMap::new();
    let mut counted: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for input in inputs {
        let id = input.conversation_id.as_str();
        moved.insert(id, Moved { id, seq: input.seq, position: input.position, at: input.created_at });
        if let Some(sender) = input.sender {
            *counted.entry((id, sender)).or_default() += 1;
        }
    }
    let sql = "INSERT INTO message (position, id, conversation_id, seq, sender, acted_by, client_message_id, kind, \
               content, corrects, created_at) SELECT value ->> '$.position', value ->> '$.id', \
               value ->> '$.conversation_id', value ->> '$.seq', value ->> '$.sender', value ->> '$.acted_by', \
               value ->> '$.client_message_id', value ->> '$.kind', value ->> '$.content', value ->> '$.corrects', \
               value ->> '$.created_at' FROM json_each($1)";
    unit.execute(sql, [json(inputs)?]).await?;
    let sql = "UPDATE conversation SET last_seq = j.value ->> '$.seq', last_position = j.value ->> '$.position', \
               last_message_at = j.value ->> '$.at', updated_at = j.value ->> '$.at' FROM json_each($1) j \
               WHERE conversation.id = j.value ->> '$.id'";
    unit.execute(sql, [json(&moved.values().collect::<Vec<_>>())?]).await?;
    let counted: Vec<Counted<'_>> = counted
        .into_iter()
        .map(|((conversation_id, client_id), count)| Counted { conversation_id, client_id, count })
        .collect();
    if !counted.is_empty() {
        let sql = "UPDATE conversation_member SET own_after_read = own_after_read + (j.value ->> '$.count') \
                   FROM json_each($1) j WHERE conversation_id = j.value ->> '$.conversation_id' \
                   AND client_id = j.value ->> '$.client_id'";
        unit.execute(sql, [json(&counted)?]).await?;
    }
    Ok(())
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<Value, StoreError> {
    serde_json::to_string(value).map(Value::from).map_err(StoreError::backend)
}
