//! Finding conversations with the language of the storage interface.

use domain::id::ConversationId;
use im::{Conversation, Message};
use serde_json::{Map, Value, json};

use super::facts::{Facts, TEMPORARY, WireId};
use super::rooms::object;
use super::{Client, Realtime};
use crate::query::{Query, Where, parse_order, parse_where};
use crate::realtime::frame::command;
use crate::realtime::policy::LoginPolicy;
use crate::realtime::refusal::{Refusal, code};
use crate::realtime::store::RealtimeUnit;
use crate::realtime::wire::{CommandType, ConvCommand, GenericCommand, JsonObjectMessage, OpType};
use crate::rest::Document;

/// The class conversations are a part of.
pub(super) const CLASS: &str = "_Conversation";
const DEFAULT_LIMIT: i32 = 10;
const MAX_LIMIT: i32 = 1000;
/// Without members.
const COMPACT: i32 = 1;
/// With the last message.
const WITH_MESSAGE: i32 = 2;
/// Most temporary conversations of one query.
const MAX_TEMPORARY: usize = 100;

impl Realtime {
    pub(super) async fn query(&self, client: &Client, conv: &ConvCommand) -> Result<GenericCommand, Refusal> {
        let flags = conv.flag.unwrap_or_default();
        let mut unit = self.ports.store.read();
        let rows = if conv.temp_conv_ids.is_empty() {
            self.find_rooms(unit.as_mut(), client, conv).await?
        } else {
            self.find_temporary(unit.as_mut(), client, &conv.temp_conv_ids).await?
        };
        let mut results = Vec::with_capacity(rows.len());
        for (id, mut row) in rows {
            if flags & COMPACT != 0 {
                row.remove("m");
            }
            if flags & WITH_MESSAGE != 0
                && let Some(message) = self.newest(unit.as_mut(), client, id).await?
            {
                row.extend(self.last_message(unit.as_mut(), client, &message).await?);
            }
            results.push(Value::Object(row));
        }
        let results = Some(JsonObjectMessage { data: Value::Array(results).to_string() });
        let conv = ConvCommand { results, ..ConvCommand::default() };
        Ok(GenericCommand { conv_message: Some(conv), ..command(CommandType::Conv, Some(OpType::Results)) })
    }

    pub(super) async fn count(&self, client: &Client, conv: &ConvCommand) -> Result<GenericCommand, Refusal> {
        let count = if let Some(cid) = conv.cid.as_deref() {
            self.count_people(client, cid).await?
        } else {
            let filter = Self::conditions(client, conv)?;
            self.ports.store.read().documents().count(&client.viewer(), CLASS, &filter).await?
        };
        let count = Some(i32::try_from(count).unwrap_or(i32::MAX));
        let conv = ConvCommand { count, ..ConvCommand::default() };
        Ok(GenericCommand { conv_message: Some(conv), ..command(CommandType::Conv, Some(OpType::Result)) })
    }

    /// How many are in a conversation; of a chat room, how many of them are connected, which whoever looks in may ask.
    async fn count_people(&self, client: &Client, cid: &str) -> Result<u64, Refusal> {
        let mut unit = self.ports.store.read();
        let room = self.room(unit.as_mut(), Some(cid)).await?;
        if !room.flag("tr") {
            room.seat(client, code::NOT_MEMBER_LOGS, self.ports.clock.now())?;
            return Ok(room.members.len() as u64);
        }
        let members: Vec<String> = room.members.into_iter().map(|member| member.client_id).collect();
        Ok(self.connected(&members).await?.len() as u64)
    }

    async fn find_rooms(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        conv: &ConvCommand,
    ) -> Result<Vec<(ConversationId, Map<String, Value>)>, Refusal> {
        let limit = conv.limit.filter(|limit| *limit >= 0).unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
        let query = Query {
            filter: Self::conditions(client, conv)?,
            order: parse_order(conv.sort.as_deref().filter(|sort| !sort.is_empty()).unwrap_or("-lm"))?,
            limit: limit.unsigned_abs(),
            skip: conv.skip.unwrap_or_default().max(0).unsigned_abs(),
            after_id: None,
        };
        let found = unit.documents().find(&client.viewer(), CLASS, &query).await?;
        let mut rows: Vec<_> =
            found.into_iter().map(|document| (ConversationId(document.id), row(client, document))).collect();
        if rows.is_empty() {
            rows.extend(self.by_id_alone(unit, client, conv).await?);
        }
        Ok(rows)
    }

