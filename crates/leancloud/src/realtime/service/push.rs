//! What happens elsewhere, as the commands that tell an open session of it.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::file::File;
use domain::id::{ConversationId, FileId};
use domain::page::PageRequest;
use domain::{StoreError, Timestamp};
use im::Message;
use im::log::{EventKind, LogEntry, LogEvent};
use im::message::HistoryPage;
use serde_json::Value;

use super::facts::Facts;
use super::sends::wire_id;
use super::{Client, Realtime, SYSTEM, notices};
use crate::message::{Shown, needed_file, show};
use crate::realtime::frame::command;
use crate::realtime::refusal::{Refusal, code};
use crate::realtime::store::RealtimeUnit;
use crate::realtime::wire::{
    CommandType, DirectCommand, GenericCommand, OpType, PatchCommand, PatchItem, RcpCommand, SessionCommand,
    UnreadCommand, UnreadTuple,
};

/// Most conversations of an unread summary.
const MAX_UNREAD: usize = 50;
/// Own messages looked at for one whose reading is to be told.
const MAX_RECEIPTS: u32 = 50;
/// Most changes of messages that are told again.
const MAX_PATCHES: u32 = 100;
/// Most messages of a conversation that are pushed to a client that was away.
const MAX_MISSED: u32 = 20;

/// A message as one client is told of it.
pub(super) struct Told {
    pub(super) message: Message,
    pub(super) shown: Shown,
    pub(super) from: String,
    pub(super) id: String,
    /// When it was changed or recalled.
    pub(super) patched_at: Option<i64>,
}

/// What a session is told.
pub enum Push {
    Commands(Vec<GenericCommand>),
    /// The session is over; the command says why.
    Ended(Box<GenericCommand>),
}

