//! Sending: prepared one by one, committed in batches, the one path every surface takes.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use domain::id::{AgentId, ConversationId, MessageId};
use domain::{Actor, FieldError, Timestamp};
use futures_util::future::join_all;

use super::context::{ImContext, client_ids, is_passing};
use crate::content;
use crate::error::ImError;
use crate::log::{Committed, LogEntry};
use crate::message::{Appended, Content, KnownMessage, MessageKind, NewMessage};

/// Most bytes of a client's own message id.
pub const MAX_CLIENT_MESSAGE_ID_BYTES: usize = 64;
/// Conversations whose owners are asked at the same time, each in a unit of its own.
const ASKED_AT_ONCE: usize = 8;
/// Tries of a batch that lost a race to another node.
const MAX_TRIES: usize = 4;

/// A message as a client sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendRequest<'a> {
    pub conversation_id: ConversationId,
    pub client_message_id: &'a str,
    pub kind: &'a str,
    /// JSON text.
    pub content: &'a str,
    /// The earlier message this one corrects.
    pub corrects: Option<MessageId>,
    /// The socket it came through, if any.
    pub origin: Option<u64>,
}

/// A message is stored, exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    pub message_id: MessageId,
    pub seq: i64,
    pub server_time: Timestamp,
    /// It was there before: this was a retry.
    pub is_duplicate: bool,
}

/// Told what became of a message.
pub type Told = Box<dyn FnOnce(Result<Ack, ImError>) + Send>;

/// Takes prepared messages in order and answers each once it is committed.
pub trait MessageQueue: Send + Sync {
    /// Hands a message in. The future may be dropped; the message is then committed all the same.
    fn hand_in(&self, message: NewMessage) -> Pin<Box<dyn Future<Output = Result<Ack, ImError>> + Send>>;
    /// The same for a caller that does not wait: `told` is called once, and must be quick.
    fn hand_in_told(&self, message: NewMessage, told: Told);
}

/// The use cases of sending.
#[derive(Clone)]
pub struct Messages {
    context: ImContext,
}

/// The place of a message in its batch, and what became of it.
type Answer = (usize, Result<Ack, ImError>);

/// One message of a sender: what makes a retry a retry.
type Name<'a> = (ConversationId, &'a str, &'a str);

impl Messages {
    pub const fn new(context: ImContext) -> Self {
        Self { context }
    }

    /// Checks a message of a person and makes it ready for the queue.
    ///
    /// # Errors
    /// [`ImError::Invalid`] naming the field; [`ImError::ConversationNotFound`] for somebody who is not in it.
    pub async fn prepare(&self, actor: &Actor, request: SendRequest<'_>) -> Result<NewMessage, ImError> {
        let ids = client_ids(actor)?;
        let kind = MessageKind::parse(request.kind);
        let checked = content::check(&kind, request.content)?;
        check_client_message_id(request.client_message_id)?;
        if let Some(file) = checked.file {
            self.check_file(actor, file).await?;
        }
        let sender = self.sender(ids, request.conversation_id).await?;
        if let Some(corrected) = request.corrects {
            self.check_correction(&sender, request.conversation_id, corrected).await?;
        }
        Ok(NewMessage {
            corrects: request.corrects,
            origin: request.origin,
            ..self.new_message(request.conversation_id, sender, request.client_message_id, kind, checked.content)
        })
    }

    /// A message of a kind this product does not know, from a LeanCloud client; stored as it is.
    pub fn new_message(
        &self,
        conversation_id: ConversationId,
        sender: String,
        client_message_id: &str,
        kind: MessageKind,
        content: Content,
    ) -> NewMessage {
        NewMessage {
            id: MessageId(self.context.ids.next()),
            conversation_id,
            sender: Some(sender),
            acted_by: None::<AgentId>,
            client_message_id: Some(client_message_id.to_owned()),
            kind,
            content,
            corrects: None,
            created_at: self.context.clock.now(),
            is_agreed: false,
            origin: None,
        }
    }

    /// As whom the caller speaks in a conversation: only who is patient and doctor at once has to be looked up.
    async fn sender(&self, mut ids: Vec<String>, conversation: ConversationId) -> Result<String, ImError> {
        if ids.len() > 1 {
            let members = self.context.store.read().conversations().members(conversation).await?;
            ids.retain(|id| members.iter().any(|m| m.client_id == *id));
        }
        ids.into_iter().next().ok_or(ImError::ConversationNotFound)
    }

