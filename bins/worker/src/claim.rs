//! The claim loop: take what is due, run it side by side, settle it in one go.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use domain::Timestamp;
use domain::id::JobId;
use domain::outbox::{ClaimedJob, JobOutcome};
use futures_util::future::FutureExt;
use futures_util::stream::{self, StreamExt};
use metrics::{counter, gauge};
use tokio::time;
use tracing::{error, warn};

use crate::Worker;

/// First wait after a failure; doubled each time.
const BACK_OFF: Duration = Duration::from_secs(1);
/// Longest wait between two tries.
const MAX_BACK_OFF: Duration = Duration::from_hours(1);
/// Wait after the queue itself failed.
const QUEUE_DOWN: Duration = Duration::from_secs(2);

/// Does one kind of job. Running a job twice must have one effect.
#[async_trait]
pub trait JobHandler: Send + Sync {
    /// The kind of jobs this does.
    fn kind(&self) -> &'static str;

    /// Does the job; `Ok(Some(at))` asks to be looked at again then, without counting as a try.
    ///
    /// # Errors
    /// [`JobFailure`]: whether trying again may help, and a short reason without personal data.
    async fn run(&self, job: &ClaimedJob) -> Result<Option<Timestamp>, JobFailure>;
}

/// Why a job was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobFailure {
    /// Trying again later may work.
    #[error("{0}")]
    Passing(String),
    /// Trying again is useless.
    #[error("{0}")]
    Final(String),
}

/// Runs until told to stop; what was claimed is settled first.
pub(crate) async fn run(worker: &Worker, stopping: impl Future<Output = ()>) {
    let mut stopping = pin!(stopping);
    loop {
        let wait = match round(worker).await {
            Ok(0) => worker.options.poll,
            Ok(_) => Duration::ZERO,
            Err(failure) => {
                warn!(error = &failure as &dyn std::error::Error, "the outbox could not be read");
                QUEUE_DOWN
            }
        };
        tokio::select! {
            biased;
            () = &mut stopping => return,
            () = worker.bell.heard() => {}
            () = time::sleep(wait) => {}
        }
    }
}

/// One claim and what came of it; answers how many jobs were taken.
async fn round(worker: &Worker) -> Result<usize, domain::StoreError> {
    let options = &worker.options;
    let now = worker.clock.now();
    let jobs = worker.queue.claim(&options.name, options.batch, now, options.lease).await?;
    if jobs.is_empty() {
        let depth = worker.queue.depth(now).await?;
        #[expect(clippy::cast_precision_loss, reason = "a queue is never 2^53 long")]
        let (due, dead) = (depth.due as f64, depth.dead as f64);
        gauge!("outbox_jobs_due").set(due);
        gauge!("outbox_jobs_dead").set(dead);
        return Ok(0);
    }
    let runs = jobs.into_iter().map(|job| async move { (job.id, outcome(worker, &job).await) });
    let outcomes: Vec<(JobId, JobOutcome)> = stream::iter(runs).buffer_unordered(options.concurrency).collect().await;
    worker.queue.settle(&options.name, &outcomes, worker.clock.now()).await?;
    Ok(outcomes.len())
}

/// Runs one job, whatever it does: a panic or an overrun is a failure like any other.
async fn outcome(worker: &Worker, job: &ClaimedJob) -> JobOutcome {
    let Some(handler) = worker.handlers.iter().find(|h| h.kind() == job.kind) else {
        return failed(worker, job, &JobFailure::Passing("no handler for this kind of job".to_owned()));
    };
    let limit = worker.options.lease.mul_f32(0.75);
    let run = AssertUnwindSafe(time::timeout(limit, handler.run(job))).catch_unwind();
    let result = match run.await {
        Ok(Ok(result)) => result,
        Ok(Err(_elapsed)) => Err(JobFailure::Passing("took longer than its lease".to_owned())),
        Err(_panic) => Err(JobFailure::Passing("panicked".to_owned())),
    };
    match result {
        Ok(None) => {
            counter!("outbox_jobs_total", "kind" => handler.kind(), "outcome" => "done").increment(1);
            JobOutcome::Done
        }
        Ok(Some(at)) => {
            counter!("outbox_jobs_total", "kind" => handler.kind(), "outcome" => "postponed").increment(1);
            JobOutcome::Postpone { at }
        }
        Err(failure) => {
            counter!("outbox_jobs_total", "kind" => handler.kind(), "outcome" => "failed").increment(1);
            failed(worker, job, &failure)
        }
    }
}

