//! What must hold of the rows of the desk, whatever has happened.

use std::collections::HashMap;
use std::time::Duration;

use chrono_tz::Tz;
use domain::Timestamp;
use domain::id::{AgentId, ConversationId};
use domain::page::PageRequest;
use im::desk::assign::serves;
use im::desk::chat::AssignReason;
use im::desk::ports::{ChatFilter, ChatView};
use im::desk::{Chat, ChatStatus, Desk, DeskAgent};
use im::log::{EventKind, LogEntry};

use super::{AGENTS, CHATS, agent_id};

/// Nobody waits longer than this beside somebody who has room.
const PATIENCE: Duration = Duration::from_secs(1);
/// Moments at which somebody is looked for.
const STEP: Duration = Duration::from_millis(250);

/// The rows of the desk at one time.
pub(super) struct Seen {
    now: Timestamp,
    home: Tz,
    chats: HashMap<ConversationId, Chat>,
    agents: Vec<DeskAgent>,
}

impl Seen {
    pub(super) async fn look(desk: &Desk) -> Self {
        let mut unit = desk.store.read();
        let filter = ChatFilter { view: ChatView::All, customer: None, text: None };
        let page = PageRequest { limit: CHATS, after: None };
        let chats = unit.chats().list(&filter, page).await.unwrap().items;
        let mut agents = unit.agents().list_there(Timestamp::EPOCH).await.unwrap();
        for offline in (0..AGENTS).map(agent_id) {
            if agents.iter().all(|agent| agent.id != offline) {
                agents.extend(unit.agents().find(offline).await.unwrap());
            }
        }
        let chats = chats.into_iter().map(|chat| (chat.conversation_id, chat)).collect();
        Self { now: desk.clock.now(), home: desk.home, chats, agents }
    }

    /// The same rows, to which nothing has happened until `now`.
    pub(super) fn at(self, now: Timestamp) -> Self {
        Self { now, ..self }
    }

    fn waiting(&self) -> impl Iterator<Item = &Chat> {
        self.chats.values().filter(|chat| chat.queued_at.is_some())
    }

    fn agent(&self, id: AgentId) -> &DeskAgent {
        self.agents.iter().find(|agent| agent.id == id).unwrap()
    }

    /// A chat that waits though somebody can take it.
    fn passed_over(&self, now: Timestamp) -> Option<(&Chat, &DeskAgent)> {
        let free: Vec<&DeskAgent> = self.agents.iter().filter(|agent| agent.takes_chats(now, self.home)).collect();
        let pair = |chat| Some((chat, *free.iter().find(|agent| serves(agent, chat, now))?));
        self.waiting().find_map(pair)
    }

    /// The agents who are there.
    pub(super) fn there(&mut self) -> impl Iterator<Item = &mut DeskAgent> {
        let now = self.now;
        self.agents.iter_mut().filter(move |agent| agent.is_there(now))
    }

    /// What each agent has in hand is counted, and no more than they may have; a chat has an agent or waits or neither.
    pub(super) fn check_loads(&self) -> Result<(), String> {
        for agent in &self.agents {
            let held = self.chats.values().filter(|chat| chat.agent == Some(agent.id)).count();
            ensure(held == agent.load as usize, || format!("{agent:?} has {held} chats"))?;
            ensure(agent.load <= agent.capacity, || format!("{agent:?} has too much in hand"))?;
        }
        for chat in self.chats.values() {
            let (is_assigned, waits) = (chat.status == ChatStatus::Assigned, chat.status == ChatStatus::Queued);
            let is_sound = chat.agent.is_some() == is_assigned && chat.queued_at.is_some() == waits;
            ensure(is_sound, || format!("{chat:?} is in two states"))?;
        }
        Ok(())
    }

    pub(super) fn check_nobody_waits(&self) -> Result<(), String> {
        match self.passed_over(self.now) {
            Some((chat, agent)) => Err(format!("{chat:?} waits beside {agent:?}")),
            None => Ok(()),
        }
    }