    /// A file must be the sender's own upload.
    async fn check_file(&self, actor: &Actor, id: domain::id::FileId) -> Result<(), ImError> {
        let found = self.context.store.read().files().find(id).await?;
        let is_own = match actor {
            Actor::User(user) => found.is_some_and(|file| file.is_owned_by_user(user.user)),
            _ => found.is_some(),
        };
        let fault = || FieldError::new("content.fileId", "is not a file you uploaded");
        if is_own { Ok(()) } else { Err(fault().into()) }
    }

    /// Only own messages of the same conversation are corrected.
    async fn check_correction(&self, sender: &str, conversation: ConversationId, id: MessageId) -> Result<(), ImError> {
        let found = self.context.store.read().messages().find(conversation, id).await?;
        let is_own = found.is_some_and(|m| m.sender.as_deref() == Some(sender) && !m.is_recalled());
        let fault = || FieldError::new("corrects", "is not a message of yours in this conversation");
        if is_own { Ok(()) } else { Err(fault().into()) }
    }

    /// Stores a batch and answers each message, in order. The answers leave after the commit.
    pub async fn commit(&self, batch: Vec<NewMessage>) -> Vec<Result<Ack, ImError>> {
        let mut answers: Vec<Option<Result<Ack, ImError>>> = batch.iter().map(|_| None).collect();
        let mut waiting: Vec<usize> = (0..batch.len()).collect();
        while !waiting.is_empty() {
            let round = first_of_each_name(&batch, &waiting);
            let mut messages: Vec<NewMessage> = round.iter().filter_map(|slot| batch.get(*slot)).cloned().collect();
            self.stamp(&mut messages);
            let outcomes = self.append(&messages).await;
            self.announce(&messages, &outcomes);
            let mut to_ask: BTreeMap<ConversationId, Vec<(usize, NewMessage)>> = BTreeMap::new();
            let mut asked = HashSet::new();
            for ((slot, message), outcome) in round.iter().zip(&messages).zip(outcomes) {
                match outcome {
                    // Of one sender's messages to ask the owner about, the first decides when to ask again.
                    Ok(Appended::AskOwner) => {
                        if asked.insert((message.conversation_id, message.sender.clone())) {
                            to_ask.entry(message.conversation_id).or_default().push((*slot, message.clone()));
                        }
                    }
                    other => put(&mut answers, *slot, other.and_then(|appended| answer(message, appended))),
                }
            }
            for (slot, answer) in self.ask_owners(to_ask.into_values().collect()).await {
                put(&mut answers, slot, answer);
            }
            waiting.retain(|slot| answers.get(*slot).is_some_and(Option::is_none));
        }
        answers.into_iter().map(|answer| answer.unwrap_or(Err(ImError::OutcomeUnknown))).collect()
    }

    /// Gives messages their ids and times when they are about to be stored, not when they were prepared: a lane commits
    /// one batch after the other, so that both grow with the sequence numbers.
    fn stamp(&self, messages: &mut [NewMessage]) {
        let now = self.context.clock.now();
        for message in messages {
            message.id = MessageId(self.context.ids.next());
            message.created_at = now;
        }
    }

    /// Appends in one unit; what loses a race to another node is tried again, and what spoils a batch is found out
    /// by going one by one.
    async fn append(&self, messages: &[NewMessage]) -> Vec<Result<Appended, ImError>> {
        let mut tries = 0;
        let error = loop {
            tries += 1;
            match self.context.store.append(messages).await {
                Ok(outcomes) => return outcomes.into_iter().map(Ok).collect(),
                Err(error) if is_passing(&error) && tries < MAX_TRIES => {}
                Err(error) => break error,
            }
        };
        if messages.len() == 1 {
            return vec![Err(error.into())];
        }
        let mut outcomes = Vec::with_capacity(messages.len());
        for message in messages {
            let outcome = self.context.store.append(std::slice::from_ref(message)).await;
            outcomes.push(match outcome.map(|mut one| one.pop()) {
                Ok(Some(appended)) => Ok(appended),
                Ok(None) => Err(ImError::Conflict),
                Err(error) => Err(error.into()),
            });
        }
        outcomes
    }

