//! What servers with the master key do to conversations, messages and clients.

use std::collections::HashSet;

use domain::id::MessageId;
use domain::{Actor, Timestamp};
use im::{Conversation, ConversationKind, NewMessage};
use serde_json::{Map, Value, json};

use super::facts::{Room, WireId};
use super::history::{Edge, MAX_LIMIT, MessagePageRequest};
use super::push::Told;
use super::queries::CLASS;
use super::rooms::{NewConversation, checked_members, described_by, muted};
use super::sends::mentions_of;
use super::{Realtime, is_client_id};
use crate::message::Written;
use crate::query::{Clause, Params, Query, Test, parse_order};
use crate::realtime::refusal::{Refusal, code};
use crate::realtime::signature::Signed;
use crate::realtime::store::WrittenSpan;
use crate::realtime::wire::DirectCommand;
use crate::rest::{Document, Viewer};
use crate::value::Path;

const DEFAULT_MESSAGES: i64 = 100;
/// Most clients a message of a service is for, and most asked about at once.
const MAX_TARGETS: usize = 20;
const DEFAULT_SUBSCRIBERS: usize = 50;

/// Which conversations are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoomKind {
    Normal,
    Service,
    Any,
}

/// For whom a message of a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceTarget {
    /// Those the body names in `to_clients`.
    Named,
    Everybody,
}

/// A refused field of a body.
fn bad(field: &str) -> Refusal {
    Refusal::new(107, format!("{field} is missing or not as it should be"))
}

impl Realtime {
    /// Makes a conversation and answers its row.
    ///
    /// # Errors
    /// [`Refusal`] naming the field at fault.
    pub async fn create_room(&self, body: Map<String, Value>, kind: RoomKind) -> Result<Value, Refusal> {
        let is_unique = body.get("unique").and_then(Value::as_bool).unwrap_or(false);
        let is_room = body.get("tr").and_then(Value::as_bool).unwrap_or(false);
        let is_service = kind == RoomKind::Service || body.get("sys").and_then(Value::as_bool).unwrap_or(false);
        let members = match body.get("m") {
            None => Vec::new(),
            Some(listed) => texts(listed).ok_or_else(|| bad("m"))?,
        };
        let members =
            if members.is_empty() { members } else { checked_members(members, self.ports.policy.max_members)? };
        let creator = body.get("c").and_then(Value::as_str).map(str::to_owned);
        let (name, attributes, mut extra) = described_by(body)?;
        for (key, is_set) in [("sys", is_service), ("tr", is_room)] {
            if is_set {
                extra.insert(key.to_owned(), json!(true));
            }
        }
        let is_unique = is_unique && !is_service && !members.is_empty();
        let new = NewConversation { creator, members, name, attributes, extra, is_unique, origin: String::new() };
        let started = self.found(new).await?;
        let found = self.find_by_id(&started.conversation.id.to_string()).await?;
        found.ok_or_else(Refusal::no_conversation)
    }

    /// Conversations as rows.
    ///
    /// # Errors
    /// [`Refusal`] for conditions that cannot be used.
    pub async fn find_for_servers(&self, params: &Params, kind: RoomKind) -> Result<Vec<Value>, Refusal> {
        let mut filter = params.conditions()?;
        if kind != RoomKind::Any {
            let is_service = Test::Equals(json!(true));
            let test = if kind == RoomKind::Service { is_service } else { Test::Not(Box::new(is_service)) };
            filter.0.push(Clause::Field { path: Path::parse("sys")?, test });
        }
        let order = parse_order(params.order.as_deref().unwrap_or("-updatedAt"))?;
        let query = Query { filter, order, limit: params.page_size(), skip: params.skipped(), after_id: None };
        let found = self.ports.store.read().documents().find(&Viewer::Master, CLASS, &query).await?;
        Ok(found.into_iter().map(row).collect())
    }

    async fn find_by_id(&self, id: &str) -> Result<Option<Value>, Refusal> {
        let mut params = Params::default();
        params.take("where", &json!({ "objectId": id }).to_string())?;
        Ok(self.find_for_servers(&params, RoomKind::Any).await?.pop())
    }

    /// One conversation as a row.
    ///
    /// # Errors
    /// 4303 when there is none.
    pub async fn get_for_servers(&self, id: &str) -> Result<Value, Refusal> {
        self.find_by_id(id).await?.ok_or_else(Refusal::no_conversation)
    }

