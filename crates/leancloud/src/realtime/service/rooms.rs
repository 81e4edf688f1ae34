//! Conversations: starting them, who is in them, and what they say of themselves.

use domain::Timestamp;
use domain::id::ConversationId;
use im::desk::service::CustomerRole;
use im::log::{EventKind, NewEvent};
use im::{Conversation, ConversationKind, Member};
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use super::facts::{RESERVED, Room, WireId};
use super::sessions::shown;
use super::{Client, Realtime, is_client_id};
use crate::ops::Changes;
use crate::realtime::frame::command;
use crate::realtime::policy::LoginPolicy;
use crate::realtime::refusal::{Refusal, code};
use crate::realtime::signature::Signed;
use crate::realtime::store::RealtimeUnit;
use crate::realtime::wire::{CommandType, ConvCommand, GenericCommand, JsonObjectMessage, MaxReadTuple, OpType};

/// Members of a temporary conversation.
const MAX_TEMPORARY_MEMBERS: usize = 10;
/// Longest life of a temporary conversation, and its usual one, in seconds.
const MAX_TEMPORARY_S: i32 = 30 * 86_400;
const TEMPORARY_S: i32 = 86_400;
/// Most conversations of one `is_member`.
const MAX_ASKED: usize = 100;

/// A conversation that is to be.
pub(super) struct NewConversation {
    pub(super) creator: Option<String>,
    /// Sorted, each once.
    pub(super) members: Vec<String>,
    pub(super) name: Option<String>,
    pub(super) attributes: Map<String, Value>,
    pub(super) extra: Map<String, Value>,
    /// The only one with these members.
    pub(super) is_unique: bool,
    /// Whose session it comes through.
    pub(super) origin: String,
}

/// A conversation that is there, new or not.
pub(super) struct Started {
    pub(super) conversation: Conversation,
    pub(super) unique_id: Option<String>,
}

/// What an answer says beside the operation.
fn answer(op: OpType, conv: ConvCommand) -> GenericCommand {
    GenericCommand { conv_message: Some(conv), ..command(CommandType::Conv, Some(op)) }
}

impl Realtime {
    pub(super) async fn conv(
        &self,
        client: &Client,
        op: Option<OpType>,
        conv: &ConvCommand,
    ) -> Result<GenericCommand, Refusal> {
        match op {
            Some(OpType::Start) => self.start(client, conv).await,
            Some(OpType::Query) => self.query(client, conv).await,
            Some(OpType::Count) => self.count(client, conv).await,
            Some(OpType::Update) => self.update(client, conv).await,
            Some(OpType::Add) => self.add(client, conv).await,
            Some(OpType::Remove) => self.remove(client, conv).await,
            Some(op @ (OpType::Mute | OpType::Unmute)) => self.mute(client, conv, op == OpType::Mute).await,
            Some(OpType::MaxRead) => self.max_read(client, conv).await,
            Some(OpType::IsMember) => self.is_member(client, conv).await,
            Some(OpType::Members) => self.members(client, conv).await,
            Some(OpType::MemberInfoUpdate) => Err(Refusal::new(code::ROLES_OFF, "member roles are not offered")),
            _ => Err(Refusal::not_supported("this operation of conversations")),
        }
    }

    async fn start(&self, client: &Client, conv: &ConvCommand) -> Result<GenericCommand, Refusal> {
        let mut members = conv.m.clone();
        members.push(client.peer.clone());
        let members = checked_members(members, self.ports.policy.max_members)?;
        if let Some(signature) = shown(conv.t, conv.n.as_deref(), conv.s.as_deref()) {
            let signed = Signed::Start { members: &members };
            self.check_conversation_signature(&client.peer, signed, signature)?;
        }
        let is_temporary = conv.temp_conv();
        if is_temporary && members.len() > MAX_TEMPORARY_MEMBERS {
            return Err(Refusal::new(code::FULL, "CONVERSATION_FULL"));
        }
        if let (false, false, [one, other]) = (is_temporary, conv.transient(), members.as_slice()) {
            let peer = if client.is_own(one) { other } else { one };
            if self.ports.policy.assistant.as_ref() == Some(peer) {
                return Ok(started(&self.with_assistant(client).await?, None, None));
            }
            if let Some(dialog) = self.dialog_with(client, peer).await? {
                return Ok(started(&dialog, None, None));
            }
        }
        let (name, attributes, mut extra) = described(conv.attr.as_ref())?;
        let mut lives_s = None;
        if is_temporary {
            let asked = conv.temp_conv_ttl.filter(|ttl| *ttl > 0).unwrap_or(TEMPORARY_S).min(MAX_TEMPORARY_S);
            let expires_at = self.ports.clock.now().as_millis() + i64::from(asked) * 1000;
            extra.insert("ttl".into(), json!(asked));
            extra.insert("expiresAt".into(), json!(expires_at));
            lives_s = Some(asked);
        }
        if conv.transient() {
            extra.insert("tr".into(), json!(true));
        }
        let new = NewConversation {
            creator: Some(client.peer.clone()),
            members,
            name,
            attributes,
            extra,
            is_unique: conv.unique() && !conv.transient(),
            origin: client.origin().to_owned(),
        };
        let found = self.found(new).await?;
        Ok(started(&found.conversation, found.unique_id, lives_s))
    }

