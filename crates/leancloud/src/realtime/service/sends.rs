//! Messages of clients on their way into the store, and how far they have come.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::id::{ConversationId, MessageId};
use im::service::Ack;
use im::{ImError, NewMessage};
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use super::facts::{Facts, Room, WireId};
use super::rooms::NewConversation;
use super::{Client, Realtime};
use crate::message::Written;
use crate::realtime::frame::command;
use crate::realtime::refusal::{Refusal, code};
use crate::realtime::store::RealtimeUnit;
use crate::realtime::wire::{AckCommand, CommandType, DirectCommand, GenericCommand, ReadCommand};

/// Longest name a client gives its message, in bytes; longer ones are kept as a digest.
const MAX_NAME_BYTES: usize = 64;
/// Most conversations of one `read`.
const MAX_READS: usize = 200;
/// Most members a message mentions.
const MAX_MENTIONS: usize = 50;

/// What is to be done about a message.
pub enum Sending {
    /// Hand it to the queue, and answer with [`Realtime::acknowledge`].
    Store(Box<NewMessage>),
    /// It is not stored: pass it on to the members' open sessions, and answer.
    PassOn { answer: Box<GenericCommand>, direct: Box<GenericCommand>, members: Vec<String> },
    /// Answer.
    Answer(Box<GenericCommand>),
}

impl Realtime {
    /// Checks a message of a client.
    pub async fn prepare(&self, client: &Client, command: &GenericCommand) -> Sending {
        let direct = command.direct_message.clone().unwrap_or_default();
        match self.checked(client, direct).await {
            Ok(Sending::Answer(answer)) => Sending::Answer(Box::new(addressed(client, command, *answer))),
            Ok(Sending::PassOn { answer, direct, members }) => {
                Sending::PassOn { answer: Box::new(addressed(client, command, *answer)), direct, members }
            }
            Ok(stored) => stored,
            Err(refusal) => Sending::Answer(Box::new(addressed(client, command, refused(&refusal)))),
        }
    }

    /// The answer to a message that was handed to the queue.
    pub fn acknowledge(
        &self,
        client: &Client,
        command: &GenericCommand,
        outcome: Result<Ack, ImError>,
    ) -> GenericCommand {
        let answer = match outcome {
            Ok(ack) => acked(&ack.message_id.to_string(), ack.server_time.as_millis()),
            Err(error) => refused(&Refusal::of_message(&error)),
        };
        addressed(client, command, answer)
    }

    async fn checked(&self, client: &Client, direct: DirectCommand) -> Result<Sending, Refusal> {
        self.check_length(direct.msg.as_ref(), direct.binary_msg.as_ref())?;
        let (data, is_binary) = data_of(direct.msg.as_ref(), direct.binary_msg.as_ref());
        let mut unit = self.ports.store.read();
        let room = self.room(unit.as_mut(), direct.cid.as_deref()).await;
        let room = room.map_err(|refusal| match refusal.code {
            code::NO_CONVERSATION => Refusal::new(code::NO_TARGET, "INVALID_MESSAGING_TARGET"),
            _ => refusal,
        })?;
        let now = self.ports.clock.now();
        let seat = room.seat(client, code::NO_TARGET, now)?.clone();
        if direct.will() {
            let id = self.ports.ids.next().to_string();
            *Client::lock(&client.will) = Some(DirectCommand { will: None, ..direct });
            return Ok(Sending::Answer(Box::new(acked(&id, now.as_millis()))));
        }
        if direct.transient() {
            return Ok(self.transient(client, &room, direct));
        }
        let id =
            if room.flag("sys") { self.subscription(&room, &seat.client_id).await?.id } else { room.conversation.id };
        let mentions: Vec<String> = direct.mention_pids.iter().take(MAX_MENTIONS).cloned().collect();
        let written = Written {
            data: &data,
            is_binary,
            wants_receipt: direct.r(),
            mentions: &mentions,
            mentions_all: direct.mention_all(),
            edited_at: None,
            from: None,
        };
        let may_show = self.may_show(unit.as_mut(), client, &written).await?;
        let (kind, content) = written.read(|_| may_show);
        let name = direct.dt.as_deref().map_or_else(|| self.ports.ids.next().to_string(), message_name);
        let message = self.messages.new_message(id, seat.client_id, &name, kind, content);
        Ok(Sending::Store(Box::new(NewMessage { origin: Some(client.id), ..message })))
    }

