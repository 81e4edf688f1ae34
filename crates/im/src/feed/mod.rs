//! The log as one node passes it on to those who listen: every entry once, in order, to the members it concerns.
//!
//! Nothing here waits or reads: whoever drives a [`Feed`] asks what it [`needs`](Feed::needs) and brings it.

mod ephemeral;
mod members;
mod subscribers;
mod tail;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::id::{ConversationId, SessionId};
use serde_json::Value;

use crate::conversation::Member;
use crate::log::{Committed, EventKind, LogEntry, LogEvent, LogHead};
use crate::protocol::{Bye, ByeReason, EventFrame};

pub use ephemeral::{Ephemeral, EphemeralKind};
use members::{ClientIds, MemberCache};
use subscribers::Subscribers;
pub use subscribers::{Outgoing, Outlet, Subscriber};
use tail::Tail;
pub use tail::{Gap, TailEntry};
pub use wire::{Fanout, FanoutState, Hint, HintError, HintListener};

/// How long a batch that is known of is awaited before the store is asked.
const GRACE: Duration = Duration::from_millis(5);
/// Conversations whose members are asked for at once.
const MEMBERS_AT_ONCE: usize = 256;
/// Ephemeral frames that wait for members to be known; more are dropped.
const MAX_EPHEMERAL: usize = 1024;
/// Ended sessions that are remembered, for a socket that was just about to join.
const RECENTLY_ENDED: usize = 256;
/// After how long sockets that had to be closed all at once come back, at most.
const RECONNECT_MS: u64 = 1000;

/// What a feed cannot go on without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Nothing at the moment.
    Nothing,
    /// Time: ask again after this long.
    Patience(Duration),
    /// The head of the log.
    Head,
    /// Entries from the store.
    Entries(Gap),
    /// The members of these conversations. The position says when the question was asked.
    Members { ids: Vec<ConversationId>, as_of: i64 },
}

/// The part of the log a node has passed on, and those it is passed on to. Every method is quick.
pub struct Feed {
    state: Mutex<State>,
    /// Everything up to here was passed on; for reading without the lock.
    horizon: AtomicI64,
    wake: Box<dyn Fn() + Send + Sync>,
}

struct State {
    epoch: String,
    tail: Tail,
    members: MemberCache,
    subscribers: Subscribers,
    /// In order, waiting for members to be known.
    pending: VecDeque<TailEntry>,
    ephemeral: VecDeque<Ephemeral>,
    ended: VecDeque<SessionId>,
    is_head_due: bool,
    passed_on: i64,
}

impl Feed {
    /// A feed that goes on from `head`. `wake` is called when [`Feed::needs`] has something new to say.
    pub fn new(head: LogHead, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let state = State {
            epoch: head.epoch,
            tail: Tail::starting_at(head.position),
            members: MemberCache::default(),
            subscribers: Subscribers::default(),
            pending: VecDeque::new(),
            ephemeral: VecDeque::new(),
            ended: VecDeque::new(),
            is_head_due: false,
            passed_on: head.position,
        };
        Self { state: Mutex::new(state), horizon: AtomicI64::new(head.position), wake: Box::new(wake) }
    }

    /// Everything up to here was handed to the outlets.
    pub fn horizon(&self) -> i64 {
        self.horizon.load(Ordering::Acquire)
    }

    /// How far the log has been passed on, and its epoch.
    pub fn head(&self) -> LogHead {
        let state = self.lock();
        LogHead { position: state.passed_on, epoch: state.epoch.clone() }
    }

    /// Takes entries that were just committed, here or on another node.
    pub fn committed(&self, committed: &Committed, now: Instant) {
        let mut state = self.lock();
        let entries = committed.entries.iter();
        let entries = entries.map(|(entry, origin)| TailEntry { entry: entry.clone(), origin: *origin });
        let State { tail, pending, .. } = &mut *state;
        tail.offer(entries, now, pending);
        self.pass_on(state);
    }