    /// Changes what a conversation says of itself.
    ///
    /// # Errors
    /// 4303, 4306.
    pub async fn update_room(&self, id: &str, body: Map<String, Value>) -> Result<Value, Refusal> {
        let mut unit = self.ports.store.begin().await?;
        let room = self.room(unit.as_mut(), Some(id)).await?;
        let at = self.change(unit, room, body, None).await?;
        Ok(json!({ "updatedAt": at.to_rfc3339(), "objectId": id }))
    }

    /// Empties a conversation and puts it away. Its messages are kept.
    ///
    /// # Errors
    /// 4303; 4306 for dialogs of the product.
    pub async fn delete_room(&self, id: &str) -> Result<(), Refusal> {
        let mut unit = self.ports.store.begin().await?;
        let room = self.room(unit.as_mut(), Some(id)).await?;
        if room.conversation.kind != ConversationKind::Direct {
            return Err(Refusal::new(code::UPDATE_FAILED, "this conversation is kept by the product"));
        }
        let mut conversation = room.conversation.clone();
        conversation.extra.insert("deleted".into(), json!(true));
        conversation.updated_at = self.ports.clock.now();
        unit.realtime().save_conversation(&conversation).await?;
        unit.realtime().release_unique_of(conversation.id).await?;
        let gone: Vec<String> = room.members.iter().map(|member| member.client_id.clone()).collect();
        self.remove_from(unit, &room, &gone, None, "").await?;
        Ok(())
    }

    /// The client ids of the members.
    ///
    /// # Errors
    /// 4303.
    pub async fn member_ids(&self, id: &str) -> Result<Vec<String>, Refusal> {
        let mut unit = self.ports.store.read();
        let room = self.room(unit.as_mut(), Some(id)).await?;
        Ok(room.members.into_iter().map(|member| member.client_id).collect())
    }

    /// Adds or removes members.
    ///
    /// # Errors
    /// 4303, 4304; 4306 for dialogs of the product.
    pub async fn change_members(&self, id: &str, body: &Map<String, Value>, is_added: bool) -> Result<Value, Refusal> {
        let ids = client_ids(body)?;
        let mut unit = self.ports.store.begin().await?;
        let room = self.room(unit.as_mut(), Some(id)).await?;
        if room.conversation.kind != ConversationKind::Direct {
            return Err(Refusal::new(code::UPDATE_FAILED, "this conversation is kept by the product"));
        }
        let at = if is_added {
            self.add_to(unit, room, &ids, None, "").await?
        } else {
            self.remove_from(unit, &room, &ids, None, "").await?
        };
        Ok(json!({ "updatedAt": at.to_rfc3339(), "objectId": id }))
    }

    /// Who has muted a conversation.
    ///
    /// # Errors
    /// 4303.
    pub async fn mutes(&self, id: &str) -> Result<Vec<String>, Refusal> {
        let mut unit = self.ports.store.read();
        Ok(muted(&self.room(unit.as_mut(), Some(id)).await?.conversation))
    }

    /// Mutes a conversation for clients, or the other way round.
    ///
    /// # Errors
    /// 4303.
    pub async fn change_mutes(&self, id: &str, body: &Map<String, Value>, is_muted: bool) -> Result<Value, Refusal> {
        let ids = client_ids(body)?;
        let mut unit = self.ports.store.begin().await?;
        let room = self.room(unit.as_mut(), Some(id)).await?;
        let at = self.set_muted(unit, room, &ids, is_muted).await?;
        Ok(json!({ "updatedAt": at.to_rfc3339(), "objectId": id }))
    }

    /// Writes a message into a conversation in the name of any client.
    ///
    /// # Errors
    /// 4303, 4109; 107 naming the field; what the rules of a consultation refuse.
    pub async fn post_message(&self, id: &str, from: &str, body: &Map<String, Value>) -> Result<Value, Refusal> {
        let mut unit = self.ports.store.read();
        let room = self.room(unit.as_mut(), Some(id)).await?;
        if room.flag("sys") {
            return Err(Refusal::new(4313, "a service's messages are for named clients or for all subscribers"));
        }
        self.post(&room.conversation, &room, from, body).await
    }

