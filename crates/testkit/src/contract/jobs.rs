//! The outbox: writing jobs, settling them, looking at them and cleaning up.

use std::time::Duration;

use domain::StoreError;
use domain::id::JobId;
use domain::outbox::{JobOutcome, JobRecord, JobState, NewJob, QueueDepth};
use domain::page::PageRequest;
use serde_json::json;

use super::samples::{at, job};
use super::{Harness, assert_unique, attempt, within};
use crate::ids::object_id;

const LEASE: Duration = Duration::from_millis(100);

async fn given(h: &dyn Harness, jobs: &[NewJob]) {
    within(h, async |unit| unit.outbox().append_all(jobs).await.unwrap()).await;
}

fn id(n: u32) -> JobId {
    JobId(object_id(n))
}

async fn stored(h: &dyn Harness, n: u32) -> Option<JobRecord> {
    h.queue().find(id(n)).await.unwrap()
}

/// Claims everything due at `now` for worker `w`.
async fn claim(h: &dyn Harness, now: i64) -> Vec<JobId> {
    let claimed = h.queue().claim("w", 100, at(now), LEASE).await.unwrap();
    claimed.into_iter().map(|j| j.id).collect()
}

async fn settle(h: &dyn Harness, n: u32, outcome: JobOutcome, now: i64) {
    h.queue().settle("w", &[(id(n), outcome)], at(now)).await.unwrap();
}

fn dead(error: &str) -> JobOutcome {
    JobOutcome::Dead { error: error.into() }
}

fn record(job: &NewJob) -> JobRecord {
    JobRecord {
        id: job.id,
        kind: job.kind.to_owned(),
        payload: job.payload.clone(),
        state: JobState::Queued,
        attempts: 0,
        run_at: job.run_at,
        leased_until: None,
        last_error: None,
        created_at: job.created_at,
    }
}

pub async fn a_new_job_is_queued_with_every_field(h: &dyn Harness) {
    let new = NewJob { payload: json!({"id": "5dae", "列表": [1, null, "\"'"]}), ..job(1, 5) };
    given(h, std::slice::from_ref(&new)).await;
    given(h, &[]).await;
    assert_eq!(stored(h, 1).await, Some(record(&new)));
    assert_eq!(stored(h, 2).await, None);
}

pub async fn a_second_job_under_a_key_is_dropped(h: &dyn Harness) {
    let again = |n: u32| NewJob { idempotency_key: "job:1".into(), ..job(n, 9) };
    given(h, &[job(1, 0)]).await;
    given(h, &[again(2), job(3, 0), again(4)]).await;
    let twins = [5, 6].map(|n| NewJob { idempotency_key: "同".into(), ..job(n, 0) });
    given(h, &twins).await;
    assert_eq!(stored(h, 1).await, Some(record(&job(1, 0))));
    assert_eq!(stored(h, 3).await, Some(record(&job(3, 0))));
    assert_eq!(stored(h, 5).await, Some(record(&twins[0])));
    for dropped in [2, 4, 6] {
        assert_eq!(stored(h, dropped).await, None, "job {dropped}");
    }
}

pub async fn a_key_stays_taken_after_its_job_is_done(h: &dyn Harness) {
    given(h, &[job(1, 0)]).await;
    claim(h, 0).await;
    settle(h, 1, JobOutcome::Done, 1).await;
    given(h, &[NewJob { idempotency_key: "job:1".into(), ..job(2, 0) }]).await;
    assert_eq!(stored(h, 2).await, None);
}

pub async fn a_job_id_is_taken_once(h: &dyn Harness) {
    given(h, &[job(1, 0)]).await;
    let other_key = NewJob { idempotency_key: "other".into(), ..job(1, 0) };
    assert_unique(&attempt(h, async |unit| unit.outbox().append_all(&[other_key]).await).await, "job");
}