    /// The conversation of a patient or doctor with the official assistant.
    async fn with_assistant(&self, client: &Client) -> Result<Conversation, Refusal> {
        let (customer, role) = match (client.party.patient, client.party.doctor) {
            (Some(patient), _) => (patient.to_string(), CustomerRole::Patient),
            (None, Some(doctor)) => (doctor.to_string(), CustomerRole::Doctor),
            (None, None) => {
                return Err(Refusal::new(code::MAY_NOT_SEND, "only patients and doctors talk to the assistant"));
            }
        };
        let opened = self.ports.desk.open_for(&customer, role).await;
        let id = opened.map_err(|error| Refusal::by_rule(code::MAY_NOT_SEND, &error))?;
        let found = self.ports.store.read().conversations().find(id).await?;
        found.ok_or_else(Refusal::no_conversation)
    }

    /// The conversation a client means when it wants to talk to one of the product's own: the dialog of the newest
    /// consultation of the two.
    async fn dialog_with(&self, client: &Client, peer: &str) -> Result<Option<Conversation>, Refusal> {
        let mut unit = self.ports.store.read();
        let party = unit.realtime().party(peer).await?;
        let own = [client.party.patient.map(|id| id.to_string()), client.party.doctor.map(|id| id.to_string())];
        let others = [party.doctor.map(|id| id.to_string()), party.patient.map(|id| id.to_string())];
        for (own, other) in own.iter().zip(&others) {
            let (Some(own), Some(other)) = (own, other) else { continue };
            if let Some(id) = unit.realtime().find_dialog(own, other).await? {
                return Ok(unit.conversations().find(id).await?);
            }
        }
        Ok(None)
    }

    /// Starts a conversation, or finds the one that is the only one of its kind.
    pub(super) async fn found(&self, new: NewConversation) -> Result<Started, Refusal> {
        let digest = hex::encode(Md5::digest(new.members.join(":")));
        let namespace = if new.extra.contains_key("ttl") { 't' } else { 'n' };
        self.found_under(format!("{namespace}:{digest}"), new).await
    }

    /// The same, unique under a key.
    pub(super) async fn found_under(&self, key: String, new: NewConversation) -> Result<Started, Refusal> {
        let unique_id = new.is_unique.then(|| key.rsplit(':').next().unwrap_or_default().to_owned());
        if new.is_unique
            && let Some(conversation) = self.find_unique(&key, &new.members, key.starts_with("n:")).await?
        {
            return Ok(Started { conversation, unique_id });
        }
        let now = self.ports.clock.now();
        let mut extra = new.extra;
        if let Some(unique_id) = &unique_id {
            extra.insert("unique".into(), json!(true));
            extra.insert("uniqueId".into(), json!(unique_id));
        }
        let conversation = Conversation {
            id: ConversationId(self.ports.ids.next()),
            kind: ConversationKind::Direct,
            consultation_id: None,
            name: new.name,
            creator: new.creator.clone(),
            last_seq: 0,
            last_position: 0,
            last_message_at: None,
            attributes: new.attributes,
            extra,
            created_at: now,
            updated_at: now,
        };
        let mut unit = self.ports.store.begin().await?;
        let mut members = Vec::with_capacity(new.members.len());
        for client_id in &new.members {
            let kind = self.member_kind(unit.as_mut(), client_id).await?;
            members.push(Member::free(conversation.id, client_id.clone(), kind, now));
        }
        if new.is_unique && !unit.realtime().claim_unique(&key, conversation.id).await? {
            // Somebody was quicker.
            drop(unit);
            let found = self.find_unique(&key, &new.members, false).await?;
            let conversation = found.ok_or_else(|| Refusal::new(4300, "CONVERSATION_CONFLICT"))?;
            return Ok(Started { conversation, unique_id });
        }
        unit.conversations().insert_all(std::slice::from_ref(&conversation), &members).await?;
        let payload = joined(&conversation, &new.members, &new.members, new.creator.as_deref(), &new.origin);
        // What lies between a service and a subscriber is nothing they join.
        if !conversation.extra.contains_key("sysOf") {
            let event = self.event(conversation.id, EventKind::Joined, payload);
            unit.log().append_events(&[event]).await?;
        }
        unit.commit().await?;
        Ok(Started { conversation, unique_id })
    }