    /// A conversation that the client is not in and names. Where everything is open, whoever names one finds it, as it has
    /// to before it can join; of one it has left it may know that it is there, since it is told so. Dialogs of the product
    /// are for those in them.
    async fn by_id_alone(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        conv: &ConvCommand,
    ) -> Result<Option<(ConversationId, Map<String, Value>)>, Refusal> {
        let filter = object(conv.r#where.as_ref())?;
        let named = filter.get("objectId").and_then(Value::as_str).filter(|_| filter.len() == 1);
        let Some(WireId(id)) = named.and_then(WireId::parse) else { return Ok(None) };
        let Some(conversation) = unit.conversations().find(id).await? else { return Ok(None) };
        if conversation.kind != im::ConversationKind::Direct || conversation.extra.contains_key("sysOf") {
            return Ok(None);
        }
        if self.ports.policy.login == LoginPolicy::Open {
            let query = Query { filter: parse_where(&Value::Object(filter))?, limit: 1, ..Query::default() };
            let found = unit.documents().find(&crate::rest::Viewer::Master, CLASS, &query).await?.pop();
            return Ok(found.map(|document| (id, row(client, document))));
        }
        Ok(unit.realtime().has_left(&client.ids, id).await?.then(|| (id, bare(&conversation))))
    }

    fn conditions(client: &Client, conv: &ConvCommand) -> Result<Where, Refusal> {
        let mut filter = object(conv.r#where.as_ref())?;
        if let Some(cid) = &conv.cid {
            filter.insert("objectId".into(), json!(cid));
        }
        about_oneself(&mut filter, client);
        Ok(parse_where(&Value::Object(filter))?)
    }

    async fn find_temporary(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        cids: &[String],
    ) -> Result<Vec<(ConversationId, Map<String, Value>)>, Refusal> {
        let now = self.ports.clock.now();
        let mut rows = Vec::new();
        for cid in cids.iter().take(MAX_TEMPORARY).filter(|cid| cid.starts_with(TEMPORARY)) {
            let Ok(room) = self.room(unit, Some(cid)).await else { continue };
            if room.seat(client, code::NOT_MEMBER_LOGS, now).is_err() {
                continue;
            }
            let mut row = shown(&room.conversation, &client.names(&room.members), client);
            let expires = room.conversation.extra.get("expiresAt").and_then(Value::as_i64).unwrap_or_default();
            row.insert("ttl".into(), json!((expires - now.as_millis()) / 1000));
            row.remove("expiresAt");
            rows.push((room.conversation.id, row));
        }
        Ok(rows)
    }

    async fn newest(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        id: ConversationId,
    ) -> Result<Option<Message>, Refusal> {
        let room = self.room_of(unit, id).await?;
        if client.seat(&room.members).is_none() || room.conversation.last_seq == 0 {
            return Ok(None);
        }
        Ok(unit.messages().find_seq(id, room.conversation.last_seq).await?)
    }

    async fn last_message(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        message: &Message,
    ) -> Result<Map<String, Value>, Refusal> {
        let told = self.told(unit, client, message).await?;
        let mut row = Map::new();
        row.insert("msg".into(), json!(told.shown.data));
        if told.shown.is_binary {
            row.insert("bin".into(), json!(true));
        }
        row.insert("msg_from".into(), json!(told.from));
        row.insert("msg_mid".into(), json!(told.id));
        row.insert("msg_timestamp".into(), json!(message.created_at.as_millis()));
        row.extend(told.shown.edited_at.map(|at| ("patch_timestamp".to_owned(), json!(at))));
        Ok(row)
    }
}

/// Conditions on who is in it name the client by the id it opened; it is in all it can see, by whichever id.
fn about_oneself(filter: &mut Map<String, Value>, client: &Client) {
    if client.ids.len() == 1 {
        return;
    }
    let is_own = |value: &Value| value.as_str().is_some_and(|id| client.is_own(id));
    let Some(condition) = filter.get_mut("m") else { return };
    let is_met = match condition {
        Value::String(id) => client.is_own(id),
        Value::Object(tests) => {
            if let Some(Value::Array(all)) = tests.get_mut("$all") {
                all.retain(|id| !is_own(id));
                if all.is_empty() {
                    tests.remove("$all");
                }
            }
            if tests.get("$in").and_then(Value::as_array).is_some_and(|some| some.iter().any(is_own)) {
                tests.remove("$in");
            }
            tests.is_empty()
        }
        _ => false,
    };
    if is_met {
        filter.remove("m");
    }
}

/// A row as the client gets it.
fn row(client: &Client, document: Document) -> Map<String, Value> {
    let mut row = document.fields;
    let renamed = |id: &Value| id.as_str().map(|id| json!(client.name(id))).unwrap_or_default();
    if let Some(Value::Array(members)) = row.get_mut("m") {
        *members = members.iter().map(renamed).collect();
        members.dedup();
    }
    if let Some(creator) = row.get_mut("c") {
        *creator = renamed(creator);
    }
    row.insert("objectId".into(), json!(document.id.to_string()));
    row.insert("createdAt".into(), json!(document.created_at.to_rfc3339()));
    row.insert("updatedAt".into(), json!(document.updated_at.to_rfc3339()));
    row
}

/// Of a conversation no more than that it is there.
fn bare(conversation: &Conversation) -> Map<String, Value> {
    let row = [
        ("objectId", json!(conversation.id)),
        ("m", json!([])),
        ("createdAt", json!(conversation.created_at.to_rfc3339())),
        ("updatedAt", json!(conversation.created_at.to_rfc3339())),
    ];
    row.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// A conversation that is not read as a row.
fn shown(conversation: &Conversation, members: &[String], client: &Client) -> Map<String, Value> {
    let mut row = conversation.extra.clone();
    row.extend(conversation.name.clone().map(|name| ("name".to_owned(), json!(name))));
    row.insert("m".into(), json!(members));
    row.extend(conversation.creator.as_deref().map(|id| ("c".to_owned(), json!(client.name(id)))));
    row.extend(conversation.last_message_at.map(|at| ("lm".to_owned(), crate::wire::date(at))));
    row.insert("attr".into(), json!(conversation.attributes));
    row.insert("objectId".into(), json!(Facts::of(conversation).cid));
    row.insert("createdAt".into(), json!(conversation.created_at.to_rfc3339()));
    row.insert("updatedAt".into(), json!(conversation.updated_at.to_rfc3339()));
    row
}
