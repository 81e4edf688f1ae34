//! What the sweeps look for.

use consultation::consultation::Overdue;
use consultation::{Consultation, EndReason};
use domain::id::ConsultationId;

use super::samples::at;
use super::{Harness, sorted, within};
use crate::build::{consultation, consultation_id, pair};

async fn given(h: &dyn Harness, consultations: &[Consultation]) {
    let inserted = within(h, async |unit| unit.consultations().insert_open(consultations).await.unwrap()).await;
    assert_eq!(inserted.len(), consultations.len(), "the samples are of different pairs");
}

async fn overdue(h: &dyn Harness, what: Overdue, before: i64, limit: u32) -> Vec<ConsultationId> {
    h.store().read().consultations().find_overdue(what, at(before), limit).await.unwrap()
}

/// A consultation of a pair of its own, with its current deadline `millis` after the start.
fn new(n: u32, millis: i64) -> Consultation {
    consultation(n, pair(1, n)).deadline(at(millis)).done()
}

fn replying(n: u32, millis: i64) -> Consultation {
    consultation(n, pair(1, n)).replied(at(0)).deadline(at(millis)).done()
}

fn ended(n: u32) -> Consultation {
    let over = consultation(n, pair(1, n)).ended(EndReason::Completed, at(0)).done();
    Consultation { no_reply_deadline: Some(at(0)), idle_deadline: Some(at(0)), ..over }
}

fn void(c: Consultation) -> Consultation {
    Consultation { is_invalid: true, ..c }
}

pub async fn a_deadline_is_over_when_it_lies_before_the_instant(h: &dyn Harness) {
    given(h, &[new(1, 10), new(2, 11), replying(3, 10), replying(4, 11)]).await;
    assert!(overdue(h, Overdue::NoReply, 10, 9).await.is_empty());
    assert_eq!(overdue(h, Overdue::NoReply, 11, 9).await, [consultation_id(1)]);
    assert_eq!(overdue(h, Overdue::NoReply, 12, 9).await, [1, 2].map(consultation_id));
    assert!(overdue(h, Overdue::Idle, 10, 9).await.is_empty());
    assert_eq!(overdue(h, Overdue::Idle, 11, 9).await, [consultation_id(3)]);
    assert_eq!(overdue(h, Overdue::Idle, 12, 9).await, [3, 4].map(consultation_id));
}

pub async fn only_open_valid_consultations_with_a_deadline_are_overdue(h: &dyn Harness) {
    let without = Consultation { no_reply_deadline: None, ..new(5, 0) };
    given(h, &[ended(1), void(new(2, 0)), void(replying(3, 0)), new(4, 0), without, replying(6, 0)]).await;
    assert_eq!(overdue(h, Overdue::NoReply, 5, 9).await, [consultation_id(4)]);
    assert_eq!(overdue(h, Overdue::Idle, 5, 9).await, [consultation_id(6)]);
    assert_eq!(overdue(h, Overdue::Unwarned, 5, 9).await.len(), 2);
    assert_eq!(sorted(overdue(h, Overdue::StartedBefore, 5, 9).await), [4, 5, 6].map(consultation_id));
}

pub async fn a_deadline_of_another_status_does_not_count(h: &dyn Harness) {
    let stray_idle = Consultation { idle_deadline: Some(at(0)), ..new(1, 100) };
    let stray_no_reply = Consultation { no_reply_deadline: Some(at(0)), ..replying(2, 100) };
    given(h, &[stray_idle, stray_no_reply]).await;
    for what in [Overdue::NoReply, Overdue::Idle, Overdue::Unwarned] {
        assert!(overdue(h, what, 50, 9).await.is_empty(), "{what:?}");
    }
}

pub async fn warnings_are_due_once_and_at_the_boundary(h: &dyn Harness) {
    let warned = Consultation { is_warned: true, ..new(1, 0) };
    given(h, &[warned, new(2, 10), replying(3, 9)]).await;
    assert!(overdue(h, Overdue::Unwarned, 9, 9).await.is_empty());
    assert_eq!(overdue(h, Overdue::Unwarned, 10, 9).await, [consultation_id(3)]);
    assert_eq!(overdue(h, Overdue::Unwarned, 11, 9).await, [3, 2].map(consultation_id));
}

pub async fn the_hard_limit_counts_from_the_start(h: &dyn Harness) {
    let started = |n: u32, millis| consultation(n, pair(1, n)).started_at(at(millis));
    given(h, &[started(1, 10).done(), started(2, 9).replied(at(20)).done(), started(3, 11).done()]).await;
    assert!(overdue(h, Overdue::StartedBefore, 9, 9).await.is_empty());
    assert_eq!(overdue(h, Overdue::StartedBefore, 11, 9).await, [2, 1].map(consultation_id));
}

pub async fn the_oldest_deadlines_come_first_up_to_the_limit(h: &dyn Harness) {
    given(h, &[new(1, 3), new(2, 1), new(3, 2), replying(4, 6), replying(5, 4), replying(6, 5)]).await;
    assert_eq!(overdue(h, Overdue::NoReply, 99, 2).await, [2, 3].map(consultation_id));
    assert_eq!(overdue(h, Overdue::Idle, 99, 2).await, [5, 6].map(consultation_id));
    assert_eq!(overdue(h, Overdue::Unwarned, 99, 4).await, [2, 3, 1, 5].map(consultation_id));
}