    async fn find_unique(
        &self,
        key: &str,
        members: &[String],
        looks_at_members: bool,
    ) -> Result<Option<Conversation>, Refusal> {
        let mut unit = self.ports.store.read();
        let mut id = unit.realtime().find_unique(key).await?;
        if id.is_none() && looks_at_members {
            // Brought from elsewhere.
            id = unit.realtime().find_unique_of(members).await?;
        }
        let Some(id) = id else { return Ok(None) };
        let found = unit.conversations().find(id).await?;
        let now = self.ports.clock.now();
        let Some(conversation) = found else { return Ok(None) };
        let room = Room { conversation, members: Vec::new() };
        if !room.is_over(now) {
            return Ok(Some(room.conversation));
        }
        // It is over: another takes its place.
        let mut unit = self.ports.store.begin().await?;
        unit.realtime().release_unique(key).await?;
        unit.commit().await?;
        Ok(None)
    }

    fn check_conversation_signature(
        &self,
        peer: &str,
        signed: Signed<'_>,
        shown: crate::realtime::signature::Signature<'_>,
    ) -> Result<(), Refusal> {
        self.check_signature(peer, signed, Some(shown), code::CONVERSATION_SIGNATURE)
    }

    async fn add(&self, client: &Client, conv: &ConvCommand) -> Result<GenericCommand, Refusal> {
        let asked = checked_members(conv.m.clone(), self.ports.policy.max_members)?;
        let mut unit = self.ports.store.begin().await?;
        let room = self.room(unit.as_mut(), conv.cid.as_deref()).await?;
        let is_member = room.seat(client, code::NOT_MEMBER_UPDATE, self.ports.clock.now()).is_ok();
        let is_subscribing = room.flag("sys") && asked.iter().all(|id| client.is_own(id));
        if !room.is_free() && !is_subscribing {
            return Err(Refusal::new(code::NOT_MEMBER_UPDATE, "this conversation takes no further members"));
        }
        let is_signed = match shown(conv.t, conv.n.as_deref(), conv.s.as_deref()) {
            Some(signature) => {
                let cid = conv.cid.as_deref().unwrap_or_default();
                let signed = Signed::Members { conversation: cid, members: &asked, action: "invite" };
                self.check_conversation_signature(&client.peer, signed, signature)?;
                true
            }
            None => false,
        };
        // Who is outside comes in by a signature, or where everything is open.
        let joins_freely = self.ports.policy.login == LoginPolicy::Open && asked.iter().all(|id| client.is_own(id));
        if !is_member && !is_signed && !joins_freely && !is_subscribing && !room.flag("tr") {
            return Err(Refusal::new(code::NOT_MEMBER_UPDATE, "OPERATION_NOT_ALLOWED"));
        }
        self.add_to(unit, room, &asked, Some(client.peer.as_str()), client.origin()).await?;
        Ok(answer(OpType::Added, ConvCommand { cid: conv.cid.clone(), allowed_pids: asked, ..ConvCommand::default() }))
    }