    /// Hears that the log goes this far.
    pub fn heard_of(&self, position: i64, now: Instant) {
        let mut state = self.lock();
        state.tail.heard_of(position, now);
        self.pass_on(state);
    }

    /// Hears that something was committed.
    pub fn moved(&self) {
        let mut state = self.lock();
        state.is_head_due = true;
        self.pass_on(state);
    }

    /// Passes on something that is not stored, if it comes from a member.
    pub fn ephemeral(&self, ephemeral: Ephemeral) {
        let mut state = self.lock();
        if state.subscribers.is_empty() || state.ephemeral.len() >= MAX_EPHEMERAL {
            return;
        }
        state.ephemeral.push_back(ephemeral);
        self.pass_on(state);
    }

    /// What is to be brought, by the one who drives the feed.
    pub fn needs(&self, now: Instant) -> Need {
        let mut state = self.lock();
        if std::mem::take(&mut state.is_head_due) {
            return Need::Head;
        }
        let unknown = state.unknown_members();
        if !unknown.is_empty() {
            return Need::Members { ids: unknown, as_of: state.tail.known() };
        }
        match state.tail.lacks(now, GRACE) {
            Ok(None) => Need::Nothing,
            Ok(Some(gap)) => Need::Entries(gap),
            Err(patience) => Need::Patience(patience),
        }
    }

    /// Brings the head of the log. A new epoch, or a log that has become shorter, means that the store was put back:
    /// everybody starts again.
    pub fn head_read(&self, head: LogHead, now: Instant) {
        let mut state = self.lock();
        if head.epoch == state.epoch {
            state.tail.heard_of(head.position, now);
            return self.pass_on(state);
        }
        state.epoch = head.epoch;
        state.tail = Tail::starting_at(head.position);
        state.passed_on = head.position;
        state.pending.clear();
        state.members.clear();
        self.horizon.store(head.position, Ordering::Release);
        for outlet in state.subscribers.all() {
            let reconnect_after_ms = Some(RECONNECT_MS);
            outlet.close(Bye { reason: ByeReason::ResyncRequired, detail: None, reconnect_after_ms });
        }
    }

    /// Brings what [`Need::Entries`] asked for: all there is between the two positions.
    pub fn entries_read(&self, gap: Gap, entries: Vec<LogEntry>, now: Instant) {
        let mut state = self.lock();
        let entries = entries.into_iter().map(|entry| TailEntry { entry: Arc::new(entry), origin: None });
        let State { tail, pending, .. } = &mut *state;
        tail.fill(gap, entries, now, pending);
        self.pass_on(state);
    }

    /// Brings what [`Need::Members`] asked for.
    pub fn members_read(&self, ids: &[ConversationId], as_of: i64, members: Vec<Member>) {
        let mut by_conversation: HashMap<ConversationId, Vec<Arc<str>>> =
            ids.iter().map(|id| (*id, Vec::new())).collect();
        for member in members {
            if let Some(clients) = by_conversation.get_mut(&member.conversation_id) {
                clients.push(member.client_id.into());
            }
        }
        let mut state = self.lock();
        for (id, clients) in by_conversation {
            state.members.put(id, clients.into(), as_of);
        }
        self.pass_on(state);
    }

    /// Adds somebody who listens; entries come once [`Feed::go_live`] was called. Sockets of the same person beyond
    /// `most_sockets` are told to close, the oldest first.
    pub fn join(&self, subscriber: &Subscriber, most_sockets: usize) {
        let mut state = self.lock();
        let over = state.subscribers.join(subscriber, false, most_sockets);
        let is_over = subscriber.session.is_some_and(|session| state.ended.contains(&session));
        drop(state);
        if is_over {
            subscriber.outlet.close(session_ended(None));
        }
        for outlet in over {
            outlet.close(Bye { reason: ByeReason::TooManySockets, detail: None, reconnect_after_ms: None });
        }
    }