impl Realtime {
    /// What an entry of the log tells an open session.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn push(&self, client: &Client, entry: &LogEntry) -> Result<Push, Refusal> {
        let mut unit = self.ports.store.read();
        let commands = match entry {
            LogEntry::Message(message) => vec![self.direct(unit.as_mut(), client, message, false).await?],
            LogEntry::Event(event) if event.kind == EventKind::ClientEnded => {
                return Ok(ended(client, event).map_or(Push::Commands(Vec::new()), |over| Push::Ended(Box::new(over))));
            }
            LogEntry::Event(event) => self.event_commands(unit.as_mut(), client, event).await?,
        };
        let addressed = commands.into_iter().map(|c| GenericCommand { peer_id: Some(client.peer.clone()), ..c });
        Ok(Push::Commands(addressed.collect()))
    }

    /// What a session is told once it is open: what is unread, and which messages changed while it was away.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn greeting(
        &self,
        client: &Client,
        session: &SessionCommand,
        is_resumed: bool,
        pushes_missed: bool,
    ) -> Result<Vec<GenericCommand>, Refusal> {
        let mut commands = Vec::new();
        if let Some(unread) = self.unread(client, session.last_unread_notif_time.unwrap_or_default()).await? {
            if pushes_missed {
                let mut unit = self.ports.store.read();
                for tuple in &unread.convs {
                    commands.extend(self.missed(unit.as_mut(), client, tuple).await?);
                }
            }
            commands.push(GenericCommand { unread_message: Some(unread), ..command(CommandType::Unread, None) });
        }
        let since = session.last_patch_time.filter(|at| *at > 0);
        if let Some(since) = since.filter(|_| is_resumed || session.r()) {
            commands.extend(self.patches_since(client, Timestamp::from_millis(since)).await?);
        }
        Ok(commands.into_iter().map(|c| GenericCommand { peer_id: Some(client.peer.clone()), ..c }).collect())
    }

    async fn missed(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        tuple: &UnreadTuple,
    ) -> Result<Vec<GenericCommand>, Refusal> {
        let room = self.room(unit, Some(&tuple.cid)).await?;
        let Some(seat) = client.seat(&room.members) else { return Ok(Vec::new()) };
        let after = HistoryPage::After(seat.read_seq.max(seat.delivered_seq));
        let messages = unit.messages().history(room.conversation.id, after, MAX_MISSED).await?;
        let mut commands = Vec::new();
        for message in messages.iter().filter(|m| !client.is_own(m.sender.as_deref().unwrap_or_default())) {
            commands.push(self.direct(unit, client, message, true).await?);
        }
        Ok(commands)
    }

    async fn unread(&self, client: &Client, since: i64) -> Result<Option<UnreadCommand>, Refusal> {
        let page = PageRequest { limit: PageRequest::MAX_LIMIT, after: None };
        let mut unit = self.ports.store.read();
        let listed = unit.conversations().list(&client.ids, page).await?;
        let mut convs = Vec::new();
        for summary in listed.items {
            let Some(seat) = client.seat(&summary.members) else { continue };
            let unread = seat.unread_count(summary.conversation.last_seq);
            let is_changed = summary.conversation.updated_at.as_millis() > since;
            if !is_changed || (unread == 0 && since == 0) || convs.len() >= MAX_UNREAD {
                continue;
            }
            let facts = Facts::of(&summary.conversation);
            let mut tuple = UnreadTuple {
                cid: facts.cid,
                unread: i32::try_from(unread).unwrap_or(i32::MAX),
                conv_type: Some(facts.kind),
                ..UnreadTuple::default()
            };
            if let Some(message) = summary.last_message {
                self.describe(unit.as_mut(), client, &message, &mut tuple).await?;
            }
            convs.push(tuple);
        }
        let now = self.ports.clock.now().as_millis();
        Ok((!convs.is_empty()).then_some(UnreadCommand { convs, notif_time: Some(now) }))
    }

    async fn describe(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        message: &Message,
        tuple: &mut UnreadTuple,
    ) -> Result<(), Refusal> {
        let told = self.told(unit, client, message).await?;
        let (text, bytes) = text_or_bytes(&told.shown);
        tuple.mid = Some(told.id);
        tuple.timestamp = Some(message.created_at.as_millis());
        tuple.from = Some(told.from);
        tuple.data = text;
        tuple.binary_msg = bytes;
        tuple.patch_timestamp = told.patched_at;
        let is_meant = told.shown.mentions_all || told.shown.mentions.iter().any(|id| client.is_own(id));
        tuple.mentioned = is_meant.then_some(true);
        Ok(())
    }

    async fn direct(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        message: &Message,
        is_offline: bool,
    ) -> Result<GenericCommand, Refusal> {
        let facts = self.facts_of(unit, message.conversation_id).await?;
        let told = self.told(unit, client, message).await?;
        let (msg, binary_msg) = text_or_bytes(&told.shown);
        let direct = DirectCommand {
            msg,
            binary_msg,
            from_peer_id: Some(told.from),
            timestamp: Some(message.created_at.as_millis()),
            offline: is_offline.then_some(true),
            cid: Some(facts.cid),
            id: Some(told.id),
            patch_timestamp: told.patched_at,
            mention_pids: told.shown.mentions,
            mention_all: told.shown.mentions_all.then_some(true),
            conv_type: Some(facts.kind),
            ..DirectCommand::default()
        };
        let server_ts = Some(self.ports.clock.now().as_millis());
        Ok(GenericCommand { server_ts, direct_message: Some(direct), ..command(CommandType::Direct, None) })
    }

    /// What never changes about a conversation.
    pub(super) async fn facts_of(&self, unit: &mut dyn RealtimeUnit, id: ConversationId) -> Result<Facts, Refusal> {
        if let Some(facts) = self.facts.get(id) {
            return Ok(facts);
        }
        let conversation = unit.conversations().find(id).await?.ok_or_else(Refusal::no_conversation)?;
        let facts = Facts::of(&conversation);
        self.facts.put(id, facts.clone());
        Ok(facts)
    }

    /// A message as the client gets it.
    pub(super) async fn told(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        message: &Message,
    ) -> Result<Told, Refusal> {
        let mut told = self.told_all(unit, client, std::slice::from_ref(message)).await?;
        told.pop().ok_or_else(|| Refusal::new(code::NO_MESSAGE, "MESSAGE_NOT_FOUND"))
    }

    /// Messages as the client gets them.
    pub(super) async fn told_all(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        messages: &[Message],
    ) -> Result<Vec<Told>, Refusal> {
        let files = files_of(unit, messages).await?;
        Ok(messages.iter().map(|message| self.told_with(client.is_own_name(message), message, &files)).collect())
    }

    /// The same, for servers, which are nobody in particular.
    pub(super) async fn told_to_servers(
        &self,
        unit: &mut dyn RealtimeUnit,
        messages: &[Message],
    ) -> Result<Vec<Told>, Refusal> {
        let files = files_of(unit, messages).await?;
        Ok(messages.iter().map(|message| self.told_with(None, message, &files)).collect())
    }

    fn told_with(&self, own: Option<&str>, message: &Message, files: &HashMap<FileId, File>) -> Told {
        let shown = show(message, |id| files.get(&id).map(|file| self.lcfile(file)));
        let sender = message.sender.as_deref();
        let from = own.or(shown.from.as_deref()).or(sender).unwrap_or(SYSTEM).to_owned();
        let recalled_at = message.recalled_at.map(Timestamp::as_millis);
        Told {
            id: wire_id(message.id, message.client_message_id.as_deref()),
            from,
            patched_at: recalled_at.or(shown.edited_at),
            message: message.clone(),
            shown,
        }
    }

    async fn event_commands(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        event: &LogEvent,
    ) -> Result<Vec<GenericCommand>, Refusal> {
        let Some(id) = event.conversation_id else { return Ok(Vec::new()) };
        let facts = self.facts_of(unit, id).await?;
        let text = |key: &str| event.payload.get(key).and_then(Value::as_str);
        let is_own_doing = text("origin") == Some(client.origin());
        match event.kind {
            EventKind::Edited if is_own_doing => Ok(Vec::new()),
            EventKind::Recalled | EventKind::Edited => {
                let seq = event.payload.get("seq").and_then(Value::as_i64).unwrap_or_default();
                let Some(message) = unit.messages().find_seq(id, seq).await? else { return Ok(Vec::new()) };
                if event.kind == EventKind::Recalled && Client::lock(&client.recalled).remove(&message.id) {
                    return Ok(Vec::new());
                }
                let item = self.patch_item(unit, client, &message, event.at).await?;
                Ok(vec![modify(vec![item], event.at)])
            }
            EventKind::Read => self.read_commands(unit, client, event, &facts).await,
            _ => Ok(notices::of(client, event, &facts)),
        }
    }

    async fn read_commands(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        event: &LogEvent,
        facts: &Facts,
    ) -> Result<Vec<GenericCommand>, Refusal> {
        let Some(id) = event.conversation_id else { return Ok(Vec::new()) };
        let reader = event.payload.get("clientId").and_then(Value::as_str).unwrap_or_default();
        let number = |key: &str| event.payload.get(key).and_then(Value::as_i64).unwrap_or_default();
        if client.is_own(reader) {
            let unread = i32::try_from(number("unreadCount")).unwrap_or(i32::MAX);
            let tuple =
                UnreadTuple { cid: facts.cid.clone(), unread, conv_type: Some(facts.kind), ..UnreadTuple::default() };
            let unread = UnreadCommand { convs: vec![tuple], notif_time: Some(event.at.as_millis()) };
            return Ok(vec![GenericCommand { unread_message: Some(unread), ..command(CommandType::Unread, None) }]);
        }
        let receipt = self.receipt(unit, client, id, number("seq")).await?;
        Ok(receipt.map(|message| rcp(&message, facts, reader, event.at, true)).into_iter().collect())
    }

    /// The newest own message up to `seq` whose sender wants receipts, unless it was told before.
    async fn receipt(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        id: ConversationId,
        seq: i64,
    ) -> Result<Option<Message>, Refusal> {
        let told = Client::lock(&client.told).get(&id).copied().unwrap_or_default();
        let page = unit.messages().history(id, HistoryPage::Before(seq + 1), MAX_RECEIPTS).await?;
        let is_wanted = |m: &&Message| {
            m.seq > told && m.sender.as_deref().is_some_and(|s| client.is_own(s)) && show(m, |_| None).wants_receipt
        };
        let found = page.iter().rev().find(is_wanted).cloned();
        if let Some(message) = &found {
            Client::lock(&client.told).insert(id, message.seq);
        }
        Ok(found)
    }

    /// A message has reached a device of another member: what its sender is told.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn arrival(
        &self,
        client: &Client,
        id: ConversationId,
        by: &str,
        seq: i64,
    ) -> Result<Vec<GenericCommand>, Refusal> {
        let mut unit = self.ports.store.read();
        let facts = self.facts_of(unit.as_mut(), id).await?;
        let page = unit.messages().history(id, HistoryPage::Before(seq + 1), 1).await?;
        let is_wanted =
            |m: &Message| m.sender.as_deref().is_some_and(|s| client.is_own(s)) && show(m, |_| None).wants_receipt;
        let now = self.ports.clock.now();
        let told = page.into_iter().find(is_wanted).map(|message| rcp(&message, &facts, by, now, false));
        Ok(told.into_iter().map(|c| GenericCommand { peer_id: Some(client.peer.clone()), ..c }).collect())
    }

    pub(super) async fn patch_item(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        message: &Message,
        at: Timestamp,
    ) -> Result<PatchItem, Refusal> {
        let facts = self.facts_of(unit, message.conversation_id).await?;
        let told = self.told(unit, client, message).await?;
        let (data, binary_msg) = text_or_bytes(&told.shown);
        Ok(PatchItem {
            cid: Some(facts.cid),
            mid: Some(told.id),
            timestamp: Some(message.created_at.as_millis()),
            recall: Some(message.is_recalled()),
            data,
            binary_msg,
            patch_timestamp: told.patched_at.or(Some(at.as_millis())),
            from: Some(told.from),
            mention_all: told.shown.mentions_all.then_some(true),
            mention_pids: told.shown.mentions,
            patch_code: None,
            patch_reason: None,
        })
    }

    async fn patches_since(&self, client: &Client, since: Timestamp) -> Result<Option<GenericCommand>, Refusal> {
        let kinds = [EventKind::Recalled, EventKind::Edited];
        let mut unit = self.ports.store.read();
        let events = unit.realtime().events_since(&client.ids, &kinds, since, MAX_PATCHES).await?;
        let mut items = Vec::new();
        let mut newest = since;
        for event in events {
            let seq = event.payload.get("seq").and_then(Value::as_i64).unwrap_or_default();
            let Some(id) = event.conversation_id else { continue };
            let Some(message) = unit.messages().find_seq(id, seq).await? else { continue };
            newest = newest.max(event.at);
            items.push(self.patch_item(unit.as_mut(), client, &message, event.at).await?);
        }
        Ok((!items.is_empty()).then(|| modify(items, newest)))
    }
}

