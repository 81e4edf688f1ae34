//! Claiming jobs and schedules.

use std::time::Duration;

use domain::id::JobId;
use domain::outbox::{ClaimedJob, JobOutcome, NewJob};
use serde_json::json;

use super::samples::{at, job};
use super::{Harness, within};
use crate::ids::object_id;

const LEASE: Duration = Duration::from_millis(100);

async fn given(h: &dyn Harness, jobs: &[NewJob]) {
    within(h, async |unit| unit.outbox().append_all(jobs).await.unwrap()).await;
}

fn id(n: u32) -> JobId {
    JobId(object_id(n))
}

async fn claim(h: &dyn Harness, worker: &str, limit: u32, now: i64) -> Vec<JobId> {
    let claimed = h.queue().claim(worker, limit, at(now), LEASE).await.unwrap();
    claimed.into_iter().map(|j| j.id).collect()
}

pub async fn a_claim_hands_over_the_job_and_counts_the_attempt(h: &dyn Harness) {
    let new = NewJob { payload: json!({"列": [1, "二"]}), idempotency_key: "k".into(), ..job(1, 0) };
    given(h, std::slice::from_ref(&new)).await;
    let claimed = h.queue().claim("w", 9, at(0), LEASE).await.unwrap();
    let expected = ClaimedJob {
        id: new.id,
        kind: new.kind.to_owned(),
        payload: new.payload,
        idempotency_key: "k".into(),
        attempt: 1,
    };
    assert_eq!(claimed, [expected]);
    let record = h.queue().find(id(1)).await.unwrap().unwrap();
    assert_eq!((record.attempts, record.leased_until), (1, Some(at(100))));
}

pub async fn the_oldest_due_jobs_come_first_up_to_the_limit(h: &dyn Harness) {
    given(h, &[job(1, 5), job(2, 3), job(4, 1), job(3, 1), job(5, 0)]).await;
    assert_eq!(claim(h, "w", 3, 9).await, [id(5), id(3), id(4)]);
    assert_eq!(claim(h, "w", 3, 9).await, [id(2), id(1)]);
    assert!(claim(h, "w", 3, 9).await.is_empty());
}

pub async fn a_job_is_due_from_its_very_instant(h: &dyn Harness) {
    given(h, &[job(1, 10)]).await;
    assert!(claim(h, "w", 9, 9).await.is_empty());
    assert_eq!(claim(h, "w", 9, 10).await, [id(1)]);
}

pub async fn a_leased_job_is_nobody_elses_until_the_lease_ends(h: &dyn Harness) {
    given(h, &[job(1, 0)]).await;
    assert_eq!(claim(h, "a", 9, 0).await, [id(1)]);
    assert!(claim(h, "b", 9, 99).await.is_empty());
    assert!(claim(h, "a", 9, 99).await.is_empty());
    let claimed = h.queue().claim("b", 9, at(100), LEASE).await.unwrap();
    assert_eq!(claimed.iter().map(|j| (j.id, j.attempt)).collect::<Vec<_>>(), [(id(1), 2)]);
}

pub async fn a_lost_lease_settles_nothing(h: &dyn Harness) {
    given(h, &[job(1, 0)]).await;
    claim(h, "a", 9, 0).await;
    claim(h, "b", 9, 100).await;
    let before = h.queue().find(id(1)).await.unwrap();
    for outcome in [
        JobOutcome::Done,
        JobOutcome::Dead { error: "x".into() },
        JobOutcome::Retry { at: at(0), error: "x".into() },
        JobOutcome::Postpone { at: at(0) },
    ] {
        h.queue().settle("a", &[(id(1), outcome)], at(101)).await.unwrap();
    }
    assert_eq!(h.queue().find(id(1)).await.unwrap(), before);
    h.queue().settle("b", &[(id(1), JobOutcome::Done)], at(102)).await.unwrap();
    assert!(claim(h, "a", 9, 1_000).await.is_empty());
}

pub async fn settling_twice_counts_once(h: &dyn Harness) {
    given(h, &[job(1, 0)]).await;
    claim(h, "a", 9, 0).await;
    h.queue().settle("a", &[(id(1), JobOutcome::Postpone { at: at(50) })], at(1)).await.unwrap();
    let settled = h.queue().find(id(1)).await.unwrap();
    h.queue().settle("a", &[(id(1), JobOutcome::Postpone { at: at(60) })], at(2)).await.unwrap();
    assert_eq!(h.queue().find(id(1)).await.unwrap(), settled);
}

async fn take(h: &dyn Harness, name: &str, worker: &str, now: i64) -> bool {
    let (every, lease) = (Duration::from_secs(1), Duration::from_millis(100));
    h.queue().take_schedule(name, worker, at(now), every, lease).await.unwrap()
}

pub async fn a_schedule_is_taken_once_a_period(h: &dyn Harness) {
    assert!(take(h, "sweep", "a", 0).await);
    for (worker, now) in [("a", 0), ("b", 0), ("a", 999), ("b", 999)] {
        assert!(!take(h, "sweep", worker, now).await, "{worker} at {now}");
    }
    assert!(take(h, "sweep", "b", 1_000).await);
    assert!(!take(h, "sweep", "a", 1_999).await);
}

pub async fn schedules_of_other_names_are_their_own(h: &dyn Harness) {
    assert!(take(h, "sweep", "a", 0).await);
    assert!(take(h, "purge", "a", 0).await);
    assert!(!take(h, "sweep", "a", 1).await);
}

pub async fn a_schedule_that_runs_longer_than_its_period_is_not_taken_beside_itself(h: &dyn Harness) {
    let (every, lease) = (Duration::from_millis(10), Duration::from_millis(100));
    let take = async |now| h.queue().take_schedule("sweep", "w", at(now), every, lease).await.unwrap();
    assert!(take(0).await);
    assert!(!take(99).await);
    assert!(take(100).await);
}
