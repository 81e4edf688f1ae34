//! Random schedules of customers, agents and sweeps at once, through the use cases of the desk and on its rows:
//! whatever happens, nobody has too much in hand, no chat has two owners, nobody is overtaken within a priority,
//! nobody waits longer than a second beside somebody who has room, and equal agents are loaded equally.

mod acts;
mod rules;

use std::sync::Arc;
use std::time::Duration;

use domain::actor::UserActor;
use domain::hours::WeeklyWindow;
use domain::id::{AgentId, SessionId, UserId};
use domain::outbox::{JobOutcome, JobQueue};
use domain::{Actor, Clock, Timestamp};
use im::desk::agent::LEASE;
use im::desk::service::ASSIGN_JOB;
use im::desk::{Chat, ChatStatus, Desk, DeskAgent, DeskStatus};
use im::policy::DEFAULT_ASSISTANT;
use im::{Member, MemberKind};
use tokio::task::JoinSet;

use self::acts::{Act, Dice, is_fair};
use self::rules::{Seen, check_owners};
use super::samples::conversation;
use super::{Harness, given_conversations};
use crate::build::{dialog_id, patient_id};
use crate::clock::ManualClock;
use crate::ids::{SequentialIds, object_id};
use crate::signal::CountingSignal;

/// Customers who may write.
const CHATS: u32 = 200;
const AGENTS: u32 = 10;
/// Most things that happen at once.
const AT_ONCE: u32 = 12;
const ROUNDS: u32 = 6;
const SWEEP_EVERY: Duration = Duration::from_secs(5);

fn agent_id(n: u32) -> AgentId {
    object_id(700_000 + n).into()
}

/// One schedule, as it goes.
struct Game {
    seed: u64,
    desk: Desk,
    clock: Arc<ManualClock>,
    jobs: Arc<dyn JobQueue>,
    dice: Dice,
    /// Acts so far.
    acts: u32,
    swept_at: Timestamp,
}

impl Game {
    fn new(h: &dyn Harness, seed: u64) -> Self {
        let clock = Arc::new(ManualClock::default());
        let desk = Desk {
            store: h.desk(),
            clock: clock.clone(),
            ids: Arc::new(SequentialIds::from(2_000_000)),
            signal: Arc::new(CountingSignal::default()),
            assistant: DEFAULT_ASSISTANT,
            home: chrono_tz::Asia::Shanghai,
            recall_within: Duration::from_mins(2),
            relays_messages: false,
        };
        let swept_at = desk.clock.now();
        Self { seed, desk, clock, jobs: h.queue(), dice: Dice::new(seed), acts: 0, swept_at }
    }

    fn hold(&self, rule: Result<(), String>) {
        if let Err(broken) = rule {
            panic!("schedule {}: {broken}", self.seed);
        }
    }

    /// Does all of it at once.
    async fn at_once(&mut self, acts: impl IntoIterator<Item = Act>) {
        let mut tasks = JoinSet::new();
        for act in acts {
            tasks.spawn(act.run(self.desk.clone()));
        }
        for outcome in tasks.join_all().await {
            if let Err(error) = outcome {
                assert!(is_fair(&error), "schedule {}: {error:?}", self.seed);
            }
        }
    }

    /// What must hold at any time, and of what has happened since `before`.
    async fn check(&self, before: &Seen) -> Seen {
        let seen = Seen::look(&self.desk).await;
        self.hold(seen.check_loads());
        self.hold(seen.check_nobody_waits());
        self.hold(seen.check_order(before));
        seen
    }

    fn any_act(&mut self) -> Act {
        self.acts += 1;
        Act::any(&mut self.dice, self.acts)
    }

