//! Appending messages: numbers them, keeps them, and moves their conversations and senders on, in one statement on
//! `PostgreSQL` and in a few cheap ones on `SQLite`.
//!
//! Locks are taken in the order conversations (by id), their members, the head of the log. The log comes last
//! because everybody needs it: it is held from here to the commit.

mod postgres;
mod sqlite;

use ::im::message::KnownMessage;
use ::im::{Appended, MessageKind, NewMessage};
use domain::{StoreError, Timestamp};
use sea_orm::QueryResult;

use super::message;
use crate::backend::{Backend, store_error};
use crate::convert::{corrupt, parse};
use crate::store::SeaUnit;

pub(super) async fn append(unit: &SeaUnit, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    match unit.backend {
        Backend::Postgres => postgres::append(unit, messages).await,
        Backend::Sqlite => sqlite::append(unit, messages).await,
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