    pub(super) async fn add_to(
        &self,
        mut unit: Box<dyn RealtimeUnit>,
        room: Room,
        asked: &[String],
        by: Option<&str>,
        origin: &str,
    ) -> Result<Timestamp, Refusal> {
        let now = self.ports.clock.now();
        let is_new = |id: &&String| !room.members.iter().any(|member| member.client_id == **id);
        let added: Vec<String> = asked.iter().filter(is_new).cloned().collect();
        if room.members.len() + added.len() > self.ports.policy.max_members && !room.flag("sys") && !room.flag("tr") {
            return Err(Refusal::new(code::FULL, "CONVERSATION_FULL"));
        }
        if added.is_empty() {
            return Ok(room.conversation.updated_at);
        }
        let id = room.conversation.id;
        let mut members = Vec::with_capacity(added.len());
        for client_id in &added {
            let kind = self.member_kind(unit.as_mut(), client_id).await?;
            members.push(Member::free(id, client_id.clone(), kind, now));
        }
        unit.conversations().add_members(&members).await?;
        let mut all: Vec<String> = room.members.iter().map(|m| m.client_id.clone()).collect();
        all.extend(added.iter().cloned());
        let payload = joined(&room.conversation, &all, &added, by, origin);
        unit.log().append_events(&[self.event(id, EventKind::Joined, payload)]).await?;
        unit.commit().await?;
        Ok(now)
    }

    async fn remove(&self, client: &Client, conv: &ConvCommand) -> Result<GenericCommand, Refusal> {
        let asked = checked_members(conv.m.clone(), self.ports.policy.max_members)?;
        let mut unit = self.ports.store.begin().await?;
        let room = self.room(unit.as_mut(), conv.cid.as_deref()).await?;
        room.seat(client, code::NOT_MEMBER_UPDATE, self.ports.clock.now())?;
        let leaves = room.flag("sys") && asked.iter().all(|id| client.is_own(id));
        if !room.is_free() && !leaves {
            return Err(Refusal::new(code::NOT_MEMBER_UPDATE, "nobody leaves this conversation"));
        }
        if let Some(signature) = shown(conv.t, conv.n.as_deref(), conv.s.as_deref()) {
            let cid = conv.cid.as_deref().unwrap_or_default();
            let signed = Signed::Members { conversation: cid, members: &asked, action: "kick" };
            self.check_conversation_signature(&client.peer, signed, signature)?;
        }
        // The client's own name stands for whichever of its ids is in it.
        let mut gone = Vec::new();
        for name in &asked {
            let is_meant = |m: &&Member| m.client_id == *name || (client.is_own(name) && client.is_own(&m.client_id));
            gone.extend(room.members.iter().filter(is_meant).map(|m| m.client_id.clone()));
        }
        self.remove_from(unit, &room, &gone, Some(client.peer.as_str()), client.origin()).await?;
        Ok(answer(
            OpType::Removed,
            ConvCommand { cid: conv.cid.clone(), allowed_pids: asked, ..ConvCommand::default() },
        ))
    }

    pub(super) async fn remove_from(
        &self,
        mut unit: Box<dyn RealtimeUnit>,
        room: &Room,
        gone: &[String],
        by: Option<&str>,
        origin: &str,
    ) -> Result<Timestamp, Refusal> {
        let id = room.conversation.id;
        let mut events = Vec::new();
        for client_id in gone {
            if unit.conversations().remove_member(id, client_id).await? {
                let payload = json!({ "clientId": client_id, "by": by, "origin": origin });
                // To those who stay, and to who is gone, who finds it after being away, too.
                let to_all = self.event(id, EventKind::Left, payload);
                let to_one = NewEvent { client_id: Some(client_id.clone()), ..to_all.clone() };
                events.extend([to_all, to_one]);
            }
        }
        unit.log().append_events(&events).await?;
        unit.commit().await?;
        Ok(self.ports.clock.now())
    }

    async fn update(&self, client: &Client, conv: &ConvCommand) -> Result<GenericCommand, Refusal> {
        let sent = object(conv.attr.as_ref())?;
        let mut unit = self.ports.store.begin().await?;
        let room = self.room(unit.as_mut(), conv.cid.as_deref()).await?;
        room.seat(client, code::NOT_MEMBER_UPDATE, self.ports.clock.now())?;
        if !room.is_free() {
            return Err(Refusal::new(code::UPDATE_FAILED, "this conversation is kept by the product"));
        }
        let now = self.change(unit, room, sent, Some(client)).await?;
        Ok(answer(
            OpType::Updated,
            ConvCommand { udate: Some(now.to_rfc3339()), cid: conv.cid.clone(), ..ConvCommand::default() },
        ))
    }