pub async fn a_done_job_is_kept_and_not_claimed_again(h: &dyn Harness) {
    given(h, &[job(1, 0)]).await;
    claim(h, 0).await;
    settle(h, 1, JobOutcome::Done, 1).await;
    let expected = JobRecord { state: JobState::Done, attempts: 1, ..record(&job(1, 0)) };
    assert_eq!(stored(h, 1).await, Some(expected));
    assert!(claim(h, 1_000).await.is_empty());
}

pub async fn a_retry_waits_and_keeps_its_error(h: &dyn Harness) {
    given(h, &[job(1, 0)]).await;
    claim(h, 0).await;
    settle(h, 1, JobOutcome::Retry { at: at(50), error: "通道不可用".into() }, 1).await;
    let expected =
        JobRecord { attempts: 1, run_at: at(50), last_error: Some("通道不可用".into()), ..record(&job(1, 0)) };
    assert_eq!(stored(h, 1).await, Some(expected.clone()));
    assert!(claim(h, 49).await.is_empty());
    assert_eq!(claim(h, 50).await, [id(1)]);
    settle(h, 1, JobOutcome::Done, 51).await;
    let expected = JobRecord { state: JobState::Done, attempts: 2, ..expected };
    assert_eq!(stored(h, 1).await, Some(expected));
}

pub async fn postponing_does_not_count_as_an_attempt(h: &dyn Harness) {
    given(h, &[job(1, 0)]).await;
    for now in [0, 50] {
        let claimed = h.queue().claim("w", 9, at(now), LEASE).await.unwrap();
        assert_eq!(claimed[0].attempt, 1);
        settle(h, 1, JobOutcome::Postpone { at: at(now + 50) }, now).await;
    }
    assert_eq!(stored(h, 1).await, Some(JobRecord { run_at: at(100), ..record(&job(1, 0)) }));
}

pub async fn a_dead_job_waits_for_an_operator(h: &dyn Harness) {
    given(h, &[job(1, 0)]).await;
    claim(h, 0).await;
    settle(h, 1, dead("gave up"), 1).await;
    let expected =
        JobRecord { state: JobState::Dead, attempts: 1, last_error: Some("gave up".into()), ..record(&job(1, 0)) };
    assert_eq!(stored(h, 1).await, Some(expected));
    assert!(claim(h, 1_000).await.is_empty());
}

pub async fn long_errors_are_cut(h: &dyn Harness) {
    given(h, &[job(1, 0)]).await;
    claim(h, 0).await;
    settle(h, 1, dead(&"错".repeat(501)), 1).await;
    assert_eq!(stored(h, 1).await.unwrap().last_error, Some("错".repeat(500)));
}

pub async fn several_outcomes_are_settled_at_once(h: &dyn Harness) {
    given(h, &[job(1, 0), job(2, 0), job(3, 0)]).await;
    claim(h, 0).await;
    let outcomes = [(id(1), JobOutcome::Done), (id(9), JobOutcome::Done), (id(2), dead("x"))];
    h.queue().settle("w", &outcomes, at(1)).await.unwrap();
    h.queue().settle("w", &[], at(1)).await.unwrap();
    assert_eq!(stored(h, 1).await.unwrap().state, JobState::Done);
    assert_eq!(stored(h, 2).await.unwrap().state, JobState::Dead);
    assert_eq!(stored(h, 3).await.unwrap().leased_until, Some(at(100)));
}

pub async fn a_dead_job_can_be_tried_again(h: &dyn Harness) {
    given(h, &[job(1, 0), job(2, 0)]).await;
    claim(h, 0).await;
    settle(h, 1, dead("x"), 1).await;
    assert!(matches!(h.retry_dead(id(1), at(30)).await, Ok(true)));
    let again = stored(h, 1).await.unwrap();
    assert_eq!((again.state, again.attempts, again.run_at), (JobState::Queued, 0, at(30)));
    assert_eq!(claim(h, 30).await, [id(1)]);
    for not_dead in [1, 2, 9] {
        assert!(matches!(h.retry_dead(id(not_dead), at(31)).await, Ok(false)), "job {not_dead}");
    }
}