impl Client {
    /// The name the client has for itself, if it wrote the message.
    fn is_own_name(&self, message: &Message) -> Option<&str> {
        message.sender.as_deref().filter(|sender| self.is_own(sender)).map(|_| self.peer.as_str())
    }
}

async fn files_of(unit: &mut dyn RealtimeUnit, messages: &[Message]) -> Result<HashMap<FileId, File>, StoreError> {
    let wanted: Vec<FileId> = messages.iter().filter_map(needed_file).collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(unit.files().find_all(&wanted).await?.into_iter().map(|file| (file.id, file)).collect())
}

/// How commands carry what a message says.
fn text_or_bytes(shown: &Shown) -> (Option<String>, Option<Vec<u8>>) {
    let bytes = shown.is_binary.then(|| STANDARD.decode(&shown.data).ok()).flatten();
    if bytes.is_some() { (None, bytes) } else { (Some(shown.data.clone()), None) }
}

fn ended(client: &Client, event: &LogEvent) -> Option<GenericCommand> {
    let text = |key: &str| event.payload.get(key).and_then(Value::as_str);
    if event.client_id.as_deref() != Some(client.peer.as_str()) || text("except") == Some(&client.ticket_hash) {
        return None;
    }
    if let Some(tag) = text("tag")
        && client.tag.as_deref() != Some(tag)
    {
        return None;
    }
    let number = event.payload.get("code").and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok());
    let session = SessionCommand {
        code: Some(number.unwrap_or(code::KICKED)),
        reason: Some(text("reason").unwrap_or_default().to_owned()),
        ..SessionCommand::default()
    };
    Some(GenericCommand {
        peer_id: Some(client.peer.clone()),
        session_message: Some(session),
        ..command(CommandType::Session, Some(OpType::Closed))
    })
}

fn modify(patches: Vec<PatchItem>, at: Timestamp) -> GenericCommand {
    let patch = PatchCommand { patches, last_patch_time: Some(at.as_millis()) };
    GenericCommand { patch_message: Some(patch), ..command(CommandType::Patch, Some(OpType::Modify)) }
}

fn rcp(message: &Message, facts: &Facts, from: &str, at: Timestamp, is_read: bool) -> GenericCommand {
    let rcp = RcpCommand {
        id: Some(wire_id(message.id, message.client_message_id.as_deref())),
        cid: Some(facts.cid.clone()),
        t: Some(at.as_millis()),
        read: is_read.then_some(true),
        from: Some(from.to_owned()),
    };
    GenericCommand { rcp_message: Some(rcp), ..command(CommandType::Rcp, None) }
}
