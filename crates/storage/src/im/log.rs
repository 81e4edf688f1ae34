//! The log: its head, its events, and reading messages and events as one.

use ::im::log::{EventKind, LogEntry, LogEvent, LogHead, LogRepository, NewEvent};
use async_trait::async_trait;
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{FromQueryResult, QueryResult};
use serde::Serialize;

use super::message;
use crate::backend::{Backend, store_error};
use crate::bulk;
use crate::convert::{known, list, parse_opt, text_opt};
use crate::store::SeaUnit;

/// How many messages from the end of a conversation are looked at before all of them are.
const NEWEST: i64 = 512;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "log_event")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub position: i64,
    pub conversation_id: Option<String>,
    pub client_id: Option<String>,
    pub kind: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub payload: Json,
    pub at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn event(row: Model) -> Result<LogEvent, StoreError> {
    Ok(LogEvent {
        position: row.position,
        conversation_id: parse_opt("log_event.conversation_id", row.conversation_id.as_deref())?,
        client_id: row.client_id,
        kind: known("log_event.kind", EventKind::parse(&row.kind))?,
        payload: row.payload,
        at: Timestamp::from_millis(row.at),
    })
}

/// Takes as many positions as a parameter says and answers as `base` the one before the first of them.
pub(crate) fn advance_by(parameter: usize) -> String {
    format!(
        "UPDATE log_head SET position = position + CAST(${parameter} AS bigint) WHERE id = 1 \
         RETURNING position - CAST(${parameter} AS bigint) AS base"
    )
}

/// Takes the next `count` positions and answers the one before the first of them. Locks the log until the unit ends.
pub(crate) async fn advance(unit: &SeaUnit, count: i64) -> Result<i64, StoreError> {
    let rows = unit.query(&advance_by(1), [count.into()]).await?;
    let head = rows.first().ok_or_else(|| StoreError::Corrupt("log_head".to_owned()))?;
    head.try_get("", "base").map_err(store_error)
}

/// Conversations come before the log in the order of locks.
async fn lock_conversations(unit: &SeaUnit, events: &[NewEvent]) -> Result<(), StoreError> {
    if unit.backend == Backend::Postgres {
        let ids: Vec<_> = events.iter().filter_map(|event| event.conversation_id).collect();
        let is_listed = unit.backend.is_among("id", "$1");
        let sql = format!("SELECT id FROM conversation WHERE {is_listed} ORDER BY id FOR UPDATE");
        unit.query(&sql, [list(ids)]).await?;
    }
    Ok(())
}

/// Reads the rows of a statement that selects whole events.
pub(crate) fn log_events(rows: &[QueryResult]) -> Result<Vec<LogEvent>, StoreError> {
    rows.iter().map(|row| event(Model::from_query_result(row, "").map_err(store_error)?)).collect()
}

fn merge(messages: &[QueryResult], events: &[QueryResult], limit: u32) -> Result<Vec<LogEntry>, StoreError> {
    let mut entries: Vec<LogEntry> = message::messages(messages)?.into_iter().map(LogEntry::Message).collect();
    for row in events {
        entries.push(LogEntry::Event(event(Model::from_query_result(row, "").map_err(store_error)?)?));
    }
    entries.sort_unstable_by_key(LogEntry::position);
    entries.truncate(limit as usize);
    Ok(entries)
}

#[async_trait]
impl LogRepository for SeaUnit {
    async fn head(&mut self) -> Result<LogHead, StoreError> {
        let rows = self.query("SELECT position, epoch FROM log_head WHERE id = 1", []).await?;
        let row = rows.first().ok_or_else(|| StoreError::Corrupt("log_head".to_owned()))?;
        let position = row.try_get("", "position").map_err(store_error)?;
        Ok(LogHead { position, epoch: row.try_get("", "epoch").map_err(store_error)? })
    }

