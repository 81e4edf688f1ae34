//! Customers, agents and sweeps at once, through the use cases of the desk: whatever happens, the rules hold.

use std::sync::Arc;
use std::time::Duration;

use domain::Actor;
use domain::actor::UserActor;
use domain::id::{AgentId, ConversationId, SessionId, UserId};
use im::desk::agent::LEASE;
use im::desk::assign::serves;
use im::desk::service::{CustomerRole, InboundMessage};
use im::desk::{ChatStatus, Desk, DeskError, DeskStatus};
use im::policy::DEFAULT_ASSISTANT;
use im::{Content, MessageKind};
use tokio::task::JoinSet;

use super::Harness;
use crate::build::patient_id;
use crate::clock::ManualClock;
use crate::ids::{SequentialIds, object_id};
use crate::signal::CountingSignal;

const CHATS: u32 = 200;
const AGENTS: u32 = 10;
/// Things that happen at once.
const AT_ONCE: u32 = 12;
const ROUNDS: u32 = 6;

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(sides)).unwrap_or_default()
    }
}

fn agent_id(n: u32) -> AgentId {
    object_id(700_000 + n).into()
}

fn desk(h: &dyn Harness, clock: &Arc<ManualClock>) -> Desk {
    Desk {
        store: h.desk(),
        clock: clock.clone(),
        ids: Arc::new(SequentialIds::default()),
        signal: Arc::new(CountingSignal::default()),
        assistant: DEFAULT_ASSISTANT,
        home: chrono_tz::Asia::Shanghai,
        recall_within: Duration::from_mins(2),
        relays_messages: false,
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Write { customer: u32, name: u32 },
    Status { agent: u32, status: DeskStatus },
    Close { agent: u32, nth: u32 },
    Release { agent: u32, nth: u32 },
    TakeOver { agent: u32, from: u32 },
    Heartbeat { agent: u32 },
    Sweep,
}

fn any_act(dice: &mut Dice, name: u32) -> Act {
    let agent = dice.roll(AGENTS);
    match dice.roll(16) {
        0..=5 => Act::Write { customer: dice.roll(CHATS), name },
        6..=8 => Act::Status { agent, status: DeskStatus::Online },
        9 => Act::Status { agent, status: DeskStatus::Offline },
        10 => Act::Status { agent, status: DeskStatus::Away },
        11 | 12 => Act::Close { agent, nth: dice.roll(5) },
        13 => Act::Release { agent, nth: dice.roll(5) },
        14 => Act::TakeOver { agent, from: dice.roll(AGENTS) },
        _ if dice.roll(2) == 0 => Act::Heartbeat { agent },
        _ => Act::Sweep,
    }
}

fn staff(agent: u32) -> Actor {
    Actor::Agent(agent_id(agent))
}

/// The nth chat of an agent.
async fn held(desk: &Desk, agent: u32, nth: u32) -> Option<ConversationId> {
    let filter = im::desk::ports::ChatFilter {
        view: im::desk::ports::ChatView::Mine(agent_id(agent)),
        customer: None,
        text: None,
    };
    let page = domain::page::PageRequest { limit: 100, after: None };
    let found = desk.store.read().chats().list(&filter, page).await.unwrap();
    found.items.get(nth as usize).map(|chat| chat.conversation_id)
}

async fn act(desk: Desk, act: Act) -> Result<(), DeskError> {
    match act {
        Act::Write { customer, name } => {
            let inbound = InboundMessage {
                customer_id: patient_id(customer + 1).to_string(),
                role: CustomerRole::Patient,
                client_message_id: format!("m{name}"),
                kind: MessageKind::Text,
                content: Content::parse(r#"{"text":"在吗"}"#).unwrap(),
            };
            desk.receive(inbound).await.map(|_| ())
        }
        Act::Status { agent, status } => desk.set_status(&staff(agent), status).await.map(|_| ()),
        Act::Heartbeat { agent } => desk.heartbeat(&staff(agent)).await.map(|_| ()),
        Act::Close { agent, nth } => match held(&desk, agent, nth).await {
            Some(id) => desk.close(&staff(agent), id).await.map(|_| ()),
            None => Ok(()),
        },
        Act::Release { agent, nth } => match held(&desk, agent, nth).await {
            Some(id) => desk.release(&staff(agent), id, None).await.map(|_| ()),
            None => Ok(()),
        },
        Act::TakeOver { agent, from } => match held(&desk, from, 0).await {
            Some(id) => desk.take_over(&staff(agent), id, "换班").await.map(|_| ()),
            None => Ok(()),
        },
        Act::Sweep => desk.sweep().await.map(|_| ()),
    }
}

/// Refusals that a race explains.
fn is_fair(error: &DeskError) -> bool {
    matches!(
        error,
        DeskError::NotYours
            | DeskError::Taken
            | DeskError::NoRoom
            | DeskError::Offline
            | DeskError::WrongStatus { .. }
            | DeskError::Conflict
    )
}

async fn check(desk: &Desk, seed: u64) {
    let now = desk.clock.now();
    let mut unit = desk.store.read();
    let queue = unit.chats().queue(CHATS).await.unwrap();
    for n in 0..AGENTS {
        let Some(agent) = unit.agents().find(agent_id(n)).await.unwrap() else { continue };
        let filter =
            im::desk::ports::ChatFilter { view: im::desk::ports::ChatView::Mine(agent.id), customer: None, text: None };
        let page = domain::page::PageRequest { limit: 100, after: None };
        let chats = unit.chats().list(&filter, page).await.unwrap().items;
        let held = chats.iter().filter(|chat| chat.agent == Some(agent.id)).count();
        assert!(chats.iter().all(|chat| chat.agent.is_none() || chat.status == ChatStatus::Assigned));
        assert_eq!(held, agent.load as usize, "schedule {seed}: the load of {} counts what they have", agent.id);
        assert!(agent.load <= agent.capacity, "schedule {seed}: {} has too much in hand", agent.id);
        if agent.takes_chats(now, desk.home) {
            let waits = queue.iter().find(|chat| serves(&agent, chat, now));
            assert!(waits.is_none(), "schedule {seed}: {waits:?} waits beside {} who has room", agent.id);
        }
    }
}

async fn play(h: &dyn Harness, seed: u64) {
    let clock = Arc::new(ManualClock::default());
    let desk = desk(h, &clock);
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    desk.ensure_assistant().await.unwrap();
    let mut name = 0;
    for _ in 0..ROUNDS {
        let mut tasks = JoinSet::new();
        for _ in 0..AT_ONCE {
            name += 1;
            tasks.spawn(act(desk.clone(), any_act(&mut dice, name)));
        }
        for outcome in tasks.join_all().await {
            if let Err(error) = outcome {
                assert!(is_fair(&error), "schedule {seed}: {error:?}");
            }
        }
        check(&desk, seed).await;
        clock.advance(Duration::from_secs(u64::from(dice.roll(20))).min(LEASE));
        // Time itself may have let leases end and agents come back; the sweep sees to it.
        desk.sweep().await.unwrap();
        check(&desk, seed).await;
    }
}

pub async fn whatever_happens_at_once_the_rules_hold(h: &dyn Harness) {
    let seed = std::env::var("DESK_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    play(h, seed).await;
}

/// One customer who writes many messages at once opens one conversation, in which each is stored once.
pub async fn a_customer_who_writes_at_once_has_one_conversation(h: &dyn Harness) {
    let clock = Arc::new(ManualClock::default());
    let desk = desk(h, &clock);
    let mut tasks = JoinSet::new();
    for name in 0..24 {
        // Every message comes twice.
        let write = Act::Write { customer: 1, name: name / 2 };
        tasks.spawn(act(desk.clone(), write));
    }
    for outcome in tasks.join_all().await {
        outcome.unwrap();
    }
    let chat = desk.store.read().chats().find_by_customer(&patient_id(2).to_string()).await.unwrap().unwrap();
    let conversation = h.im().read().conversations().find(chat.conversation_id).await.unwrap().unwrap();
    assert_eq!(conversation.last_seq, 13, "the welcome and twelve messages");
    assert_eq!(desk.store.read().episodes().list(chat.conversation_id, 9).await.unwrap().len(), 1);
    let person = UserActor {
        user: UserId(object_id(1)),
        session: SessionId(object_id(2)),
        patient: Some(patient_id(2)),
        doctor: None,
    };
    let seen = desk.own_chat(&Actor::User(person), None).await.unwrap();
    assert_eq!((seen.status, seen.queue_position), (ChatStatus::Queued, Some(1)));
}