    /// From now on entries are delivered: all beyond the position that is answered.
    pub fn go_live(&self, subscriber: &Subscriber) -> i64 {
        let mut state = self.lock();
        state.subscribers.go_live(subscriber.id, &subscriber.client_ids);
        state.passed_on
    }

    /// Adds somebody who only wants to know when something happens after the position that is answered.
    pub fn watch(&self, subscriber: &Subscriber) -> i64 {
        let mut state = self.lock();
        state.subscribers.join(subscriber, true, usize::MAX);
        state.passed_on
    }

    pub fn leave(&self, subscriber: &Subscriber) {
        self.lock().subscribers.leave(subscriber.id, &subscriber.client_ids);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(&self, mut state: MutexGuard<'_, State>) {
        state.pass_on();
        self.horizon.store(state.passed_on, Ordering::Release);
        let is_waiting = state.is_head_due
            || !state.pending.is_empty()
            || !state.ephemeral.is_empty()
            || state.tail.known() > state.tail.horizon();
        drop(state);
        if is_waiting {
            (self.wake)();
        }
    }
}

impl State {
    /// Delivers what can be delivered, in order.
    fn pass_on(&mut self) {
        while let Some(next) = self.pending.pop_front() {
            let position = next.entry.position();
            if self.deliver(&next) {
                self.passed_on = position;
            } else {
                self.pending.push_front(next);
                break;
            }
        }
        if self.pending.is_empty() {
            self.passed_on = self.tail.horizon();
        }
        for _ in 0..self.ephemeral.len() {
            let Some(next) = self.ephemeral.pop_front() else { break };
            match self.members.get(next.conversation_id) {
                Some(clients) => self.deliver_ephemeral(&next, &clients),
                None => self.ephemeral.push_back(next),
            }
        }
    }

    /// Whether it could be delivered; if not, the members of its conversation are not known.
    fn deliver(&mut self, next: &TailEntry) -> bool {
        let entry = &next.entry;
        if let LogEntry::Event(LogEvent { conversation_id: Some(id), kind: EventKind::Joined, .. }) = **entry {
            self.members.changed(id, entry.position());
        }
        if let LogEntry::Event(LogEvent { kind: EventKind::SessionEnded, payload, .. }) = &**entry
            && let Some(session) = session_of(payload)
        {
            self.end_session(session, payload.get("reason").and_then(Value::as_str));
        }
        if !self.subscribers.is_empty() && !self.deliver_to_subscribers(next) {
            return false;
        }
        if let LogEntry::Event(LogEvent { conversation_id: Some(id), kind: EventKind::Left, .. }) = **entry {
            self.members.changed(id, entry.position());
        }
        true
    }

    fn deliver_to_subscribers(&mut self, next: &TailEntry) -> bool {
        let mut delivery = Delivery { subscribers: &self.subscribers, next, frame: None };
        match &*next.entry {
            LogEntry::Message(message) => match self.members.get(message.conversation_id) {
                Some(clients) => {
                    delivery.reach_all(&clients);
                    true
                }
                None => false,
            },
            LogEntry::Event(event) => {
                match (&event.client_id, event.conversation_id) {
                    (Some(client_id), _) => delivery.reach(client_id),
                    (None, Some(id)) => {
                        let Some(clients) = self.members.get(id) else { return false };
                        // Who left is told by an event of its own.
                        let left = event.payload.get("clientId").and_then(Value::as_str);
                        let left = left.filter(|_| event.kind == EventKind::Left);
                        clients.iter().filter(|client| left != Some(&***client)).for_each(|c| delivery.reach(c));
                    }
                    (None, None) => {}
                }
                true
            }
        }
    }

    /// Closes the sockets of a session, and of the one that may be about to join.
    fn end_session(&mut self, session: SessionId, reason: Option<&str>) {
        if self.ended.len() >= RECENTLY_ENDED {
            self.ended.pop_front();
        }
        self.ended.push_back(session);
        for outlet in self.subscribers.of_session(session) {
            outlet.close(session_ended(reason));
        }
    }