    /// Asks about messages of several conversations, of some at once, of each in order.
    async fn ask_owners(&self, to_ask: Vec<Vec<(usize, NewMessage)>>) -> Vec<Answer> {
        let mut answers = Vec::new();
        let mut to_ask = to_ask.into_iter().peekable();
        while to_ask.peek().is_some() {
            let at_once = to_ask.by_ref().take(ASKED_AT_ONCE).map(|messages| self.ask_in_order(messages));
            answers.extend(join_all(at_once).await.into_iter().flatten());
        }
        answers
    }

    async fn ask_in_order(&self, messages: Vec<(usize, NewMessage)>) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(messages.len());
        for (slot, mut message) in messages {
            self.stamp(std::slice::from_mut(&mut message));
            answers.push((slot, self.ask_owner(&message).await));
        }
        answers
    }

    async fn ask_owner(&self, message: &NewMessage) -> Result<Ack, ImError> {
        let appended = self.context.owner.accept(message).await?;
        if let Appended::Stored { position, seq } = appended {
            let entry = Arc::new(LogEntry::Message(message.stored(position, seq)));
            self.context.log.committed(Committed { entries: vec![(entry, message.origin)] });
        }
        // What else the owner has written.
        self.context.log.moved();
        answer(message, appended)
    }

    /// Hands what was stored to the sessions of this node.
    fn announce(&self, messages: &[NewMessage], outcomes: &[Result<Appended, ImError>]) {
        let stored = messages.iter().zip(outcomes).filter_map(|(message, outcome)| match outcome {
            Ok(Appended::Stored { position, seq }) => {
                Some((Arc::new(LogEntry::Message(message.stored(*position, *seq))), message.origin))
            }
            _ => None,
        });
        let entries: Vec<_> = stored.collect();
        if !entries.is_empty() {
            self.context.log.committed(Committed { entries });
        }
    }
}

fn put(answers: &mut [Option<Result<Ack, ImError>>], slot: usize, answer: Result<Ack, ImError>) {
    if let Some(place) = answers.get_mut(slot) {
        *place = Some(answer);
    }
}

/// The slots whose message is the first under its name: a retry inside a batch finds the first one stored.
fn first_of_each_name(batch: &[NewMessage], waiting: &[usize]) -> Vec<usize> {
    let mut names: HashSet<Name<'_>> = HashSet::with_capacity(waiting.len());
    let is_first = |slot: &&usize| batch.get(**slot).is_some_and(|m| name(m).is_none_or(|name| names.insert(name)));
    waiting.iter().filter(is_first).copied().collect()
}

fn name(message: &NewMessage) -> Option<Name<'_>> {
    let sender = message.sender.as_deref()?;
    Some((message.conversation_id, sender, message.client_message_id.as_deref()?))
}

fn answer(message: &NewMessage, appended: Appended) -> Result<Ack, ImError> {
    match appended {
        Appended::Stored { seq, .. } => {
            Ok(Ack { message_id: message.id, seq, server_time: message.created_at, is_duplicate: false })
        }
        Appended::Known(known) if is_same(message, &known) => {
            Ok(Ack { message_id: known.id, seq: known.seq, server_time: known.created_at, is_duplicate: true })
        }
        Appended::Known(_) => Err(ImError::ClientMessageIdConflict),
        Appended::NoConversation | Appended::NotMember => Err(ImError::ConversationNotFound),
        Appended::AskOwner => Err(ImError::Conflict),
    }
}

fn is_same(message: &NewMessage, known: &KnownMessage) -> bool {
    known.kind == message.kind && known.content == message.content
}

pub(crate) fn check_client_message_id(id: &str) -> Result<(), FieldError> {
    let is_fitting = (1..=MAX_CLIENT_MESSAGE_ID_BYTES).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    let fault = || FieldError::new("clientMessageId", "is 1 to 64 visible ASCII characters");
    if is_fitting { Ok(()) } else { Err(fault()) }
}

/// The messages of each conversation, kept apart so that lanes of a queue keep their order.
pub fn lane_of(message: &NewMessage, lanes: usize) -> usize {
    let bytes = message.conversation_id.0;
    let sum = bytes.as_bytes().iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    sum.checked_rem(lanes).unwrap_or_default()
}
