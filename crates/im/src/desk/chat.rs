//! One chat at the desk as a state machine: `idle → queued → assigned → closed`, and back to `queued`.
//!
//! Nothing here reads a clock or a database. A method changes the chat and answers whether there was something to
//! change; which agent serves it is chosen in [`super::assign`].

use std::time::Duration;

use domain::Timestamp;
use domain::id::{AgentId, ConversationId, EpisodeId};
use domain::office_hours::Schedule;
use serde::{Deserialize, Serialize};

use super::assistant::DeskSettings;
use crate::conversation::MemberKind;

/// Highest priority; 0 is the usual one.
pub const MAX_PRIORITY: u8 = 3;
pub const MAX_REMARK_CHARS: usize = 500;

/// Where a chat stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChatStatus {
    /// Opened, and nothing was asked yet.
    Idle,
    /// Waits for an agent.
    Queued,
    /// An agent has it.
    Assigned,
    Closed,
}

impl ChatStatus {
    pub const ALL: [Self; 4] = [Self::Idle, Self::Queued, Self::Assigned, Self::Closed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Queued => "queued",
            Self::Assigned => "assigned",
            Self::Closed => "closed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// Whose turn it is in a chat that is assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    WaitingUser,
    WaitingAgent,
}

impl Turn {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WaitingUser => "waiting_user",
            Self::WaitingAgent => "waiting_agent",
        }
    }
}

/// Why this agent has the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AssignReason {
    /// Served this customer not long ago.
    Sticky,
    /// Had the most room.
    LeastLoaded,
    /// Took it out of the queue.
    Claimed,
    /// Took it from another agent.
    TakenOver,
    /// Accepted it from another agent.
    Transferred,
    /// Took it up again after it was closed.
    Reopened,
}

impl AssignReason {
    pub const ALL: [Self; 6] =
        [Self::Sticky, Self::LeastLoaded, Self::Claimed, Self::TakenOver, Self::Transferred, Self::Reopened];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sticky => "sticky",
            Self::LeastLoaded => "least_loaded",
            Self::Claimed => "claimed",
            Self::TakenOver => "taken_over",
            Self::Transferred => "transferred",
            Self::Reopened => "reopened",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// Why a chat is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// An agent closed it.
    Agent,
    /// The customer said nothing for too long.
    Idle,
    /// The customer closed their account.
    AccountClosed,
}

impl CloseReason {
    pub const ALL: [Self; 3] = [Self::Agent, Self::Idle, Self::AccountClosed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Idle => "idle",
            Self::AccountClosed => "account_closed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }
}

/// A chat that one agent asks another to take. Until that one accepts, it stays where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub from: AgentId,
    pub to: AgentId,
    pub note: String,
    pub until: Timestamp,
}

/// When answers are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Due {
    pub first_reply: Option<Timestamp>,
    pub next_reply: Option<Timestamp>,
    pub resolve: Option<Timestamp>,
}

/// Which aim is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SlaKind {
    FirstReply,
    NextReply,
    Resolve,
}

/// What of a chat is only read together with it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ChatDetail {
    /// Only agents of this group are given it.
    pub group: Option<String>,
    /// Only agents who have all of these are given it.
    pub skills: Vec<String>,
    pub offer: Option<Offer>,
    pub due: Due,
    /// Since when the customer waits for an answer.
    pub waiting_since: Option<Timestamp>,
    pub last_agent_at: Option<Timestamp>,
    pub warned_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub close_reason: Option<CloseReason>,
    /// Who served it last, and until when that counts.
    pub last_agent: Option<AgentId>,
    pub last_served_at: Option<Timestamp>,
    /// An agent who gave it away is not given it back before this.
    pub avoid: Option<(AgentId, Timestamp)>,
    /// The running episode, or the last one.
    pub episode: Option<EpisodeId>,
    pub is_rated: bool,
    /// What the customer thought of it.
    pub rating: Option<u8>,
    /// The next opening that was named to the customer: told once in a closed period.
    pub told_next_open: Option<Timestamp>,
    pub tags: Vec<String>,
    pub remark: Option<String>,
    pub is_blocked: bool,
}