    fn deliver_ephemeral(&self, ephemeral: &Ephemeral, clients: &ClientIds) {
        let Some(from) = clients.iter().find(|client| ephemeral.client_ids.iter().any(|own| **own == ***client)) else {
            return;
        };
        let mut outgoing = None;
        for client in clients.iter().filter(|client| !ephemeral.client_ids.iter().any(|own| **own == ***client)) {
            for (_, outlet) in self.subscribers.live(client) {
                let make = || Outgoing::Ephemeral {
                    conversation_id: ephemeral.conversation_id,
                    frame: ephemeral.frame(from).to_json().into(),
                };
                outlet.push(outgoing.get_or_insert_with(make).clone());
            }
        }
    }

    /// Conversations whose members must be known before anything goes on, the most urgent first.
    fn unknown_members(&self) -> Vec<ConversationId> {
        let entries = self.pending.iter().filter_map(|next| next.entry.conversation_id());
        let ephemeral = self.ephemeral.iter().map(|next| next.conversation_id);
        let mut seen = HashSet::new();
        let unknown = entries.chain(ephemeral).filter(|id| !self.members.contains(*id) && seen.insert(*id));
        unknown.take(MEMBERS_AT_ONCE).collect()
    }
}

/// One entry on its way; its frame is written when the first one wants it.
struct Delivery<'a> {
    subscribers: &'a Subscribers,
    next: &'a TailEntry,
    frame: Option<Arc<str>>,
}

impl Delivery<'_> {
    fn reach_all(&mut self, clients: &ClientIds) {
        for client in clients.iter() {
            self.reach(client);
        }
    }

    fn reach(&mut self, client_id: &str) {
        let TailEntry { entry, origin } = self.next;
        for (id, outlet) in self.subscribers.live(client_id) {
            if *origin == Some(id) {
                continue;
            }
            let make = || EventFrame::json_of(entry).into();
            let frame = self.frame.get_or_insert_with(make).clone();
            outlet.push(Outgoing::Entry { entry: entry.clone(), frame });
        }
    }
}

fn session_of(payload: &Value) -> Option<SessionId> {
    payload.get("sessionId").and_then(Value::as_str)?.parse().ok()
}

fn session_ended(reason: Option<&str>) -> Bye {
    Bye { reason: ByeReason::SessionEnded, detail: reason.map(str::to_owned), reconnect_after_ms: None }
}

#[cfg(test)]
pub(crate) mod samples {
    //! Entries and ids for tests.

    use domain::Timestamp;
    use domain::id::{ConversationId, MessageId, ObjectId};

    use super::TailEntry;
    use crate::log::{EventKind, LogEntry, LogEvent};
    use crate::message::{Content, Message, MessageKind};

    pub(crate) fn conversation(number: u32) -> ConversationId {
        ConversationId(ObjectId::from_parts(1, [0; 5], number))
    }

    pub(crate) fn message(position: i64, conversation_id: ConversationId) -> LogEntry {
        LogEntry::Message(Message {
            position,
            id: MessageId(ObjectId::from_parts(2, [0; 5], u32::try_from(position).unwrap())),
            conversation_id,
            seq: position,
            sender: Some("patient".to_owned()),
            acted_by: None,
            client_message_id: Some(format!("m{position}")),
            kind: MessageKind::Text,
            content: Content::parse(r#"{"text":"您好"}"#).unwrap(),
            corrects: None,
            recalled_at: None,
            created_at: Timestamp::from_millis(1_767_323_045_678),
        })
    }

    pub(crate) fn event(
        position: i64,
        kind: EventKind,
        about: (Option<ConversationId>, Option<&str>),
        payload: serde_json::Value,
    ) -> LogEntry {
        LogEntry::Event(LogEvent {
            position,
            conversation_id: about.0,
            client_id: about.1.map(str::to_owned),
            kind,
            payload,
            at: Timestamp::from_millis(0),
        })
    }

    pub(crate) fn entry(position: i64) -> TailEntry {
        TailEntry { entry: message(position, conversation(1)).into(), origin: None }
    }
}