    async fn post(
        &self,
        conversation: &Conversation,
        room: &Room,
        from: &str,
        body: &Map<String, Value>,
    ) -> Result<Value, Refusal> {
        if !is_client_id(from) {
            return Err(bad("from_client"));
        }
        let data = match body.get("message") {
            Some(Value::String(text)) => text.clone(),
            Some(typed @ Value::Object(_)) => typed.to_string(),
            _ => return Err(bad("message")),
        };
        self.check_length(Some(&data), None)?;
        let mentions = mentions_of(body);
        let flag = |key: &str| body.get(key).and_then(Value::as_bool).unwrap_or(false);
        if flag("transient") {
            let direct = DirectCommand {
                msg: Some(data),
                mention_all: flag("mention_all").then_some(true),
                mention_pids: mentions,
                ..DirectCommand::default()
            };
            return self.pass_on(conversation, from, direct).await;
        }
        let is_member = room.conversation.id == conversation.id && room.members.iter().any(|m| m.client_id == from);
        let written = Written {
            mentions: &mentions,
            mentions_all: flag("mention_all"),
            from: (!is_member).then_some(from),
            ..Written::plain(&data, false)
        };
        let may_show = match written.file() {
            // A server may show any file.
            Some(file) => self.ports.store.read().files().find(file).await?.is_some(),
            None => false,
        };
        let (kind, content) = written.read(|_| may_show);
        let id = MessageId(self.ports.ids.next());
        let name = id.to_string();
        let message = self.messages.new_message(conversation.id, from.to_owned(), &name, kind, content);
        // Members are bound by the rules; whoever is none speaks as the product itself.
        let message = if is_member {
            message
        } else {
            NewMessage { sender: None, is_agreed: true, client_message_id: None, ..message }
        };
        match self.ports.queue.hand_in(message).await {
            Ok(ack) => Ok(json!({ "msg-id": ack.message_id, "timestamp": ack.server_time.as_millis() })),
            Err(error) => Err(Refusal::of_message(&error)),
        }
    }

    /// Passes a message on to the members that are connected to this node, without storing it.
    async fn pass_on(&self, conversation: &Conversation, from: &str, direct: DirectCommand) -> Result<Value, Refusal> {
        let members = self.ports.store.read().conversations().members(conversation.id).await?;
        let members: Vec<String> = members.into_iter().map(|member| member.client_id).collect();
        let (id, at, direct) = self.passing(&super::facts::Facts::of(conversation), from, direct);
        self.ports.relay.pass_on(direct, &members);
        Ok(json!({ "msg-id": id, "timestamp": at }))
    }

    /// Messages of a conversation, newest first unless asked for the other way round.
    ///
    /// # Errors
    /// 4303.
    pub async fn messages_for_servers(&self, id: &str, query: &Map<String, Value>) -> Result<Vec<Value>, Refusal> {
        let mut unit = self.ports.store.read();
        let room = self.room(unit.as_mut(), Some(id)).await?;
        self.listed(&room.conversation, query).await
    }

    async fn listed(&self, conversation: &Conversation, query: &Map<String, Value>) -> Result<Vec<Value>, Refusal> {
        let mut unit = self.ports.store.read();
        let request = page_of(query);
        let mut messages = self.page(unit.as_mut(), conversation, &request).await?;
        if !request.is_forward {
            messages.reverse();
        }
        let cid = super::facts::Facts::of(conversation).cid;
        let told = self.told_to_servers(unit.as_mut(), &messages).await?;
        Ok(told.into_iter().map(|told| logged(told, &cid)).collect())
    }