    async fn append_events(&mut self, events: &[NewEvent]) -> Result<i64, StoreError> {
        if events.is_empty() {
            return Ok(LogRepository::head(self).await?.position);
        }
        lock_conversations(self, events).await?;
        self.has_news = true;
        let count = i64::try_from(events.len()).map_err(StoreError::backend)?;
        let base = advance(self, count).await?;
        let rows = events.iter().zip(base + 1..).map(|(event, position)| ActiveModel {
            position: Set(position),
            conversation_id: Set(text_opt(event.conversation_id.as_ref())),
            client_id: Set(event.client_id.clone()),
            kind: Set(event.kind.as_str().to_owned()),
            payload: Set(event.payload.clone()),
            at: Set(event.at.as_millis()),
        });
        bulk::insert::<Entity>(self, rows, "").await?;
        // What changed last for the conversation, so that a device that asks finds it.
        let (set, json) = (Touched::all(events, base + 1), "value ->> ");
        if !set.is_empty() {
            let sql = match self.backend {
                Backend::Sqlite => format!(
                    "UPDATE conversation SET last_position = j.{json}'$.position' FROM json_each($1) j \
                     WHERE conversation.id = j.{json}'$.id'"
                ),
                Backend::Postgres => "UPDATE conversation SET last_position = j.position FROM \
                     jsonb_to_recordset(CAST($1 AS jsonb)) AS j (id text, position bigint) \
                     WHERE conversation.id = j.id"
                    .to_owned(),
            };
            let json = serde_json::to_string(&set).map_err(StoreError::backend)?;
            self.execute(&sql, [json.into()]).await?;
        }
        Ok(base + count)
    }

    async fn entries(&mut self, after: i64, until: i64, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        let range = "WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3";
        let values: [Value; 3] = [after.into(), until.into(), i64::from(limit).into()];
        let messages = self.query(&format!("SELECT * FROM message {range}"), values.clone()).await?;
        let events = self.query(&format!("SELECT * FROM log_event {range}"), values).await?;
        merge(&messages, &events, limit)
    }

    async fn entries_of(&mut self, client_ids: &[String], after: i64, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        let is_mine = |column| self.backend.is_among(column, "$1");
        let touched = format!(
            "conversation c ON c.last_position > $2 AND c.id IN (SELECT cm.conversation_id FROM conversation_member \
             cm WHERE {})",
            is_mine("cm.client_id")
        );
        let sql = format!(
            "SELECT m.* FROM message m JOIN {touched} AND m.conversation_id = c.id AND m.seq > c.last_seq - $4 \
             WHERE m.position > $2 ORDER BY m.position LIMIT $3"
        );
        let values =
            |newest: i64| -> [Value; 4] { [list(client_ids), after.into(), i64::from(limit).into(), newest.into()] };
        let mut messages = self.query(&sql, values(NEWEST)).await?;
        // A conversation with more news than were looked at may hide earlier ones.
        if i64::try_from(messages.len()).map_err(StoreError::backend)? >= NEWEST.min(i64::from(limit)) {
            messages = self.query(&sql, values(i64::MAX / 2)).await?;
        }
        let sql = format!(
            "SELECT * FROM (SELECT e.* FROM log_event e JOIN {touched} AND e.conversation_id = c.id \
             WHERE e.position > $2 AND e.client_id IS NULL UNION ALL \
             SELECT e.* FROM log_event e WHERE {} AND e.position > $2) news ORDER BY position LIMIT $3",
            is_mine("e.client_id")
        );
        let [clients, after, most, _] = values(0);
        let events = self.query(&sql, [clients, after, most]).await?;
        merge(&messages, &events, limit)
    }

    async fn renew_epoch(&mut self, epoch: &str) -> Result<(), StoreError> {
        self.execute("UPDATE log_head SET epoch = $1 WHERE id = 1", [epoch.into()]).await?;
        Ok(())
    }
}

/// The newest position of a conversation.
#[derive(Serialize)]
struct Touched {
    id: String,
    position: i64,
}

impl Touched {
    /// One for each conversation, in the order of their ids.
    fn all(events: &[NewEvent], first: i64) -> Vec<Self> {
        let of = events.iter().zip(first..);
        let newest: std::collections::BTreeMap<_, _> =
            of.filter_map(|(event, position)| event.conversation_id.map(|id| (id, position))).collect();
        newest.into_iter().map(|(id, position)| Self { id: id.to_string(), position }).collect()
    }
}