/// What a failure means for a job: another try after a while, or the dead letters.
fn failed(worker: &Worker, job: &ClaimedJob, failure: &JobFailure) -> JobOutcome {
    let is_final = matches!(failure, JobFailure::Final(_)) || job.attempt >= worker.options.max_attempts;
    if is_final {
        error!(job.id = %job.id, job.kind, job.attempt, reason = %failure, "job is a dead letter");
        return JobOutcome::Dead { error: failure.to_string() };
    }
    warn!(job.id = %job.id, job.kind, job.attempt, reason = %failure, "job failed, will be tried again");
    JobOutcome::Retry { at: worker.clock.now() + back_off(job.attempt), error: failure.to_string() }
}

/// 1 s, 2 s, 4 s … up to an hour.
fn back_off(attempt: u32) -> Duration {
    BACK_OFF.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(MAX_BACK_OFF)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::outbox::MockJobQueue;
    use domain::{Clock, ObjectId};

    use super::*;
    use crate::{Bell, WorkerOptions};

    struct Fixed;
    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_000_000)
        }
    }

    struct Handler(fn() -> Result<Option<Timestamp>, JobFailure>);
    #[async_trait]
    impl JobHandler for Handler {
        fn kind(&self) -> &'static str {
            "test"
        }
        async fn run(&self, _: &ClaimedJob) -> Result<Option<Timestamp>, JobFailure> {
            (self.0)()
        }
    }

    fn job(kind: &str, attempt: u32) -> ClaimedJob {
        let payload = serde_json::Value::Null;
        ClaimedJob {
            id: JobId(ObjectId::from_parts(1, [0; 5], 1)),
            kind: kind.into(),
            payload,
            idempotency_key: "k".into(),
            attempt,
        }
    }

    fn worker(handler: fn() -> Result<Option<Timestamp>, JobFailure>) -> Worker {
        Worker {
            options: WorkerOptions {
                name: "w".into(),
                batch: 8,
                concurrency: 2,
                lease: Duration::from_mins(1),
                poll: Duration::from_secs(1),
                max_attempts: 3,
            },
            queue: Arc::new(MockJobQueue::new()),
            handlers: vec![Arc::new(Handler(handler))],
            schedules: Vec::new(),
            clock: Arc::new(Fixed),
            bell: Arc::new(Bell::default()),
        }
    }

    #[test]
    fn waits_double_up_to_an_hour() {
        let waits: Vec<u64> = [1, 2, 3, 12, 13, 40].into_iter().map(|n| back_off(n).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 2048, 3600, 3600]);
    }

    #[tokio::test]
    async fn a_done_job_is_done_and_a_postponed_one_waits() {
        assert_eq!(outcome(&worker(|| Ok(None)), &job("test", 1)).await, JobOutcome::Done);
        let at = Timestamp::from_millis(5);
        assert_eq!(
            outcome(&worker(|| Ok(Some(Timestamp::from_millis(5)))), &job("test", 1)).await,
            JobOutcome::Postpone { at }
        );
    }

    #[tokio::test]
    async fn a_failing_job_is_tried_again_until_it_is_a_dead_letter() {
        let failing = worker(|| Err(JobFailure::Passing("down".into())));
        let again = JobOutcome::Retry { at: Timestamp::from_millis(1_002_000), error: "down".into() };
        assert_eq!(outcome(&failing, &job("test", 2)).await, again);
        assert_eq!(outcome(&failing, &job("test", 3)).await, JobOutcome::Dead { error: "down".into() });
        let hopeless = worker(|| Err(JobFailure::Final("bad payload".into())));
        assert_eq!(outcome(&hopeless, &job("test", 1)).await, JobOutcome::Dead { error: "bad payload".into() });
    }

    #[tokio::test]
    async fn a_panic_and_an_unknown_kind_are_failures_not_the_end() {
        let panicking = worker(|| panic!("on purpose"));
        assert!(matches!(outcome(&panicking, &job("test", 1)).await, JobOutcome::Retry { .. }));
        assert!(matches!(outcome(&panicking, &job("other", 1)).await, JobOutcome::Retry { .. }));
    }
}
