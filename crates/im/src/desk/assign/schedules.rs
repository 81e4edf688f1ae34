//! Thousands of random schedules of customers and agents, played on the rules alone: whatever happens in whatever
//! order, nobody has too much in hand, nobody waits beside somebody free, and nobody is overtaken.

use std::collections::HashMap;
use std::time::Duration;

use chrono_tz::Tz;
use domain::hours::WeeklyWindow;
use domain::id::{AgentId, ConversationId, ObjectId};
use domain::office_hours::{Schedule, WrittenHours};
use domain::{FieldError, Timestamp};

use super::*;
use crate::conversation::MemberKind;
use crate::desk::agent::{DeskStatus, LEASE};
use crate::desk::chat::{ChatStatus, CloseReason, MAX_PRIORITY};

const HOME: Tz = chrono_tz::Asia::Shanghai;
const CHATS: u32 = 200;
const AGENTS: u32 = 10;
const STEPS: usize = 400;
/// Played by every run of the tests; the long proof plays thousands (`DESK_SCHEDULES`).
const SCHEDULES: u64 = 100;

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn is_one_in(&mut self, n: u64) -> bool {
        self.roll(n) == 0
    }
}

struct Desk {
    chats: Vec<Chat>,
    agents: Vec<DeskAgent>,
    now: Timestamp,
    settings: DeskSettings,
    schedule: Schedule,
    dice: Dice,
    /// Since when each waiting chat has had somebody who could take it.
    passed_over: HashMap<ConversationId, Timestamp>,
}

fn id(kind: u8, n: u32) -> ObjectId {
    ObjectId::from_parts(1, [kind; 5], n)
}

impl Desk {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let now = Timestamp::parse_rfc3339("2026-11-23T08:30:00+08:00").unwrap();
        let chat = |n| Chat::new(id(1, n).into(), n.to_string(), MemberKind::Patient, now);
        let agents = (0..AGENTS).map(|n| {
            let mut agent = DeskAgent::new(id(2, n).into(), 1 + u32::try_from(dice.roll(6)).unwrap());
            if dice.is_one_in(3) {
                agent.groups = vec!["billing".into()];
            }
            if dice.is_one_in(5) {
                let office = WeeklyWindow { weekday: 1, start: "09:00".into(), end: "18:00".into() };
                agent.weekly_hours = vec![office];
            }
            agent
        });
        let agents = agents.collect();
        let schedule = Schedule::read(&WrittenHours::default(), HOME);
        let chats = (0..CHATS).map(chat).collect();
        Self { chats, agents, now, settings: DeskSettings::default(), schedule, dice, passed_over: HashMap::new() }
    }

    fn agent_mut(&mut self, id: AgentId) -> &mut DeskAgent {
        self.agents.iter_mut().find(|agent| agent.id == id).unwrap()
    }

    fn any_agent(&mut self) -> usize {
        usize::try_from(self.dice.roll(u64::from(AGENTS))).unwrap()
    }

    fn any_chat(&mut self) -> usize {
        usize::try_from(self.dice.roll(u64::from(CHATS))).unwrap()
    }

    /// Something happens, as the use cases would do it.
    fn step(&mut self) {
        let now = self.now;
        match self.dice.roll(12) {
            0..=4 => {
                let at = self.any_chat();
                let (priority, wants_group) = (self.dice.roll(8), self.dice.is_one_in(6));
                let chat = &mut self.chats[at];
                chat.customer_wrote(&self.settings, &self.schedule, now);
                chat.priority = u8::try_from(priority.saturating_sub(4)).unwrap().min(MAX_PRIORITY);
                if wants_group && chat.status == ChatStatus::Queued {
                    chat.detail.group = Some("billing".into());
                }
            }
            5 | 6 => {
                let at = self.any_agent();
                let agent = &mut self.agents[at];
                (agent.status, agent.lease_until) = (DeskStatus::Online, Some(now + LEASE));
            }
            7 => {
                let at = self.any_agent();
                let agent = &mut self.agents[at];
                (agent.status, agent.lease_until) = (DeskStatus::Offline, Some(now));
                self.requeue();
            }
            8 => {
                let at = self.any_agent();
                let agent = &mut self.agents[at];
                if agent.is_there(now) {
                    agent.status = DeskStatus::Away;
                }
            }
            9 | 10 => {
                let at = self.any_chat();
                if let Some(agent) = self.chats[at].agent {
                    self.chats[at].close(CloseReason::Agent, now);
                    self.agent_mut(agent).load -= 1;
                }
            }
            _ => {
                let at = self.any_chat();
                if let Some(agent) = self.chats[at].agent {
                    let until = now + Duration::from_millis(self.settings.offer_ms);
                    self.chats[at].avoid(agent, until);
                    self.chats[at].enqueue(now);
                    self.agent_mut(agent).load -= 1;
                }
            }
        }
        // Consoles give signs of life, all but a few.
        for agent in &mut self.agents {
            if agent.is_there(now) && !self.dice.is_one_in(40) {
                agent.lease_until = Some(now + LEASE);
            }
        }
    }

    /// What the sweep does for agents who are gone.
    fn requeue(&mut self) {
        for at in 0..self.chats.len() {
            let Some(agent) = self.chats[at].agent else { continue };
            let now = self.now;
            if !self.agent_mut(agent).is_there(now) {
                self.chats[at].enqueue(self.now);
                self.agent_mut(agent).load -= 1;
            }
        }
    }

    /// One pass, with everything that must hold of it.
    fn assign(&mut self) -> Result<(), FieldError> {
        let queue: Vec<Chat> = self.chats.iter().filter(|chat| chat.queued_at.is_some()).cloned().collect();
        let placements = place(&queue, &self.agents, &self.settings, self.now, HOME);
        for placement in &placements {
            let now = self.now;
            let agent = self.agent_mut(placement.agent);
            check(agent.takes_chats(now, HOME), "is given a chat only who takes chats")?;
            (agent.load, agent.last_assigned_at) = (agent.load + 1, Some(now));
            let agent = agent.clone();
            let chat = self.chats.iter_mut().find(|chat| chat.conversation_id == placement.conversation_id).unwrap();
            check(chat.agent.is_none() && chat.status == ChatStatus::Queued, "a chat has one owner")?;
            check(serves(&agent, chat, now), "a chat goes to who can serve it")?;
            chat.assign(placement.agent, placement.reason, now);
        }
        for placement in &placements {
            let served = queue.iter().find(|chat| chat.conversation_id == placement.conversation_id).unwrap();
            let agent = self.agents.iter().find(|agent| agent.id == placement.agent).unwrap();
            let overtaken = self.chats.iter().any(|left| {
                left.queued_at.is_some_and(|at| Some(at) < served.queued_at)
                    && left.priority == served.priority
                    && serves(agent, left, self.now)
            });
            check(!overtaken, "within a priority who came first is served first")?;
        }
        Ok(())
    }

    fn next_chance(&self) -> Option<Timestamp> {
        let queue: Vec<Chat> = self.chats.iter().filter(|chat| chat.queued_at.is_some()).cloned().collect();
        next_chance(&queue, &self.agents, self.now, HOME)
    }

    /// What must hold at any time.
    fn check(&mut self) -> Result<(), FieldError> {
        for agent in &self.agents {
            let held = self.chats.iter().filter(|chat| chat.agent == Some(agent.id)).count();
            check(held == agent.load as usize, "the load counts the chats in hand")?;
            check(agent.load <= agent.capacity, "nobody has more than they may have")?;
        }
        let free: Vec<&DeskAgent> = self.agents.iter().filter(|agent| agent.takes_chats(self.now, HOME)).collect();
        for chat in self.chats.iter().filter(|chat| chat.queued_at.is_some()) {
            if free.iter().any(|agent| serves(agent, chat, self.now)) {
                let since = *self.passed_over.entry(chat.conversation_id).or_insert(self.now);
                check(self.now.since(since) <= Duration::from_secs(1), "nobody waits beside somebody free")?;
            } else {
                self.passed_over.remove(&chat.conversation_id);
            }
        }
        let chats = &self.chats;
        let waits = |id: &ConversationId| chats.iter().any(|c| c.conversation_id == *id && c.queued_at.is_some());
        self.passed_over.retain(|id, _| waits(id));
        Ok(())
    }
}

