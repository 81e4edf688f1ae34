//! Every step of a chat, and what time asks of it.

use domain::ObjectId;
use domain::office_hours::WrittenHours;
use domain::time::span;
use proptest::prelude::*;

use super::*;

fn id(n: u32) -> ObjectId {
    ObjectId::from_parts(1, [0; 5], n)
}

fn at(minutes: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000) + span::minutes(minutes)
}

fn always() -> Schedule {
    Schedule::read(&WrittenHours::default(), chrono_tz::Asia::Shanghai)
}

fn settings() -> DeskSettings {
    DeskSettings::default()
}

fn idle() -> Chat {
    Chat::new(id(1).into(), "c".into(), MemberKind::Patient, at(0))
}

fn queued() -> Chat {
    let mut chat = idle();
    assert_eq!(chat.customer_wrote(&settings(), &always(), at(0)), CustomerWrote::Begins);
    chat.detail.episode = Some(id(9).into());
    chat
}

fn assigned() -> Chat {
    let mut chat = queued();
    chat.assign(id(5).into(), AssignReason::LeastLoaded, at(1));
    chat
}

#[test]
fn the_first_message_queues_and_sets_the_aims() {
    let chat = queued();
    assert_eq!((chat.status, chat.queued_at, chat.turn()), (ChatStatus::Queued, Some(at(0)), None));
    assert_eq!(chat.sla(), Some((SlaKind::FirstReply, at(2))));
}

#[test]
fn turns_follow_who_wrote_last() {
    let mut chat = assigned();
    assert_eq!(chat.turn(), Some(Turn::WaitingAgent));
    chat.agent_replied(at(2));
    assert_eq!(chat.turn(), Some(Turn::WaitingUser));
    assert_eq!(chat.sla().unwrap().0, SlaKind::Resolve);
    assert_eq!(chat.customer_wrote(&settings(), &always(), at(3)), CustomerWrote::GoesOn);
    assert_eq!(chat.turn(), Some(Turn::WaitingAgent));
    assert_eq!(chat.sla(), Some((SlaKind::NextReply, at(8))));
    chat.customer_wrote(&settings(), &always(), at(6));
    assert_eq!(chat.sla(), Some((SlaKind::NextReply, at(8))), "waiting since the first message");
}

#[test]
fn a_silent_customer_is_warned_and_then_the_chat_is_closed() {
    let mut chat = assigned();
    assert_eq!(chat.next_action_at(&settings()), None, "the agent's turn");
    chat.agent_replied(at(2));
    assert_eq!(chat.next_action_at(&settings()), Some(at(22)));
    assert_eq!(chat.overdue(&settings(), at(21)), None);
    assert_eq!(chat.overdue(&settings(), at(22)), Some(Overdue::Warn));
    chat.detail.warned_at = Some(at(22));
    assert_eq!(chat.overdue(&settings(), at(31)), None);
    assert_eq!(chat.overdue(&settings(), at(32)), Some(Overdue::Close));
    chat.customer_wrote(&settings(), &always(), at(31));
    assert_eq!(chat.overdue(&settings(), at(90)), None, "a word of the customer stops it");
    chat.agent_replied(at(91));
    assert_eq!(chat.overdue(&settings(), at(111)), Some(Overdue::Warn), "and it begins with a warning again");
}

#[test]
fn a_closed_chat_is_taken_up_again_or_begins_anew() {
    let mut chat = assigned();
    chat.agent_replied(at(2));
    chat.close(CloseReason::Agent, at(3));
    assert!(chat.can_rate());
    let mut soon = chat.clone();
    assert_eq!(soon.customer_wrote(&settings(), &always(), at(10)), CustomerWrote::Reopens);
    assert_eq!(soon.status, ChatStatus::Queued);
    assert_eq!(soon.sticky_agent(&settings(), at(10)), Some(id(5).into()));
    let mut late = chat.clone();
    assert_eq!(late.customer_wrote(&settings(), &always(), at(3 + 24 * 60)), CustomerWrote::Begins);
    let mut rated = chat;
    rated.detail.is_rated = true;
    assert!(!rated.can_rate());
    assert_eq!(
        rated.customer_wrote(&settings(), &always(), at(10)),
        CustomerWrote::Begins,
        "a rating ends the episode"
    );
    assert!(!rated.can_rate(), "not before the next close");
}

#[test]
fn a_chat_that_loses_its_agent_waits_where_its_customer_does() {
    let mut chat = assigned();
    chat.enqueue(at(5));
    assert_eq!((chat.status, chat.queued_at, chat.agent), (ChatStatus::Queued, Some(at(0)), None));
    let mut answered = assigned();
    answered.agent_replied(at(2));
    answered.enqueue(at(5));
    assert_eq!(answered.queued_at, Some(at(5)));
}

#[test]
fn an_offer_ends_by_itself() {
    let mut chat = assigned();
    chat.detail.offer = Some(Offer { from: id(5).into(), to: id(6).into(), note: "x".into(), until: at(2) });
    assert_eq!(chat.next_action_at(&settings()), Some(at(2)));
    assert_eq!(chat.overdue(&settings(), at(2)), Some(Overdue::OfferEnded));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Customer,
    Agent,
    Assign,
    Enqueue,
    Close,
}

proptest! {
    /// Whatever happens, the parts of a chat agree with each other.
    #[test]
    fn the_parts_of_a_chat_agree(steps in prop::collection::vec((0..5_u8, 0..60_u64), 1..40)) {
        let mut chat = idle();
        let mut now = at(0);
        for (step, minutes) in steps {
            now = now + span::minutes(minutes);
            let step = [Step::Customer, Step::Agent, Step::Assign, Step::Enqueue, Step::Close][usize::from(step)];
            match step {
                Step::Customer => { chat.customer_wrote(&settings(), &always(), now); }
                Step::Agent if chat.status == ChatStatus::Assigned => chat.agent_replied(now),
                Step::Assign if chat.status == ChatStatus::Queued => chat.assign(id(5).into(), AssignReason::Sticky, now),
                Step::Enqueue if chat.status == ChatStatus::Assigned => chat.enqueue(now),
                Step::Close if matches!(chat.status, ChatStatus::Assigned | ChatStatus::Queued) => {
                    chat.close(CloseReason::Agent, now);
                }
                _ => {}
            }
            prop_assert_eq!(chat.status == ChatStatus::Assigned, chat.agent.is_some());
            prop_assert_eq!(chat.status == ChatStatus::Queued, chat.queued_at.is_some());
            prop_assert_eq!(chat.status == ChatStatus::Closed, chat.detail.closed_at.is_some());
            prop_assert_eq!(chat.agent.is_some(), chat.reason.is_some());
            prop_assert!(chat.queued_at.is_none_or(|at| at <= now));
            prop_assert!(chat.detail.warned_at.is_none() || chat.turn() == Some(Turn::WaitingUser));
        }
    }
}