    /// Lets time pass, in which nothing happens but what was planned: sweeps on two nodes, and jobs for known times.
    /// Takes the rows as they are, answers them as they are then.
    async fn wait(&mut self, mut seen: Seen, pause: Duration) -> Seen {
        let until = self.clock.now() + pause;
        while self.clock.now() < until {
            let job = self.jobs.next_due().await.unwrap();
            let next = until.min(self.swept_at + SWEEP_EVERY).min(job.unwrap_or(until)).max(self.clock.now());
            self.hold(seen.check_patience(next));
            self.clock.set(next);
            if job.is_some_and(|at| at <= next) {
                self.run_jobs().await;
                seen = self.check(&seen).await;
            }
            if next >= self.swept_at + SWEEP_EVERY {
                self.swept_at = next;
                let swept = tokio::join!(self.desk.sweep(), self.desk.sweep());
                assert!(swept.0.is_ok() && swept.1.is_ok(), "schedule {}: {swept:?}", self.seed);
                seen = self.check(&seen).await;
            }
        }
        seen.at(self.clock.now())
    }

    async fn run_jobs(&self) {
        let now = self.clock.now();
        for job in self.jobs.claim("w", 10, now, LEASE).await.unwrap() {
            assert_eq!(job.kind, ASSIGN_JOB);
            self.desk.assign().await.unwrap();
            self.jobs.settle("w", &[(job.id, JobOutcome::Done)], now).await.unwrap();
        }
    }

    /// Consoles give signs of life, all but a few.
    async fn signs_of_life(&mut self, seen: &mut Seen) {
        let until = self.clock.now() + LEASE;
        let mut unit = self.desk.store.begin().await.unwrap();
        for agent in seen.there() {
            if !self.dice.is_one_in(8) {
                assert!(unit.agents().renew(agent.id, until).await.unwrap());
                agent.lease_until = Some(until);
            }
        }
        unit.commit().await.unwrap();
    }

    /// Agents of all kinds, some of them there.
    async fn given_agents(&mut self) {
        let now = self.clock.now();
        let mut unit = self.desk.store.begin().await.unwrap();
        for n in 0..AGENTS {
            let agent = any_agent(&mut self.dice, n);
            unit.agents().ensure(agent.id, agent.capacity).await.unwrap();
            unit.agents().set_profile(&agent).await.unwrap();
            if self.dice.is_one_in(3) {
                unit.agents().set_status(agent.id, DeskStatus::Online, now + LEASE).await.unwrap();
            }
        }
        unit.commit().await.unwrap();
    }

    /// Chats that have waited for some time when it begins.
    async fn given_queue(&mut self, h: &dyn Harness) {
        let now = self.clock.now();
        let count = self.dice.roll(40);
        let chats: Vec<Chat> = (0..count).map(|n| any_waiting(&mut self.dice, n, now)).collect();
        let conversations: Vec<_> = (0..count).map(|n| conversation(n + 1)).collect();
        let member = |client: String, id, kind| Member::owned(id, client, kind, now);
        let members: Vec<Member> = chats
            .iter()
            .flat_map(|chat| {
                let id = chat.conversation_id;
                let assistant = member(DEFAULT_ASSISTANT.to_string(), id, MemberKind::Assistant);
                [member(chat.customer_id.clone(), id, MemberKind::Patient), assistant]
            })
            .collect();
        given_conversations(h, &conversations, &members).await;
        let mut unit = self.desk.store.begin().await.unwrap();
        for chat in &chats {
            unit.chats().insert(chat).await.unwrap();
        }
        unit.commit().await.unwrap();
    }
}

fn any_agent(dice: &mut Dice, n: u32) -> DeskAgent {
    let mut agent = DeskAgent::new(agent_id(n), 1 + dice.roll(6));
    if dice.is_one_in(3) {
        agent.groups = vec!["billing".into()];
    }
    if dice.is_one_in(3) {
        agent.skills = vec!["english".into()];
    }
    if dice.is_one_in(4) {
        // It is ten o'clock on a Monday when it begins.
        let start = format!("10:0{}", dice.roll(3));
        agent.weekly_hours = vec![WeeklyWindow { weekday: 1, start, end: "18:00".into() }];
    }
    agent
}