fn check(holds: bool, rule: &str) -> Result<(), FieldError> {
    if holds { Ok(()) } else { Err(FieldError::new("rule", rule)) }
}

fn play(seed: u64) -> Result<(), FieldError> {
    let mut desk = Desk::new(seed);
    let mut swept_at = desk.now;
    for _ in 0..STEPS {
        let pause = Duration::from_millis(desk.dice.roll(4_000));
        let next = desk.now + pause;
        // Agents come into their hours at a known time, and what was given away may go back after a known time.
        while let Some(at) = desk.next_chance().filter(|at| *at <= next) {
            desk.now = at;
            desk.assign()?;
            desk.check()?;
        }
        desk.now = next;
        if desk.now.since(swept_at) >= Duration::from_secs(5) {
            swept_at = desk.now;
            desk.requeue();
            desk.assign()?;
        }
        desk.step();
        desk.assign()?;
        desk.check()?;
    }
    Ok(())
}

#[test]
fn whatever_happens_the_rules_hold() {
    let schedules = std::env::var("DESK_SCHEDULES").ok().and_then(|text| text.parse().ok()).unwrap_or(SCHEDULES);
    for seed in 1..=schedules {
        if let Err(broken) = play(seed) {
            panic!("schedule {seed}: {broken}");
        }
    }
}

#[test]
fn equal_agents_are_loaded_equally() {
    for seed in 1..=200 {
        let mut desk = Desk::new(seed);
        for agent in &mut desk.agents {
            let until = Some(desk.now + Duration::from_hours(10));
            *agent = DeskAgent { status: DeskStatus::Online, lease_until: until, ..DeskAgent::new(agent.id, 20) };
        }
        for _ in 0..CHATS {
            let at = desk.any_chat();
            let now = desk.now;
            desk.chats[at].customer_wrote(&DeskSettings::default(), &desk.schedule, now);
            desk.assign().unwrap();
            let loads = || desk.agents.iter().map(|agent| agent.load);
            assert!(
                loads().max().unwrap() - loads().min().unwrap() <= 1,
                "schedule {seed}: {:?}",
                loads().collect::<Vec<_>>()
            );
            desk.now = desk.now + Duration::from_millis(10);
        }
    }
}
