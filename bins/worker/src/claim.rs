//! The claim loop: take what is due, run it side by side, settle it in one go.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
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
/// Wait after a round that took everything: jobs that come one by one are then taken together, which costs the database
/// a few transactions for all of them instead of for each.
const BREATH: Duration = Duration::from_millis(50);
/// Wait after the queue itself failed.
const QUEUE_DOWN: Duration = Duration::from_secs(2);

/// What a job came to; `Ok(Some(at))` asks to be looked at again then, without counting as a try.
pub type JobResult = Result<Option<Timestamp>, JobFailure>;

/// Does one kind of job. Running a job twice must have one effect.
#[async_trait]
pub trait JobHandler: Send + Sync {
    /// The kind of jobs this does.
    fn kind(&self) -> &'static str;

    /// Does the job.
    ///
    /// # Errors
    /// [`JobFailure`]: whether trying again may help, and a short reason without personal data.
    async fn run(&self, job: &ClaimedJob) -> JobResult;

    /// Most jobs that [`run_all`](Self::run_all) is given: more than one where several cost little more than one.
    fn at_once(&self) -> usize {
        1
    }

    /// Does several jobs and answers for each, in order. They share one time limit, and one panic.
    async fn run_all(&self, jobs: &[ClaimedJob]) -> Vec<JobResult> {
        let mut results = Vec::with_capacity(jobs.len());
        for job in jobs {
            results.push(self.run(job).await);
        }
        results
    }
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
        let (wait, is_listening) = match round(worker).await {
            Ok(0) => (worker.options.poll, true),
            Ok(taken) if taken < worker.options.batch as usize => (BREATH, false),
            Ok(_) => (Duration::ZERO, false),
            Err(failure) => {
                warn!(error = &failure as &dyn std::error::Error, "the outbox could not be read");
                (QUEUE_DOWN, true)
            }
        };
        tokio::select! {
            biased;
            () = &mut stopping => return,
            () = worker.bell.heard(), if is_listening => {}
            () = time::sleep(wait) => {}
        }
    }
}

/// One claim and what came of it; answers how many jobs were taken.
async fn round(worker: &Worker) -> Result<usize, domain::StoreError> {
    let options = &worker.options;
    let now = worker.clock.now();
    let mut jobs = worker.queue.claim(&options.name, options.batch, now, options.lease).await?;
    if jobs.is_empty() {
        let depth = worker.queue.depth(now).await?;
        #[expect(clippy::cast_precision_loss, reason = "a queue is never 2^53 long")]
        let (due, dead) = (depth.due as f64, depth.dead as f64);
        gauge!("outbox_jobs_due").set(due);
        gauge!("outbox_jobs_dead").set(dead);
        return Ok(0);
    }
    jobs.sort_by(|a, b| a.kind.cmp(&b.kind));
    let mut runs = Vec::new();
    for of_kind in jobs.chunk_by(|a, b| a.kind == b.kind) {
        let is_its = |handler: &&Arc<dyn JobHandler>| of_kind.first().is_some_and(|job| job.kind == handler.kind());
        let handler = worker.handlers.iter().find(is_its).map(|handler| &**handler);
        let at_once = handler.map_or(1, |handler| handler.at_once().max(1));
        runs.extend(of_kind.chunks(at_once).map(|jobs| outcomes(worker, handler, jobs)));
    }
    let outcomes: Vec<Vec<_>> = stream::iter(runs).buffer_unordered(options.concurrency).collect().await;
    worker.queue.settle(&options.name, &outcomes.concat(), worker.clock.now()).await?;
    Ok(jobs.len())
}

/// Runs jobs of one kind, whatever they do: a panic or an overrun is a failure like any other.
async fn outcomes(worker: &Worker, handler: Option<&dyn JobHandler>, jobs: &[ClaimedJob]) -> Vec<(JobId, JobOutcome)> {
    let passing = |reason: &str| vec![Err(JobFailure::Passing(reason.to_owned())); jobs.len()];
    let results = match handler {
        None => passing("no handler for this kind of job"),
        Some(handler) => {
            let limit = worker.options.lease.mul_f32(0.75);
            let run = AssertUnwindSafe(time::timeout(limit, handler.run_all(jobs))).catch_unwind();
            match run.await {
                Ok(Ok(results)) => results,
                Ok(Err(_elapsed)) => passing("took longer than its lease"),
                Err(_panic) => passing("panicked"),
            }
        }
    };
    jobs.iter().zip(results).map(|(job, result)| (job.id, outcome(worker, job, result))).collect()
}