fn any_waiting(dice: &mut Dice, n: u32, now: Timestamp) -> Chat {
    let since = now - Duration::from_secs(u64::from(dice.roll(900)));
    let mut chat = Chat::new(dialog_id(n + 1), patient_id(n + 1).to_string(), MemberKind::Patient, since);
    chat.detail.waiting_since = Some(since);
    chat.enqueue(since);
    chat.priority = u8::try_from(dice.roll(6).saturating_sub(2)).unwrap();
    if dice.is_one_in(5) {
        chat.detail.group = Some("billing".into());
    }
    if dice.is_one_in(5) {
        chat.detail.skills = vec!["english".into()];
    }
    chat
}

/// Plays one schedule on an empty store.
pub async fn play(h: &dyn Harness, seed: u64) {
    let mut game = Game::new(h, seed);
    let start = h.im().read().log().head().await.unwrap().position;
    game.desk.ensure_assistant().await.unwrap();
    game.given_agents().await;
    game.given_queue(h).await;
    let before = Seen::look(&game.desk).await;
    game.desk.sweep().await.unwrap();
    let mut rows = game.check(&before).await;
    for _ in 0..ROUNDS {
        let count = 1 + game.dice.roll(AT_ONCE);
        let acts: Vec<Act> = (0..count).map(|_| game.any_act()).collect();
        game.at_once(acts).await;
        rows = game.check(&rows).await;
        game.signs_of_life(&mut rows).await;
        let pause = Duration::from_millis(u64::from(game.dice.roll(20_000)));
        rows = game.wait(rows, pause).await;
    }
    game.hold(check_owners(&game.desk, start).await);
}

/// Plays a schedule of customers who come at once, in crowds, to agents who are all alike.
pub async fn play_evenly(h: &dyn Harness, seed: u64) {
    let mut game = Game::new(h, seed);
    game.desk.ensure_assistant().await.unwrap();
    let capacity = 1 + game.dice.roll(4);
    let until = game.clock.now() + Duration::from_hours(1);
    let mut unit = game.desk.store.begin().await.unwrap();
    for n in 0..AGENTS {
        unit.agents().ensure(agent_id(n), capacity).await.unwrap();
        unit.agents().set_status(agent_id(n), DeskStatus::Online, until).await.unwrap();
    }
    unit.commit().await.unwrap();
    let mut rows = Seen::look(&game.desk).await;
    let mut customers = 0..(AGENTS * capacity + 5);
    while !customers.is_empty() {
        let crowd = 1 + game.dice.roll(AT_ONCE);
        let acts: Vec<Act> =
            customers.by_ref().take(crowd as usize).map(|n| Act::Write { customer: n, name: n }).collect();
        game.at_once(acts).await;
        rows = game.check(&rows).await;
        game.hold(rows.check_even());
        game.clock.advance(Duration::from_millis(u64::from(game.dice.roll(1_000))));
        rows = rows.at(game.clock.now());
    }
}

/// The schedule of the behaviours here.
fn first_seed() -> u64 {
    std::env::var("DESK_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

pub async fn whatever_happens_at_once_the_rules_hold(h: &dyn Harness) {
    play(h, first_seed()).await;
}

pub async fn equal_agents_are_loaded_equally(h: &dyn Harness) {
    play_evenly(h, first_seed()).await;
}

/// One customer who writes many messages at once opens one conversation, in which each is stored once.
pub async fn a_customer_who_writes_at_once_has_one_conversation(h: &dyn Harness) {
    let mut game = Game::new(h, 1);
    // Every message comes twice.
    let acts: Vec<Act> = (0..24).map(|name| Act::Write { customer: 1, name: name / 2 }).collect();
    game.at_once(acts).await;
    let desk = game.desk;
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
