//! What the commands of realtime clients do.

mod facts;
mod history;
mod notices;
mod patches;
mod push;
mod queries;
mod rest;
mod rooms;
mod sends;
mod sessions;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use domain::actor::ClientActor;
use domain::file::File;
use domain::id::{ConversationId, IdSource, MessageId};
use domain::rng::SecureRandom;
use domain::{Actor, Clock};
use im::desk::Desk;
use im::log::NewEvent;
use im::service::{ImContext, MessageQueue, Messages, Reads, Recalls};
use im::{Member, MemberKind};
use serde_json::{Value, json};

use super::policy::RealtimePolicy;
use super::refusal::{Refusal, code};
use super::signature::Signer;
use super::store::{Party, RealtimeStore, RealtimeUnit};
use super::ticket::Ticket;
use super::wire::{CommandType, GenericCommand, OpType};
use crate::rest::{ClientViewer, FileUrls, Viewer};

use facts::WireId;
pub use push::Push;
pub use rest::{RoomKind, ServiceTarget};
pub use sends::Sending;
pub use sessions::{OpenRequest, Opened};

/// Longest client id, in bytes.
pub(super) const MAX_CLIENT_ID_BYTES: usize = 64;
/// From whom messages of the product itself come.
pub(super) const SYSTEM: &str = "system";

/// The devices that are connected to this node.
pub trait Devices: Send + Sync {
    /// Notes how far messages have reached those of a client.
    fn delivered(&self, conversation: ConversationId, client_ids: &[String], seq: i64);
    /// Those of the clients that have one; the store learns of them a moment later.
    fn connected(&self, client_ids: &[String]) -> Vec<String>;
}

/// The open sessions of clients on this node.
pub trait Relay: Send + Sync {
    /// Hands over a message that is not stored; who reads slowly does without.
    fn pass_on(&self, direct: GenericCommand, members: &[String]);
}

/// What the use cases are given.
pub struct RealtimePorts {
    pub store: Arc<dyn RealtimeStore>,
    pub im: ImContext,
    pub queue: Arc<dyn MessageQueue>,
    pub devices: Arc<dyn Devices>,
    pub relay: Arc<dyn Relay>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub random: Arc<dyn SecureRandom>,
    pub urls: Arc<dyn FileUrls>,
    pub desk: Arc<Desk>,
    pub signer: Signer,
    pub policy: RealtimePolicy,
}

/// The use cases of the realtime protocol.
pub struct Realtime {
    pub(super) ports: RealtimePorts,
    messages: Messages,
    reads: Reads,
    recalls: Recalls,
    facts: facts::FactCache,
}

/// A client whose session is open on a socket.
pub struct Client {
    /// Unique in the process; also the origin of its messages.
    pub id: u64,
    /// The client id it opened.
    pub peer: String,
    /// Every client id it speaks as: its own first, then those of the patient and doctor it stands for.
    pub ids: Arc<[String]>,
    pub party: Party,
    /// Of its session token.
    pub ticket_hash: String,
    pub tag: Option<String>,
    /// Message told when the socket is lost.
    will: Mutex<Option<super::wire::DirectCommand>>,
    /// Own messages whose reading was told, per conversation.
    told: Mutex<HashMap<ConversationId, i64>>,
    /// Messages this session recalled, of which it is not told.
    recalled: Mutex<HashSet<MessageId>>,
}

impl Client {
    /// Whom a session token stands for.
    fn new(id: u64, ticket: Ticket, party: Party) -> Self {
        let others = [
            party.user.map(|id| id.to_string()),
            party.patient.map(|id| id.to_string()),
            party.doctor.map(|id| id.to_string()),
        ];
        // Whoever opens as a patient or doctor is that one only; as a user, all the user is.
        let is_user = others.first().and_then(Option::as_deref) == Some(ticket.client_id.as_str());
        let mut ids = vec![ticket.client_id.clone()];
        ids.extend(others.into_iter().flatten().filter(|id| is_user && *id != ticket.client_id));
        Self {
            id,
            peer: ticket.client_id,
            ids: Arc::from(ids),
            party,
            ticket_hash: ticket.token_hash,
            tag: ticket.tag,
            will: Mutex::default(),
            told: Mutex::default(),
            recalled: Mutex::default(),
        }
    }

    /// The id by which a member is called towards this client: its own ids are all the one it opened.
    fn name<'a>(&'a self, client_id: &'a str) -> &'a str {
        if self.is_own(client_id) { &self.peer } else { client_id }
    }

    fn is_own(&self, client_id: &str) -> bool {
        self.ids.iter().any(|own| own == client_id)
    }