    /// Changes what a conversation says of itself and tells its members.
    pub(super) async fn change(
        &self,
        mut unit: Box<dyn RealtimeUnit>,
        room: Room,
        sent: Map<String, Value>,
        by: Option<&Client>,
    ) -> Result<Timestamp, Refusal> {
        let mut conversation = room.conversation;
        let changes = Changes::parse(sent.clone())?;
        if changes.touched().any(|key| RESERVED.contains(&key)) {
            return Err(Refusal::new(code::UPDATE_FAILED, "the server sets this"));
        }
        let mut whole = conversation.extra.clone();
        whole.insert("attr".into(), Value::Object(conversation.attributes.clone()));
        whole.extend(conversation.name.clone().map(|name| ("name".to_owned(), json!(name))));
        changes.apply(&mut whole)?;
        let modified: Map<String, Value> =
            changes.touched().filter_map(|key| Some((key.to_owned(), whole.get(key)?.clone()))).collect();
        conversation.name = whole.remove("name").and_then(|name| name.as_str().map(str::to_owned));
        conversation.attributes = match whole.remove("attr") {
            Some(Value::Object(attributes)) => attributes,
            _ => Map::new(),
        };
        conversation.extra = whole;
        conversation.updated_at = self.ports.clock.now();
        unit.realtime().save_conversation(&conversation).await?;
        let payload = json!({
            "by": by.map(|client| &client.peer),
            "origin": by.map(Client::origin),
            "attr": sent,
            "attrModified": modified,
            "udate": conversation.updated_at.to_rfc3339(),
        });
        unit.log().append_events(&[self.event(conversation.id, EventKind::Updated, payload)]).await?;
        unit.commit().await?;
        Ok(conversation.updated_at)
    }

    async fn mute(&self, client: &Client, conv: &ConvCommand, is_muted: bool) -> Result<GenericCommand, Refusal> {
        let mut unit = self.ports.store.begin().await?;
        let room = self.room(unit.as_mut(), conv.cid.as_deref()).await?;
        room.seat(client, code::NOT_MEMBER_UPDATE, self.ports.clock.now())?;
        let at = self.set_muted(unit, room, std::slice::from_ref(&client.peer), is_muted).await?;
        Ok(answer(
            OpType::Updated,
            ConvCommand { udate: Some(at.to_rfc3339()), cid: conv.cid.clone(), ..ConvCommand::default() },
        ))
    }

    pub(super) async fn set_muted(
        &self,
        mut unit: Box<dyn RealtimeUnit>,
        room: Room,
        client_ids: &[String],
        is_muted: bool,
    ) -> Result<Timestamp, Refusal> {
        let mut conversation = room.conversation;
        let mut muted: Vec<String> = muted(&conversation);
        muted.retain(|id| !client_ids.contains(id));
        if is_muted {
            muted.extend(client_ids.iter().cloned());
        }
        conversation.extra.insert("mu".into(), json!(muted));
        unit.realtime().save_conversation(&conversation).await?;
        unit.commit().await?;
        Ok(self.ports.clock.now())
    }

    async fn max_read(&self, client: &Client, conv: &ConvCommand) -> Result<GenericCommand, Refusal> {
        let mut unit = self.ports.store.read();
        let room = self.room(unit.as_mut(), conv.cid.as_deref()).await?;
        room.seat(client, code::NOT_MEMBER_LOGS, self.ports.clock.now())?;
        let mut tuples = Vec::new();
        for member in room.members.iter().filter(|member| !client.is_own(&member.client_id)) {
            let id = room.conversation.id;
            let read = self.time_of(unit.as_mut(), id, member.read_seq).await?;
            let delivered = self.time_of(unit.as_mut(), id, member.delivered_seq.max(member.read_seq)).await?;
            tuples.push(MaxReadTuple {
                pid: Some(member.client_id.clone()),
                max_ack_timestamp: delivered,
                max_read_timestamp: read,
            });
        }
        let mut found = ConvCommand { cid: conv.cid.clone(), ..ConvCommand::default() };
        if conv.query_all_members() {
            found.max_read_tuples = tuples;
        } else {
            // What all the others have: of two members, what the other one has.
            found.max_read_timestamp = tuples.iter().map(|t| t.max_read_timestamp).min().flatten();
            found.max_ack_timestamp = tuples.iter().map(|t| t.max_ack_timestamp).min().flatten();
        }
        Ok(answer(OpType::MaxRead, found))
    }