    /// Messages of everybody or of one client, newest first unless asked for the other way round.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn written_by(&self, sender: Option<&str>, query: &Map<String, Value>) -> Result<Vec<Value>, Refusal> {
        let request = page_of(query);
        let limit = request.limit.unwrap_or(DEFAULT_MESSAGES).min(MAX_LIMIT);
        let mut unit = self.ports.store.read();
        // Some more, so that what has the very time of the last page can be passed over.
        let passed_over = if request.from.id.is_some() { MAX_LIMIT } else { 0 };
        let wanted = u32::try_from(limit + passed_over).unwrap_or_default();
        let mut told = {
            let found = unit.realtime().written(sender, span_of(&request, wanted)).await?;
            self.told_to_servers(unit.as_mut(), &found).await?
        };
        told = between(told, &request);
        told.truncate(usize::try_from(limit).unwrap_or_default());
        let mut listed = Vec::with_capacity(told.len());
        for told in told {
            let room = unit.conversations().find(told.message.conversation_id).await?;
            let cid = room.map(|room| super::facts::Facts::of(&room).cid).unwrap_or_default();
            listed.push(logged(told, &cid));
        }
        Ok(listed)
    }

    /// Changes a message.
    ///
    /// # Errors
    /// 4303, 4404; 4406 within consultations.
    pub async fn update_message(&self, id: &str, mid: &str, body: &Map<String, Value>) -> Result<(), Refusal> {
        let (room, message) = self.message_of(id, mid, number(body, "timestamp")).await?;
        if room.conversation.kind != ConversationKind::Direct || message.is_recalled() {
            return Err(Refusal::new(code::EDIT_OFF, "MESSAGE_EDIT_DISABLED"));
        }
        let data = match body.get("message") {
            Some(Value::String(text)) => text.clone(),
            Some(typed @ Value::Object(_)) => typed.to_string(),
            _ => return Err(bad("message")),
        };
        self.check_length(Some(&data), None)?;
        let shown = crate::message::show(&message, |_| None);
        let edited_at = Some(self.ports.clock.now().as_millis());
        let written = Written { edited_at, from: shown.from.as_deref(), ..Written::plain(&data, false) };
        let (kind, content) = written.read(|_| false);
        self.amend(im::Message { kind, content, ..message }, "").await
    }

    /// Recalls a message, however old it is.
    ///
    /// # Errors
    /// 4303, 4404.
    pub async fn recall_message(&self, id: &str, mid: &str, timestamp: Option<i64>) -> Result<(), Refusal> {
        let (room, message) = self.message_of(id, mid, timestamp).await?;
        let recalled = self.recalls.recall(&Actor::System, room.conversation.id, message.id).await;
        recalled.map(|_| ()).map_err(|error| Refusal::internal(&error))
    }

    async fn message_of(&self, id: &str, mid: &str, timestamp: Option<i64>) -> Result<(Room, im::Message), Refusal> {
        let mut unit = self.ports.store.read();
        let room = self.room(unit.as_mut(), Some(id)).await?;
        let found = self.find_message(unit.as_mut(), &room.conversation, mid, timestamp).await?;
        Ok((room, found.ok_or_else(|| Refusal::new(code::NO_MESSAGE, "MESSAGE_NOT_FOUND"))?))
    }

    async fn service(&self, id: &str) -> Result<Room, Refusal> {
        let mut unit = self.ports.store.read();
        let room = self.room(unit.as_mut(), Some(id)).await?;
        if room.flag("sys") { Ok(room) } else { Err(Refusal::no_conversation()) }
    }

    /// Writes a message of a service to clients, and answers the id and time of the last.
    ///
    /// # Errors
    /// 4303; 107 naming the field.
    pub async fn post_to_subscribers(
        &self,
        id: &str,
        body: &Map<String, Value>,
        target: ServiceTarget,
    ) -> Result<Value, Refusal> {
        let service = self.service(id).await?;
        let from = body.get("from_client").and_then(Value::as_str).unwrap_or_default().to_owned();
        let targets: Vec<String> = match target {
            ServiceTarget::Everybody => service.members.iter().map(|member| member.client_id.clone()).collect(),
            ServiceTarget::Named => {
                let named = body.get("to_clients").and_then(texts).filter(|ids| !ids.is_empty());
                let named = named.ok_or_else(|| bad("to_clients"))?;
                if named.len() > MAX_TARGETS {
                    return Err(bad("to_clients"));
                }
                named.into_iter().collect::<HashSet<_>>().into_iter().collect()
            }
        };
        let mut answer = json!({ "msg-id": self.ports.ids.next(), "timestamp": self.ports.clock.now().as_millis() });
        for target in targets {
            let conversation = self.subscription(&service, &target).await?;
            answer = self.post(&conversation, &service, &from, body).await?;
        }
        Ok(answer)
    }

    /// The messages between a service and one subscriber.
    ///
    /// # Errors
    /// 4303.
    pub async fn subscriber_messages(
        &self,
        id: &str,
        subscriber: &str,
        query: &Map<String, Value>,
    ) -> Result<Vec<Value>, Refusal> {
        let service = self.service(id).await?;
        let conversation = self.subscription(&service, subscriber).await?;
        self.listed(&conversation, query).await
    }

    /// Who has subscribed to a service, after `client_id`.
    ///
    /// # Errors
    /// 4303.
    pub async fn subscribers(&self, id: &str, query: &Map<String, Value>) -> Result<Vec<Value>, Refusal> {
        let service = self.service(id).await?;
        let after = query.get("client_id").and_then(Value::as_str).unwrap_or_default();
        let limit = number(query, "limit").and_then(|n| usize::try_from(n).ok()).unwrap_or(DEFAULT_SUBSCRIBERS);
        let listed = service.members.iter().filter(|member| member.client_id.as_str() > after).take(limit);
        Ok(listed
            .map(|m| json!({ "timestamp": m.joined_at.as_millis(), "subscriber": m.client_id, "conv_id": id }))
            .collect())
    }

    /// Messages a client has not read, in all conversations or one.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn unread_count(&self, client_id: &str, cid: Option<&str>) -> Result<i64, Refusal> {
        let mut unit = self.ports.store.read();
        let ids = [client_id.to_owned()];
        let mut page = domain::page::PageRequest { limit: domain::page::PageRequest::MAX_LIMIT, after: None };
        let only = cid.map(|cid| WireId::parse(cid).ok_or_else(Refusal::no_conversation)).transpose()?;
        let mut count = 0;
        loop {
            let listed = unit.conversations().list(&ids, page).await?;
            for summary in &listed.items {
                let is_asked = only.is_none_or(|only| only.0 == summary.conversation.id);
                let seat = summary.members.iter().find(|member| member.client_id == client_id);
                if let Some(seat) = seat.filter(|_| is_asked) {
                    count += seat.unread_count(summary.conversation.last_seq);
                }
            }
            match listed.next {
                Some(next) => page.after = Some(next),
                None => return Ok(count),
            }
        }
    }

    /// Signs a client's login.
    pub fn sign_login(&self, client_id: &str) -> Value {
        let timestamp = self.ports.clock.now().as_millis();
        let nonce = self.ports.random.base62(16);
        let signature = self.ports.signer.sign(client_id, Signed::Login, timestamp, &nonce);
        json!({ "client_id": client_id, "signature": signature, "nonce": nonce, "timestamp": timestamp })
    }
}