    /// Its place among members.
    fn seat<'a>(&self, members: &'a [Member]) -> Option<&'a Member> {
        members.iter().find(|member| self.is_own(&member.client_id))
    }

    fn actor(&self) -> Actor {
        Actor::Client(ClientActor { ids: self.ids.clone(), user: self.party.user })
    }

    fn viewer(&self) -> Viewer {
        Viewer::Client(ClientViewer { peers: self.ids.to_vec(), ..ClientViewer::default() })
    }

    /// Members as this client calls them, each once.
    fn names(&self, members: &[Member]) -> Vec<String> {
        let mut names: Vec<String> = members.iter().map(|m| self.name(&m.client_id).to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Marks events that come from this session, which has its answer.
    fn origin(&self) -> &str {
        self.ticket_hash.get(..16).unwrap_or(&self.ticket_hash)
    }

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Realtime {
    pub fn new(ports: RealtimePorts) -> Self {
        let im = ports.im.clone();
        Self {
            messages: Messages::new(im.clone()),
            reads: Reads::new(im.clone()),
            recalls: Recalls::new(im),
            facts: facts::FactCache::default(),
            ports,
        }
    }

    pub fn policy(&self) -> &RealtimePolicy {
        &self.ports.policy
    }

    /// Does what a command of an open client asks for. `None`: it has no answer. Messages go another way, see
    /// [`Realtime::prepare`].
    pub async fn run(&self, client: &Client, command: &GenericCommand) -> Option<GenericCommand> {
        let cmd = command.cmd.and_then(|cmd| CommandType::try_from(cmd).ok())?;
        let op = command.op.and_then(|op| OpType::try_from(op).ok());
        let answered = match cmd {
            CommandType::Session => self.session(client, op, command.session_message.as_ref()).await.map(Some),
            CommandType::Conv => {
                let conv = command.conv_message.clone().unwrap_or_default();
                self.conv(client, op, &conv).await.map(Some)
            }
            CommandType::Logs => self.logs(client, &command.logs_message.clone().unwrap_or_default()).await.map(Some),
            CommandType::Ack => {
                self.delivered(client, &command.ack_message.clone().unwrap_or_default()).await.map(|()| None)
            }
            CommandType::Read => {
                self.read(client, &command.read_message.clone().unwrap_or_default()).await.map(|()| None)
            }
            CommandType::Patch if op == Some(OpType::Modified) => Ok(None),
            CommandType::Patch => self.patch(client, command.patch_message.as_ref()).await.map(Some),
            CommandType::Blacklist => Err(Refusal::new(code::BLOCK_LISTS_OFF, "block lists are not offered")),
            CommandType::Rcp => Ok(None),
            _ => Err(Refusal::not_supported("this command")),
        };
        // Receipts are not answered, not even with an error.
        let answer = match answered {
            Ok(None) => return None,
            Err(_) if matches!(cmd, CommandType::Ack | CommandType::Read) => return None,
            Ok(Some(answer)) => answer,
            Err(refusal) => super::frame::error(&refusal),
        };
        Some(GenericCommand { i: command.i, peer_id: Some(client.peer.clone()), ..answer })
    }

    /// Finds a conversation with its members.
    async fn room(&self, unit: &mut dyn RealtimeUnit, cid: Option<&str>) -> Result<facts::Room, Refusal> {
        let id = WireId::parse(cid.unwrap_or_default()).ok_or_else(Refusal::no_conversation)?;
        self.room_of(unit, id.0).await
    }

    async fn room_of(&self, unit: &mut dyn RealtimeUnit, id: ConversationId) -> Result<facts::Room, Refusal> {
        let conversation = unit.conversations().find(id).await?.ok_or_else(Refusal::no_conversation)?;
        let members = unit.conversations().members(id).await?;
        Ok(facts::Room { conversation, members })
    }

    /// What a member of a conversation is, by its client id.
    async fn member_kind(&self, unit: &mut dyn RealtimeUnit, client_id: &str) -> Result<MemberKind, Refusal> {
        if self.ports.policy.assistant.as_deref() == Some(client_id) {
            return Ok(MemberKind::Assistant);
        }
        let party = unit.realtime().party(client_id).await?;
        let is = |id: Option<String>| id.as_deref() == Some(client_id);
        Ok(if is(party.patient.map(|id| id.to_string())) {
            MemberKind::Patient
        } else if is(party.doctor.map(|id| id.to_string())) {
            MemberKind::Doctor
        } else {
            MemberKind::Other
        })
    }

    /// A file as it stands in a message.
    fn lcfile(&self, file: &File) -> Value {
        json!({
            "objId": file.id,
            "url": crate::rest::file_address(file, self.ports.urls.as_ref()),
            "metaData": { "name": file.name, "size": file.size, "format": file.mime_type },
        })
    }

    fn event(&self, id: ConversationId, kind: im::log::EventKind, payload: Value) -> NewEvent {
        NewEvent { conversation_id: Some(id), client_id: None, kind, payload, at: self.ports.clock.now() }
    }
}

/// Whether a text can name a client.
pub(super) fn is_client_id(text: &str) -> bool {
    (1..=MAX_CLIENT_ID_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}