/// What a result means for a job.
fn outcome(worker: &Worker, job: &ClaimedJob, result: JobResult) -> JobOutcome {
    let (outcome, word) = match result {
        Ok(None) => (JobOutcome::Done, "done"),
        Ok(Some(at)) => (JobOutcome::Postpone { at }, "postponed"),
        Err(failure) => (failed(worker, job, &failure), "failed"),
    };
    counter!("outbox_jobs_total", "kind" => job.kind.clone(), "outcome" => word).increment(1);
    outcome
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

    struct Handler(fn() -> JobResult);
    #[async_trait]
    impl JobHandler for Handler {
        fn kind(&self) -> &'static str {
            "test"
        }
        async fn run(&self, _: &ClaimedJob) -> JobResult {
            (self.0)()
        }
    }

    /// What becomes of one job.
    async fn outcome(worker: &Worker, job: &ClaimedJob) -> JobOutcome {
        let handler = worker.handlers.iter().find(|h| h.kind() == job.kind).map(|handler| &**handler);
        let outcomes = outcomes(worker, handler, std::slice::from_ref(job)).await;
        let [(id, outcome)] = &outcomes[..] else { panic!("one job has one outcome: {outcomes:?}") };
        assert_eq!(*id, job.id);
        outcome.clone()
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

    fn worker(handler: fn() -> JobResult) -> Worker {
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

    /// Keeps how many jobs it was given each time.
    #[derive(Default)]
    struct Several(std::sync::Mutex<Vec<usize>>);
    #[async_trait]
    impl JobHandler for Several {
        fn kind(&self) -> &'static str {
            "several"
        }
        async fn run(&self, _: &ClaimedJob) -> JobResult {
            Ok(None)
        }
        fn at_once(&self) -> usize {
            3
        }
        async fn run_all(&self, jobs: &[ClaimedJob]) -> Vec<JobResult> {
            self.0.lock().unwrap().push(jobs.len());
            jobs.iter().map(|job| if job.attempt == 2 { Ok(Some(Timestamp::EPOCH)) } else { Ok(None) }).collect()
        }
    }

    #[tokio::test]
    async fn jobs_of_a_kind_are_handed_over_together_and_each_is_settled_as_it_came_out() {
        let several = Arc::new(Several::default());
        let mut queue = MockJobQueue::new();
        let claimed = [("several", 1), ("test", 1), ("several", 2), ("several", 1), ("several", 1)];
        let id = |n: usize| JobId(ObjectId::from_parts(1, [0; 5], u32::try_from(n).unwrap()));
        queue.expect_claim().return_once(move |_, _, _, _| {
            Ok(claimed
                .iter()
                .enumerate()
                .map(|(n, (kind, attempt))| ClaimedJob { id: id(n), ..job(kind, *attempt) })
                .collect())
        });
        queue.expect_settle().return_once(move |_, outcomes, _| {
            let mut outcomes = outcomes.to_vec();
            outcomes.sort_by_key(|(id, _)| *id);
            let later = JobOutcome::Postpone { at: Timestamp::EPOCH };
            let expected = [JobOutcome::Done, JobOutcome::Done, later, JobOutcome::Done, JobOutcome::Done];
            assert_eq!(outcomes, expected.into_iter().enumerate().map(|(n, o)| (id(n), o)).collect::<Vec<_>>());
            Ok(())
        });
        let mut worker = worker(|| Ok(None));
        worker.handlers.push(several.clone());
        worker.queue = Arc::new(queue);
        assert_eq!(round(&worker).await.unwrap(), 5);
        let mut given = several.0.lock().unwrap().clone();
        given.sort_unstable();
        assert_eq!(given, [1, 3]);
    }

    #[tokio::test]
    async fn a_panic_and_an_unknown_kind_are_failures_not_the_end() {
        let panicking = worker(|| panic!("on purpose"));
        assert!(matches!(outcome(&panicking, &job("test", 1)).await, JobOutcome::Retry { .. }));
        assert!(matches!(outcome(&panicking, &job("other", 1)).await, JobOutcome::Retry { .. }));
    }
}