    /// When a message was written; `None` before the first.
    async fn time_of(&self, unit: &mut dyn RealtimeUnit, id: ConversationId, seq: i64) -> Result<Option<i64>, Refusal> {
        if seq <= 0 {
            return Ok(None);
        }
        Ok(unit.messages().find_seq(id, seq).await?.map(|message| message.created_at.as_millis()))
    }

    async fn is_member(&self, client: &Client, conv: &ConvCommand) -> Result<GenericCommand, Refusal> {
        let cids: Vec<&String> = conv.cids.iter().chain(&conv.cid).take(MAX_ASKED).collect();
        let ids: Vec<ConversationId> = cids.iter().filter_map(|cid| WireId::parse(cid)).map(|id| id.0).collect();
        let members = self.ports.store.read().conversations().members_of_all(&ids).await?;
        let is_in = |cid: &str| {
            WireId::parse(cid)
                .is_some_and(|id| members.iter().any(|m| m.conversation_id == id.0 && client.is_own(&m.client_id)))
        };
        let found: Map<String, Value> = cids.into_iter().map(|cid| (cid.clone(), json!(is_in(cid)))).collect();
        let results = Some(JsonObjectMessage { data: Value::Object(found).to_string() });
        Ok(answer(OpType::Result, ConvCommand { results, ..ConvCommand::default() }))
    }

    async fn members(&self, client: &Client, conv: &ConvCommand) -> Result<GenericCommand, Refusal> {
        let mut unit = self.ports.store.read();
        let room = self.room(unit.as_mut(), conv.cid.as_deref()).await?;
        room.seat(client, code::NOT_MEMBER_LOGS, self.ports.clock.now())?;
        let m = client.names(&room.members);
        Ok(answer(OpType::Result, ConvCommand { m, cid: conv.cid.clone(), ..ConvCommand::default() }))
    }
}

fn started(conversation: &Conversation, unique_id: Option<String>, lives_s: Option<i32>) -> GenericCommand {
    let room = Room { conversation: conversation.clone(), members: Vec::new() };
    answer(
        OpType::Started,
        ConvCommand {
            cid: Some(room.facts().cid),
            cdate: Some(conversation.created_at.to_rfc3339()),
            unique_id,
            temp_conv_ttl: lives_s,
            ..ConvCommand::default()
        },
    )
}

/// What members are told of who came in.
fn joined(conversation: &Conversation, all: &[String], added: &[String], by: Option<&str>, origin: &str) -> Value {
    json!({
        "conversationId": conversation.id,
        "members": all,
        "added": added,
        "by": by.or(conversation.creator.as_deref()),
        "origin": origin,
    })
}

/// Client ids, sorted, each once.
pub(super) fn checked_members(mut members: Vec<String>, most: usize) -> Result<Vec<String>, Refusal> {
    members.sort_unstable();
    members.dedup();
    if members.len() > most {
        return Err(Refusal::new(code::FULL, "CONVERSATION_FULL"));
    }
    if members.is_empty() || !members.iter().all(|id| is_client_id(id)) {
        return Err(Refusal::new(code::CLIENT_ID, "INVALID_CLIENT_ID"));
    }
    Ok(members)
}

/// A JSON object of a command.
pub(super) fn object(sent: Option<&JsonObjectMessage>) -> Result<Map<String, Value>, Refusal> {
    let Some(sent) = sent.filter(|sent| !sent.data.is_empty()) else { return Ok(Map::new()) };
    match serde_json::from_str(&sent.data) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Ok(Map::new()),
        _ => Err(Refusal::malformed()),
    }
}

/// Name, attributes and further fields of a new conversation.
type Described = (Option<String>, Map<String, Value>, Map<String, Value>);

fn described(sent: Option<&JsonObjectMessage>) -> Result<Described, Refusal> {
    described_by(object(sent)?)
}

pub(super) fn described_by(sent: Map<String, Value>) -> Result<Described, Refusal> {
    let mut fields = Map::new();
    Changes::parse(sent)?.apply(&mut fields)?;
    for key in RESERVED {
        fields.remove(key);
    }
    let name = fields.remove("name").and_then(|name| name.as_str().map(str::to_owned));
    let attributes = match fields.remove("attr") {
        Some(Value::Object(attributes)) => attributes,
        _ => Map::new(),
    };
    Ok((name, attributes, fields))
}

pub(super) fn muted(conversation: &Conversation) -> Vec<String> {
    let listed = conversation.extra.get("mu").and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
}