    /// Passes a message that is not too long, counted as it was sent, and that can be kept.
    pub(super) fn check_length(&self, text: Option<&String>, bytes: Option<&Vec<u8>>) -> Result<(), Refusal> {
        let length = bytes.map_or_else(|| text.map_or(0, String::len), Vec::len);
        if length > self.ports.policy.max_message_bytes {
            return Err(Refusal::new(code::TOO_LONG, "FRAME_TOO_LONG"));
        }
        // PostgreSQL keeps no such text.
        if text.is_some_and(|text| text.contains('\0')) { Err(Refusal::malformed()) } else { Ok(()) }
    }

    /// Whether the file a message shows is one its sender uploaded.
    pub(super) async fn may_show(
        &self,
        unit: &mut dyn RealtimeUnit,
        client: &Client,
        written: &Written<'_>,
    ) -> Result<bool, Refusal> {
        let Some(file) = written.file() else { return Ok(false) };
        let Some(file) = unit.files().find(file).await? else { return Ok(false) };
        Ok(client.party.user.is_some_and(|user| file.is_owned_by_user(user)))
    }

    fn transient(&self, client: &Client, room: &Room, direct: DirectCommand) -> Sending {
        let (id, at, direct) = self.passing(&room.facts(), &client.peer, direct);
        let members = room.members.iter().map(|member| member.client_id.clone()).collect();
        Sending::PassOn { answer: Box::new(acked(&id, at)), direct: Box::new(direct), members }
    }

    /// A message that is not stored as its readers get it, with its id and time.
    pub(super) fn passing(&self, facts: &Facts, from: &str, direct: DirectCommand) -> (String, i64, GenericCommand) {
        let now = self.ports.clock.now().as_millis();
        let id = self.ports.ids.next().to_string();
        let pushed = DirectCommand {
            id: Some(id.clone()),
            cid: Some(facts.cid.clone()),
            from_peer_id: Some(from.to_owned()),
            timestamp: Some(now),
            msg: direct.msg,
            binary_msg: direct.binary_msg,
            transient: Some(true),
            mention_pids: direct.mention_pids,
            mention_all: direct.mention_all,
            conv_type: Some(facts.kind),
            ..DirectCommand::default()
        };
        (id, now, GenericCommand { direct_message: Some(pushed), ..command(CommandType::Direct, None) })
    }

    /// Where the messages between a service and one subscriber lie.
    pub(super) async fn subscription(&self, service: &Room, subscriber: &str) -> Result<im::Conversation, Refusal> {
        let service_id = service.conversation.id.to_string();
        let new = NewConversation {
            creator: None,
            members: vec![subscriber.to_owned()],
            name: service.conversation.name.clone(),
            attributes: Map::new(),
            extra: Map::from_iter([("sysOf".to_owned(), json!(service_id))]),
            is_unique: true,
            origin: String::new(),
        };
        Ok(self.found_under(format!("s:{service_id}:{subscriber}"), new).await?.conversation)
    }

    /// The message a client left to be told when its socket is lost, ready for the queue.
    pub async fn last_will(&self, client: &Client) -> Option<Sending> {
        let direct = Client::lock(&client.will).take()?;
        self.checked(client, direct).await.ok()
    }

    /// Notes what has reached a device of the client.
    pub(super) async fn delivered(&self, client: &Client, ack: &AckCommand) -> Result<(), Refusal> {
        let Some(id) = ack.cid.as_deref().and_then(WireId::parse) else { return Ok(()) };
        let mut unit = self.ports.store.read();
        let room = self.room_of(unit.as_mut(), id.0).await?;
        let seat = room.seat(client, code::NO_TARGET, self.ports.clock.now())?;
        let until = ack.tots.or(ack.t).or(ack.fromts);
        let seq = match (until, ack.mid.as_deref()) {
            (Some(until), _) => self.seq_until(unit.as_mut(), &room.conversation, until).await?,
            (None, Some(mid)) => {
                self.find_message(unit.as_mut(), &room.conversation, mid, None).await?.map_or(0, |m| m.seq)
            }
            (None, None) => 0,
        };
        if seq > seat.delivered_seq {
            self.ports.devices.delivered(id.0, std::slice::from_ref(&seat.client_id), seq);
        }
        Ok(())
    }