/// One customer's chat with the assistant, as the desk sees it. There is one for each customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    pub conversation_id: ConversationId,
    /// The id of the patient or doctor.
    pub customer_id: String,
    pub customer_kind: MemberKind,
    pub status: ChatStatus,
    pub priority: u8,
    pub queued_at: Option<Timestamp>,
    pub agent: Option<AgentId>,
    pub assigned_at: Option<Timestamp>,
    pub reason: Option<AssignReason>,
    pub detail: ChatDetail,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows by one with every write; a write names the version it read.
    pub version: i64,
}

/// What a customer's message did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustomerWrote {
    /// It only waits on, or goes on.
    GoesOn,
    /// A new episode begins, under a new id.
    Begins,
    /// The episode that was closed not long ago goes on.
    Reopens,
}

/// What time asks of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    Warn,
    Close,
    /// Nobody accepted the offer.
    OfferEnded,
}

impl SlaKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirstReply => "first_reply",
            Self::NextReply => "next_reply",
            Self::Resolve => "resolve",
        }
    }
}

impl Chat {
    pub fn new(conversation_id: ConversationId, customer_id: String, kind: MemberKind, now: Timestamp) -> Self {
        Self {
            conversation_id,
            customer_id,
            customer_kind: kind,
            status: ChatStatus::Idle,
            priority: 0,
            queued_at: None,
            agent: None,
            assigned_at: None,
            reason: None,
            detail: ChatDetail::default(),
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    pub const fn turn(&self) -> Option<Turn> {
        match (self.status, self.detail.waiting_since) {
            (ChatStatus::Assigned, Some(_)) => Some(Turn::WaitingAgent),
            (ChatStatus::Assigned, None) => Some(Turn::WaitingUser),
            _ => None,
        }
    }

    pub fn is_of(&self, agent: AgentId) -> bool {
        self.status == ChatStatus::Assigned && self.agent == Some(agent)
    }

    /// Takes a message of the customer in. `schedule` is the assistant's: aims are counted in open hours.
    pub fn customer_wrote(&mut self, settings: &DeskSettings, schedule: &Schedule, now: Timestamp) -> CustomerWrote {
        let aim = |millis| Some(schedule.open_for(now, Duration::from_millis(millis)));
        self.updated_at = now;
        self.detail.warned_at = None;
        let is_waiting = self.detail.waiting_since.is_some();
        self.detail.waiting_since.get_or_insert(now);
        match self.status {
            ChatStatus::Queued => CustomerWrote::GoesOn,
            ChatStatus::Assigned => {
                if !is_waiting {
                    self.detail.due.next_reply = aim(settings.next_reply_ms);
                }
                CustomerWrote::GoesOn
            }
            ChatStatus::Idle | ChatStatus::Closed => {
                let window = Duration::from_millis(settings.reopen_within_ms);
                let reopens = self.detail.closed_at.is_some_and(|at| now.since(at) < window) && !self.detail.is_rated;
                self.detail.due = Due {
                    first_reply: if reopens { None } else { aim(settings.first_reply_ms) },
                    next_reply: if reopens { aim(settings.next_reply_ms) } else { None },
                    resolve: aim(settings.resolve_ms),
                };
                if !reopens {
                    (self.detail.is_rated, self.detail.rating) = (false, None);
                    (self.detail.group, self.detail.skills) = (None, Vec::new());
                }
                (self.detail.closed_at, self.detail.close_reason) = (None, None);
                self.enqueue(now);
                if reopens { CustomerWrote::Reopens } else { CustomerWrote::Begins }
            }
        }
    }

    /// Takes an answer of the agent in.
    pub fn agent_replied(&mut self, now: Timestamp) {
        self.detail.waiting_since = None;
        self.detail.warned_at = None;
        (self.detail.due.first_reply, self.detail.due.next_reply) = (None, None);
        self.detail.last_agent_at = Some(now);
        self.detail.last_served_at = Some(now);
        self.updated_at = now;
    }

    /// Gives it to an agent.
    pub fn assign(&mut self, agent: AgentId, reason: AssignReason, now: Timestamp) {
        self.status = ChatStatus::Assigned;
        (self.agent, self.reason, self.assigned_at) = (Some(agent), Some(reason), Some(now));
        (self.detail.last_agent, self.detail.last_served_at) = (Some(agent), Some(now));
        // Who is asked nothing is not warned before the agent had a chance to say something.
        self.detail.last_agent_at = Some(now);
        (self.detail.offer, self.detail.avoid) = (None, None);
        self.detail.warned_at = None;
        self.queued_at = None;
        (self.detail.closed_at, self.detail.close_reason) = (None, None);
        self.updated_at = now;
    }

    /// Puts it into the queue, from wherever it is. A chat that was served before waits where it would have waited.
    pub fn enqueue(&mut self, now: Timestamp) {
        let waits_since = self.detail.waiting_since.unwrap_or(now);
        self.queued_at = Some(if self.status == ChatStatus::Assigned { waits_since } else { now });
        self.status = ChatStatus::Queued;
        (self.agent, self.assigned_at, self.reason) = (None, None, None);
        self.detail.offer = None;
        self.detail.warned_at = None;
        self.updated_at = now;
    }

    /// Ends the episode.
    pub fn close(&mut self, reason: CloseReason, now: Timestamp) {
        self.status = ChatStatus::Closed;
        (self.agent, self.assigned_at, self.reason) = (None, None, None);
        self.queued_at = None;
        self.detail.offer = None;
        self.detail.warned_at = None;
        self.detail.waiting_since = None;
        self.detail.due = Due::default();
        (self.detail.closed_at, self.detail.close_reason) = (Some(now), Some(reason));
        (self.detail.group, self.detail.skills) = (None, Vec::new());
        self.updated_at = now;
    }

    /// Keeps it from going straight back to an agent who gives it away.
    pub fn avoid(&mut self, agent: AgentId, until: Timestamp) {
        self.detail.avoid = Some((agent, until));
        self.detail.last_served_at = None;
    }

    /// Whether the customer may rate now: once, after the close.
    pub fn can_rate(&self) -> bool {
        self.status == ChatStatus::Closed && !self.detail.is_rated && self.detail.episode.is_some()
    }

    /// The agent who is preferred, because the customer knows them.
    pub fn sticky_agent(&self, settings: &DeskSettings, now: Timestamp) -> Option<AgentId> {
        let window = Duration::from_millis(settings.sticky_ms);
        let is_fresh = self.detail.last_served_at.is_some_and(|at| now.since(at) < window);
        self.detail.last_agent.filter(|_| is_fresh)
    }

    /// The aim that counts now.
    pub fn sla(&self) -> Option<(SlaKind, Timestamp)> {
        if !matches!(self.status, ChatStatus::Queued | ChatStatus::Assigned) {
            return None;
        }
        let is_waiting = self.detail.waiting_since.is_some();
        let first = self.detail.due.first_reply.filter(|_| is_waiting).map(|at| (SlaKind::FirstReply, at));
        let next = self.detail.due.next_reply.filter(|_| is_waiting).map(|at| (SlaKind::NextReply, at));
        first.or(next).or_else(|| self.detail.due.resolve.map(|at| (SlaKind::Resolve, at)))
    }

    /// When [`Self::overdue`] is to be asked next.
    pub fn next_action_at(&self, settings: &DeskSettings) -> Option<Timestamp> {
        let idle = self.idle_end(settings).map(|(_, at)| at);
        let offer = self.detail.offer.as_ref().map(|offer| offer.until);
        [idle, offer].into_iter().flatten().min()
    }

    /// What time asks for.
    pub fn overdue(&self, settings: &DeskSettings, now: Timestamp) -> Option<Overdue> {
        if self.detail.offer.as_ref().is_some_and(|offer| offer.until <= now) {
            return Some(Overdue::OfferEnded);
        }
        self.idle_end(settings).filter(|(_, at)| *at <= now).map(|(what, _)| what)
    }

    /// The next step of closing a chat in which the customer says nothing.
    fn idle_end(&self, settings: &DeskSettings) -> Option<(Overdue, Timestamp)> {
        if self.turn() != Some(Turn::WaitingUser) {
            return None;
        }
        if let Some(at) = self.detail.warned_at {
            return Some((Overdue::Close, at + Duration::from_millis(settings.close_after_ms)));
        }
        let since = self.detail.last_agent_at?;
        Some((Overdue::Warn, since + Duration::from_millis(settings.warn_after_ms)))
    }
}

#[cfg(test)]
mod tests;