    /// Nothing happens until `next`: nobody waits until then beside somebody who comes into their hours, or may have a
    /// chat back, long before.
    pub(super) fn check_patience(&self, next: Timestamp) -> Result<(), String> {
        let mut at = self.now + STEP;
        while at + PATIENCE < next {
            if let Some((chat, agent)) = self.passed_over(at) {
                let since = at.to_rfc3339();
                return Err(format!("until {} {chat:?} waits beside {agent:?}, free since {since}", next.to_rfc3339()));
            }
            at = at + STEP;
        }
        Ok(())
    }

    /// Within a priority who came first is served first: since `before`, nobody was given to an agent by the rule while
    /// somebody whom that agent serves waited longer and still does.
    pub(super) fn check_order(&self, before: &Self) -> Result<(), String> {
        let stayed = |chat: &&Chat| before.chats.get(&chat.conversation_id).is_some_and(|b| b.version == chat.version);
        let left: Vec<&Chat> = self.waiting().filter(stayed).collect();
        for served in self.chats.values() {
            let Some((agent, queued_at)) = self.given_since(before, served) else { continue };
            let agent = self.agent(agent);
            let is_served = |left: &Chat| serves(agent, left, before.now) && serves(agent, left, self.now);
            let is_overtaken =
                |left: &&&Chat| left.priority == served.priority && left.queued_at < Some(queued_at) && is_served(left);
            if let Some(left) = left.iter().find(is_overtaken) {
                return Err(format!("{served:?} was served before {left:?}"));
            }
        }
        Ok(())
    }

    /// To whom the rule has given a chat since `before`, if that is all that has happened to it since it was queued,
    /// and when it was queued.
    fn given_since(&self, before: &Self, chat: &Chat) -> Option<(AgentId, Timestamp)> {
        let is_by_rule = matches!(chat.reason, Some(AssignReason::LeastLoaded | AssignReason::Sticky));
        let agent = chat.agent.filter(|_| is_by_rule)?;
        let earlier = before.chats.get(&chat.conversation_id);
        match earlier.map(|earlier| (earlier.status, earlier.queued_at)) {
            Some((ChatStatus::Queued, Some(at))) if earlier?.version + 1 == chat.version => Some((agent, at)),
            // Its customer has only just written.
            None | Some((ChatStatus::Idle | ChatStatus::Closed, _)) => Some((agent, self.now)),
            _ => None,
        }
    }

    /// All who are equal have the same in hand, give or take one.
    pub(super) fn check_even(&self) -> Result<(), String> {
        let loads: Vec<u32> = self.agents.iter().map(|agent| agent.load).collect();
        let spread = loads.iter().max().unwrap() - loads.iter().min().unwrap();
        ensure(spread <= 1, || format!("loads of equal agents: {loads:?}"))
    }
}

/// What the log tells: every change of a chat was made to the chat as it was, and nobody was given what somebody had.
pub(super) async fn check_owners(desk: &Desk, after: i64) -> Result<(), String> {
    let entries = desk.store.read().im().log().entries(after, i64::MAX, u32::MAX).await.unwrap();
    let mut known: HashMap<ConversationId, (i64, Option<String>)> = HashMap::new();
    for entry in entries {
        let LogEntry::Event(event) = entry else { continue };
        let (EventKind::Desk, Some(id), Some("chat")) =
            (event.kind, event.conversation_id, event.payload["what"].as_str())
        else {
            continue;
        };
        let version = event.payload["version"].as_i64().unwrap();
        let owner = event.payload["agentId"].as_str().map(str::to_owned);
        if let Some((last, had)) = known.get(&id) {
            ensure(*last < version, || format!("{id} went from version {last} to {version}"))?;
            let is_free = had.is_none() || owner.is_none() || *had == owner;
            ensure(is_free, || format!("{id} was given to {owner:?} while {had:?} had it"))?;
        }
        known.insert(id, (version, owner));
    }
    Ok(())
}

fn ensure(holds: bool, broken: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(broken()) }
}