    /// Moves the client on to what it has read.
    pub(super) async fn read(&self, client: &Client, read: &ReadCommand) -> Result<(), Refusal> {
        let whole = read.cids.iter().chain(&read.cid).map(|cid| (cid.as_str(), None, None));
        let tuples = read.convs.iter().map(|tuple| (tuple.cid.as_str(), tuple.timestamp, tuple.mid.as_deref()));
        for (cid, until, mid) in whole.chain(tuples).take(MAX_READS) {
            let mut unit = self.ports.store.read();
            let Ok(room) = self.room(unit.as_mut(), Some(cid)).await else { continue };
            let Some(seat) = client.seat(&room.members) else { continue };
            for id in self.read_rooms(&room, &seat.client_id).await? {
                let Some(conversation) = unit.conversations().find(id).await? else { continue };
                // Of several messages of the same time the named one is the last that was read.
                let named = match mid.filter(|mid| !mid.is_empty()) {
                    Some(mid) => self.find_message(unit.as_mut(), &conversation, mid, until).await?,
                    None => None,
                };
                let seq = match (named, until.filter(|until| *until > 0)) {
                    (Some(message), _) => message.seq,
                    (None, Some(until)) => self.seq_until(unit.as_mut(), &conversation, until).await?,
                    (None, None) => conversation.last_seq,
                };
                if let Err(error) = self.reads.read(&client.actor(), id, seq).await {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a reader could not be moved on");
                }
            }
        }
        Ok(())
    }

    async fn read_rooms(&self, room: &Room, client_id: &str) -> Result<Vec<ConversationId>, Refusal> {
        if room.flag("sys") {
            return Ok(vec![self.subscription(room, client_id).await?.id]);
        }
        Ok(vec![room.conversation.id])
    }
}

/// Text and binary messages as one text.
pub(super) fn data_of(text: Option<&String>, bytes: Option<&Vec<u8>>) -> (String, bool) {
    match bytes {
        Some(bytes) => (STANDARD.encode(bytes), true),
        None => (text.cloned().unwrap_or_default(), false),
    }
}

/// The name under which a client's message is found again when it is sent a second time.
fn message_name(dt: &str) -> String {
    let is_fitting = (1..=MAX_NAME_BYTES).contains(&dt.len()) && dt.bytes().all(|byte| byte.is_ascii_graphic());
    // Names that begin so are ids of messages that were brought from elsewhere.
    if is_fitting && !dt.starts_with(IMPORTED) { dt.to_owned() } else { hex::encode(Md5::digest(dt)) }
}

/// What the own names of imported messages begin with; LeanCloud's id follows.
pub(super) const IMPORTED: &str = "lc:";

/// The id of a message as clients know it.
pub(super) fn wire_id(id: MessageId, client_message_id: Option<&str>) -> String {
    let imported = client_message_id.and_then(|name| name.strip_prefix(IMPORTED));
    imported.map_or_else(|| id.to_string(), str::to_owned)
}

fn addressed(client: &Client, asked: &GenericCommand, answer: GenericCommand) -> GenericCommand {
    GenericCommand { i: asked.i, peer_id: Some(client.peer.clone()), ..answer }
}

fn acked(uid: &str, at: i64) -> GenericCommand {
    let ack = AckCommand { uid: Some(uid.to_owned()), t: Some(at), ..AckCommand::default() };
    GenericCommand { ack_message: Some(ack), ..command(CommandType::Ack, None) }
}

fn refused(refusal: &Refusal) -> GenericCommand {
    let ack = AckCommand {
        code: Some(refusal.code),
        reason: Some(refusal.reason.clone()),
        app_code: refusal.app_code,
        app_msg: refusal.app_message.clone(),
        ..AckCommand::default()
    };
    GenericCommand { ack_message: Some(ack), ..command(CommandType::Ack, None) }
}

/// Used where a message comes from a server, which names no client.
pub(super) fn mentions_of(body: &Map<String, Value>) -> Vec<String> {
    let listed = body.get("mention_client_ids").and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).take(MAX_MENTIONS).collect()
}

impl Realtime {
    /// Hands a message to the queue. The future may be dropped; the message is then stored all the same.
    pub fn store(&self, message: NewMessage) -> impl Future<Output = Result<Ack, ImError>> + Send + use<> {
        self.ports.queue.hand_in(message)
    }
}