fn row(document: Document) -> Value {
    let mut row = document.fields;
    row.insert("objectId".into(), json!(document.id.to_string()));
    row.insert("createdAt".into(), json!(document.created_at.to_rfc3339()));
    row.insert("updatedAt".into(), json!(document.updated_at.to_rfc3339()));
    Value::Object(row)
}

fn logged(told: Told, cid: &str) -> Value {
    let Told { message, shown, from, id, .. } = told;
    json!({
        "timestamp": message.created_at.as_millis(),
        "conv-id": cid,
        "data": shown.data,
        "from": from,
        "msg-id": id,
        "is-conv": true,
        "is-room": false,
        "to": cid,
        "bin": shown.is_binary,
        "from-ip": "",
    })
}

fn page_of(query: &Map<String, Value>) -> MessagePageRequest {
    let text = |key: &str| query.get(key).and_then(Value::as_str).map(str::to_owned);
    let flag = |key: &str| text(key).is_some_and(|word| word == "true" || word == "1");
    MessagePageRequest {
        from: Edge { timestamp: number(query, "timestamp"), id: text("msgid"), is_included: flag("include_start") },
        until: Edge {
            timestamp: number(query, "till_timestamp"),
            id: text("till_msgid"),
            is_included: flag("include_stop"),
        },
        is_forward: flag("reversed"),
        limit: Some(number(query, "limit").filter(|n| *n > 0).unwrap_or(DEFAULT_MESSAGES)),
        kind: None,
    }
}

/// The times between the ends of a request.
fn span_of(request: &MessagePageRequest, limit: u32) -> WrittenSpan {
    let time = |edge: &Edge, unsaid: i64| Timestamp::from_millis(edge.time().unwrap_or(unsaid));
    let (MessagePageRequest { from, until, is_forward, .. }, latest) = (request, i64::MAX / 2);
    let (since, until) =
        if *is_forward { (time(from, 0), time(until, latest)) } else { (time(until, 0), time(from, latest)) };
    WrittenSpan { since, until, is_forward: *is_forward, limit }
}

/// What lies between the messages a request names, in the order they come.
fn between(mut told: Vec<Told>, request: &MessagePageRequest) -> Vec<Told> {
    let place = |told: &[Told], edge: &Edge| edge.id.as_ref().and_then(|id| told.iter().position(|t| t.id == *id));
    if let Some(at) = place(&told, &request.until) {
        told.truncate(at + usize::from(request.until.is_included));
    }
    if let Some(at) = place(&told, &request.from) {
        told.drain(..at + usize::from(!request.from.is_included));
    }
    told
}

/// A number, or one written out as in addresses.
fn number(object: &Map<String, Value>, key: &str) -> Option<i64> {
    let value = object.get(key)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

fn texts(listed: &Value) -> Option<Vec<String>> {
    // The storage SDK adds members by an operation.
    let listed = listed.get("objects").unwrap_or(listed);
    listed.as_array()?.iter().map(|id| id.as_str().map(str::to_owned)).collect()
}

fn client_ids(body: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    let ids = body.get("client_ids").and_then(texts).ok_or_else(|| bad("client_ids"))?;
    checked_members(ids, usize::MAX)
}