pub async fn a_dead_job_can_be_set_aside(h: &dyn Harness) {
    given(h, &[job(1, 0), job(2, 0)]).await;
    claim(h, 0).await;
    settle(h, 1, dead("x"), 1).await;
    assert!(matches!(h.discard_dead(id(1), at(30)).await, Ok(true)));
    assert_eq!(stored(h, 1).await.unwrap().state, JobState::Discarded);
    for not_dead in [1, 2, 9] {
        assert!(matches!(h.discard_dead(id(not_dead), at(31)).await, Ok(false)), "job {not_dead}");
    }
    assert!(matches!(h.retry_dead(id(1), at(31)).await, Ok(false)));
}

pub async fn purging_deletes_what_was_settled_before_the_instant(h: &dyn Harness) {
    given(h, &(1..=6).map(|n| job(n, 0)).collect::<Vec<_>>()).await;
    claim(h, 0).await;
    settle(h, 1, JobOutcome::Done, 9).await;
    settle(h, 2, JobOutcome::Done, 10).await;
    settle(h, 3, dead("x"), 1).await;
    settle(h, 4, dead("x"), 1).await;
    settle(h, 5, JobOutcome::Retry { at: at(3), error: "x".into() }, 1).await;
    assert!(matches!(h.discard_dead(id(4), at(9)).await, Ok(true)));
    assert_eq!(h.queue().purge(at(9)).await.unwrap(), 0);
    assert_eq!(h.queue().purge(at(10)).await.unwrap(), 2);
    let mut left = Vec::new();
    for n in 1..=6 {
        left.extend(stored(h, n).await.map(|_| n));
    }
    assert_eq!(left, [2, 3, 5, 6]);
}

pub async fn the_next_due_time_counts_leases(h: &dyn Harness) {
    assert_eq!(h.queue().next_due().await.unwrap(), None);
    given(h, &[job(1, 10), job(2, 500)]).await;
    assert_eq!(h.queue().next_due().await.unwrap(), Some(at(10)));
    claim(h, 20).await;
    assert_eq!(h.queue().next_due().await.unwrap(), Some(at(120)));
    settle(h, 1, JobOutcome::Done, 21).await;
    assert_eq!(h.queue().next_due().await.unwrap(), Some(at(500)));
    claim(h, 500).await;
    settle(h, 2, dead("x"), 501).await;
    assert_eq!(h.queue().next_due().await.unwrap(), None);
}

pub async fn the_depth_counts_due_and_dead_jobs(h: &dyn Harness) {
    assert_eq!(h.queue().depth(at(0)).await.unwrap(), QueueDepth { due: 0, dead: 0 });
    given(h, &[job(1, 0), job(2, 5), job(3, 6), job(4, 0), job(5, 0)]).await;
    assert_eq!(h.queue().depth(at(5)).await.unwrap(), QueueDepth { due: 4, dead: 0 });
    claim(h, 0).await;
    settle(h, 1, dead("x"), 1).await;
    settle(h, 4, JobOutcome::Done, 1).await;
    settle(h, 5, JobOutcome::Retry { at: at(6), error: "x".into() }, 1).await;
    assert_eq!(h.queue().depth(at(5)).await.unwrap(), QueueDepth { due: 1, dead: 1 });
}

pub async fn jobs_are_listed_by_state_newest_first(h: &dyn Harness) {
    given(h, &[job(1, 0), job(2, 0), job(3, 0), job(4, 9)]).await;
    claim(h, 0).await;
    settle(h, 1, dead("x"), 1).await;
    settle(h, 3, dead("x"), 1).await;
    let list = async |state| -> Result<Vec<JobId>, StoreError> {
        Ok(h.queue().list(state, PageRequest::first()).await?.items.into_iter().map(|j| j.id).collect())
    };
    assert_eq!(list(JobState::Dead).await.unwrap(), [id(3), id(1)]);
    assert_eq!(list(JobState::Queued).await.unwrap(), [id(4), id(2)]);
    assert!(list(JobState::Done).await.unwrap().is_empty());
}
