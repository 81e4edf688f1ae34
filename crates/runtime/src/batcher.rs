//! Group commit for any kind of work: callers hand in one input each, runners take whatever has gathered
//! and do it in one go.
//!
//! A lone input is taken at once when nothing else is being done, and batches grow by themselves while runners are
//! busy. A runner that finds others at work waits a moment for company: many small batches beside each other would
//! cost each input more than the wait does. What a batch does (one statement, one transaction) is the caller's
//! function.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use metrics::Histogram;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, error_span};

/// How a [`Batcher`] gathers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSettings {
    /// Batches done at the same time.
    pub runners: usize,
    /// Longest wait for company while other runners are at work.
    pub linger: Duration,
    /// Most inputs in one batch.
    pub max_batch: usize,
    /// Inputs that may wait; further callers wait for room.
    pub queue: usize,
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self { runners: 1, linger: Duration::from_millis(1), max_batch: 256, queue: 4096 }
    }
}

/// The batch gave this caller no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The batcher takes no more work; nothing was done.
    #[error("no more work is taken, the server is stopping")]
    Closed,
    /// The batch broke off; whether this input was done is unknown.
    #[error("the work was broken off before its outcome was known")]
    BrokenOff,
}

/// An input was not taken; nothing is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandInError {
    #[error("no more work is taken, the server is stopping")]
    Closed,
    /// Too many inputs are waiting.
    #[error("too much work is waiting")]
    Full,
}

/// The output of an input that was handed in. May be dropped; the work is done all the same.
#[derive(Debug)]
pub struct Answer<Out>(oneshot::Receiver<Out>);

impl<Out> Future for Answer<Out> {
    type Output = Result<Out, BatchError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(Pin::new(&mut self.0).poll(context)).or(Err(BatchError::BrokenOff)))
    }
}

struct Entry<In, Out> {
    input: In,
    reply: Reply<Out>,
}

/// Told the output of an input, or that there is none.
pub type Told<Out> = Box<dyn FnOnce(Result<Out, BatchError>) + Send>;

/// How a caller hears of its output.
enum Reply<Out> {
    Awaited(oneshot::Sender<Out>),
    Told(Told<Out>),
}

impl<Out> Reply<Out> {
    fn answer(self, output: Result<Out, BatchError>) {
        match (self, output) {
            // A caller that went away needs no answer; one that waits learns of none when this is dropped.
            (Self::Awaited(reply), Ok(output)) => drop(reply.send(output)),
            (Self::Awaited(_), Err(_)) => {}
            (Self::Told(told), output) => told(output),
        }
    }
}

/// Gathers inputs into batches. Cheap to share behind an [`Arc`]; dropping it lets the runners finish
/// what was handed in.
pub struct Batcher<In, Out> {
    sender: mpsc::Sender<Entry<In, Out>>,
    closing: CancellationToken,
    runners: TaskTracker,
}

impl<In, Out> Batcher<In, Out>
where
    In: Send + 'static,
    Out: Send + 'static,
{
    /// Starts the runners on the current Tokio runtime. `run` gets at least one input and answers with
    /// one output for each, in the same order. Zeros in `settings` count as one.
    pub fn start<F, Fut>(name: &'static str, settings: BatchSettings, run: F) -> Self
    where
        F: Fn(Vec<In>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<Out>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel(settings.queue.max(1));
        let batcher = Self { sender, closing: CancellationToken::new(), runners: TaskTracker::new() };
        let receiver = Arc::new(Mutex::new(receiver));
        let in_hand = Arc::new(AtomicUsize::new(0));
        let run = Arc::new(run);
        for _ in 0..settings.runners.max(1) {
            let runner = Runner {
                name,
                receiver: receiver.clone(),
                in_hand: in_hand.clone(),
                closing: batcher.closing.clone(),
                run: run.clone(),
                max_batch: settings.max_batch.max(1),
                linger: settings.linger,
                batch_size: metrics::histogram!("batch_size", "batcher" => name),
            };
            batcher.runners.spawn(runner.run_until_closed().instrument(error_span!("batcher", batcher = name)));
        }
        batcher.runners.close();
        batcher
    }

    /// Hands in `input` and waits for its output. Once handed in, the work is done even if the caller
    /// goes away.
    ///
    /// # Errors
    /// [`BatchError::Closed`] after [`Batcher::close`]; [`BatchError::BrokenOff`] when the batch panicked
    /// or answered with the wrong number of outputs.
    pub async fn call(&self, input: In) -> Result<Out, BatchError> {
        if self.closing.is_cancelled() {
            return Err(BatchError::Closed);
        }
        let (reply, answer) = oneshot::channel();
        self.sender.send(Entry { input, reply: Reply::Awaited(reply) }).await.or(Err(BatchError::Closed))?;
        answer.await.or(Err(BatchError::BrokenOff))
    }

    /// Hands in `input` without waiting for room. Inputs handed in one after the other are done in that order
    /// where there is one runner.
    ///
    /// # Errors
    /// [`HandInError`]; nothing is done then.
    pub fn hand_in(&self, input: In) -> Result<Answer<Out>, HandInError> {
        let (reply, answer) = oneshot::channel();
        self.room()?.send(Entry { input, reply: Reply::Awaited(reply) });
        Ok(Answer(answer))
    }

    /// The same for a caller that does not wait: `told` is called with the output, once and soon, and must be quick.
    ///
    /// # Errors
    /// [`HandInError`], with `told` handed back; nothing is done then.
    pub fn hand_in_told(&self, input: In, told: Told<Out>) -> Result<(), (HandInError, Told<Out>)> {
        match self.room() {
            Ok(room) => room.send(Entry { input, reply: Reply::Told(told) }),
            Err(error) => return Err((error, told)),
        }
        Ok(())
    }

    /// A place for one input.
    fn room(&self) -> Result<mpsc::Permit<'_, Entry<In, Out>>, HandInError> {
        if self.closing.is_cancelled() {
            return Err(HandInError::Closed);
        }
        self.sender.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => HandInError::Full,
            mpsc::error::TrySendError::Closed(()) => HandInError::Closed,
        })
    }

    /// Takes no more work and returns when everything handed in before is done.
    pub async fn close(&self) {
        self.closing.cancel();
        self.runners.wait().await;
    }
}

/// One of the tasks that take and do batches.
struct Runner<In, Out, F> {
    name: &'static str,
    receiver: Arc<Mutex<mpsc::Receiver<Entry<In, Out>>>>,
    /// Inputs that all runners together are at work on.
    in_hand: Arc<AtomicUsize>,
    closing: CancellationToken,
    run: Arc<F>,
    max_batch: usize,
    linger: Duration,
    batch_size: Histogram,
}

impl<In, Out, F, Fut> Runner<In, Out, F>
where
    F: Fn(Vec<In>) -> Fut,
    Fut: Future<Output = Vec<Out>>,
{
    async fn run_until_closed(self) {
        let mut entries = Vec::with_capacity(self.max_batch);
        let mut replies = Vec::with_capacity(self.max_batch);
        while self.take(&mut entries).await > 0 {
            #[expect(clippy::cast_precision_loss, reason = "batches are small")]
            self.batch_size.record(entries.len() as f64);
            let mut inputs = Vec::with_capacity(entries.len());
            for Entry { input, reply } in entries.drain(..) {
                inputs.push(input);
                replies.push(reply);
            }
            // A panic must not end the runner: later callers would wait for ever.
            let outcome = AssertUnwindSafe(async { (self.run)(inputs).await }).catch_unwind().await;
            self.in_hand.fetch_sub(replies.len(), Ordering::Relaxed);
            self.answer(outcome.ok(), &mut replies);
        }
    }

    /// Waits for work and takes what has gathered; zero when closed and drained.
    async fn take(&self, entries: &mut Vec<Entry<In, Out>>) -> usize {
        let mut receiver = self.receiver.lock().await;
        tokio::select! {
            biased;
            () = self.closing.cancelled() => receiver.close(),
            _ = receiver.recv_many(entries, self.max_batch) => {}
        }
        if receiver.is_closed() {
            receiver.recv_many(entries, self.max_batch - entries.len()).await;
        } else {
            // Half as many as others have in hand are worth going for.
            let worthwhile = (self.in_hand.load(Ordering::Relaxed) / 2).min(self.max_batch);
            let company = async {
                while entries.len() < worthwhile
                    && receiver.recv_many(entries, self.max_batch - entries.len()).await > 0
                {}
            };
            // Whoever came in time is in the batch.
            let _ = time::timeout(self.linger, company).await;
        }
        self.in_hand.fetch_add(entries.len(), Ordering::Relaxed);
        entries.len()
    }

    /// Sends each caller its output, or tells it that there is none.
    fn answer(&self, outputs: Option<Vec<Out>>, replies: &mut Vec<Reply<Out>>) {
        match outputs {
            Some(outputs) if outputs.len() == replies.len() => {
                for (reply, output) in replies.drain(..).zip(outputs) {
                    reply.answer(Ok(output));
                }
                return;
            }
            Some(outputs) => {
                error!(batcher = self.name, expected = replies.len(), got = outputs.len(), "a batch answered unevenly");
            }
            None => error!(batcher = self.name, callers = replies.len(), "a batch panicked"),
        }
        for reply in replies.drain(..) {
            reply.answer(Err(BatchError::BrokenOff));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::{Barrier, Notify, Semaphore};

    use super::*;

    fn settings(runners: usize, max_batch: usize) -> BatchSettings {
        BatchSettings { runners, max_batch, queue: 64, linger: Duration::ZERO }
    }

    #[tokio::test]
    async fn every_caller_gets_its_own_answer() {
        let batcher = Batcher::start("test", settings(2, 16), async |inputs: Vec<u64>| {
            inputs.into_iter().map(|n| n * 2).collect::<Vec<u64>>()
        });
        let answers = join_all((0..1_000).map(|n| batcher.call(n))).await;
        let expected: Vec<_> = (0..1_000).map(|n| Ok(n * 2)).collect();
        assert_eq!(answers, expected);
    }

    #[tokio::test]
    async fn batches_keep_the_order_and_the_maximum_size() {
        let seen = Arc::new(StdMutex::new(Vec::new()));
        let gate = Arc::new(Semaphore::new(0));
        let batcher = {
            let (seen, gate) = (seen.clone(), gate.clone());
            Batcher::start("test", settings(1, 10), move |inputs: Vec<u32>| {
                let (seen, gate) = (seen.clone(), gate.clone());
                async move {
                    gate.acquire().await.unwrap().forget();
                    seen.lock().unwrap().push(inputs.clone());
                    inputs
                }
            })
        };
        // The calls are polled in order; all but the first batch gather while the gate is shut.
        let calls = join_all((0..35).map(|n| batcher.call(n)));
        let (answers, ()) = tokio::join!(calls, async { gate.add_permits(35) });
        assert!(answers.iter().all(Result::is_ok));
        let seen = seen.lock().unwrap();
        assert_eq!(seen.concat(), (0..35).collect::<Vec<_>>());
        assert!(seen.iter().all(|batch| !batch.is_empty() && batch.len() <= 10), "{seen:?}");
        assert!(seen.iter().any(|batch| batch.len() == 10), "{seen:?}");
    }

    #[tokio::test]
    async fn as_many_batches_run_at_once_as_there_are_runners() {
        // Each batch waits for two others: with fewer than three runners this would never end.
        let barrier = Arc::new(Barrier::new(3));
        let batcher = Batcher::start("test", settings(3, 1), move |inputs: Vec<u32>| {
            let barrier = barrier.clone();
            async move {
                barrier.wait().await;
                inputs
            }
        });
        let answers = join_all((0..9).map(|n| batcher.call(n))).await;
        assert!(answers.iter().all(Result::is_ok));
    }

    #[tokio::test]
    async fn a_single_runner_never_runs_two_batches_at_once() {
        let running = Arc::new(AtomicUsize::new(0));
        let batcher = Batcher::start("test", settings(1, 2), move |inputs: Vec<u32>| {
            let running = running.clone();
            async move {
                let others = running.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                vec![others; inputs.len()]
            }
        });
        let others = join_all((0..50).map(|n| batcher.call(n))).await;
        assert!(others.iter().all(|n| *n == Ok(0)), "{others:?}");
    }

    #[tokio::test]
    async fn a_runner_waits_for_company_only_while_others_are_at_work() {
        let (gate, sizes) = (Arc::new(Semaphore::new(0)), Arc::new(StdMutex::new(Vec::new())));
        let patient = BatchSettings { linger: Duration::from_hours(1), ..settings(2, 64) };
        let batcher = {
            let (gate, sizes) = (gate.clone(), sizes.clone());
            Batcher::start("test", patient, move |inputs: Vec<u32>| {
                sizes.lock().unwrap().push(inputs.len());
                let gate = gate.clone();
                async move {
                    gate.acquire().await.unwrap().forget();
                    inputs
                }
            })
        };
        let seen = || sizes.lock().unwrap().clone();
        let until_seen = async |batches: usize| {
            while seen().len() < batches {
                tokio::task::yield_now().await;
            }
        };
        // Nobody is at work: what is there is taken at once.
        let first = join_all((0..8).map(|n| batcher.call(n)));
        // Eight are in hand: three are not worth a batch, four are.
        let second = async {
            until_seen(1).await;
            let three = async { join_all((8..11).map(|n| batcher.call(n))).await };
            let fourth = async {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                assert_eq!(seen(), [8]);
                batcher.call(11).await
            };
            tokio::join!(three, fourth)
        };
        let opened = async {
            until_seen(2).await;
            gate.add_permits(2);
        };
        let (first, (three, fourth), ()) = tokio::join!(first, second, opened);
        assert!(first.into_iter().chain(three).chain([fourth]).all(|answer| answer.is_ok()));
        assert_eq!(seen(), [8, 4]);
    }

    #[tokio::test]
    async fn a_panic_reaches_every_caller_of_the_batch_and_no_other() {
        let batcher = Batcher::start("test", settings(1, 64), async |inputs: Vec<u32>| {
            assert!(!inputs.contains(&13), "this batch is meant to panic");
            inputs
        });
        let answers = join_all([12, 13, 14].map(|n| batcher.call(n))).await;
        assert_eq!(answers, [Err(BatchError::BrokenOff); 3]);
        assert_eq!(batcher.call(1).await, Ok(1), "the runner goes on");
    }

    #[tokio::test]
    async fn a_wrong_number_of_outputs_is_an_error_for_all() {
        let batcher = Batcher::start("test", settings(1, 64), async |mut inputs: Vec<u32>| {
            inputs.pop();
            inputs
        });
        assert_eq!(join_all([1, 2].map(|n| batcher.call(n))).await, [Err(BatchError::BrokenOff); 2]);
    }

    #[tokio::test]
    async fn closing_finishes_what_was_handed_in_and_refuses_the_rest() {
        let entered = Arc::new(Notify::new());
        let gate = Arc::new(Semaphore::new(0));
        let batcher = Arc::new({
            let (entered, gate) = (entered.clone(), gate.clone());
            Batcher::start("test", settings(2, 2), move |inputs: Vec<u32>| {
                let (entered, gate) = (entered.clone(), gate.clone());
                async move {
                    entered.notify_one();
                    gate.acquire().await.unwrap().forget();
                    inputs
                }
            })
        });
        let calls = join_all((0..20).map(|n| batcher.call(n)));
        let closing = async {
            entered.notified().await;
            let mut close = std::pin::pin!(batcher.close());
            assert!(close.as_mut().now_or_never().is_none(), "work is still waiting");
            assert_eq!(batcher.call(99).await, Err(BatchError::Closed));
            gate.add_permits(20);
            close.await;
        };
        let (answers, ()) = tokio::join!(calls, closing);
        assert_eq!(answers, (0..20).map(Ok).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn handing_in_never_waits() {
        let gate = Arc::new(Semaphore::new(0));
        let batcher = {
            let gate = gate.clone();
            Batcher::start("test", BatchSettings { queue: 2, ..settings(1, 4) }, move |inputs: Vec<u32>| {
                let gate = gate.clone();
                async move {
                    gate.acquire().await.unwrap().forget();
                    inputs
                }
            })
        };
        let taken = [batcher.hand_in(1).unwrap(), batcher.hand_in(2).unwrap()];
        assert_eq!(batcher.hand_in(3).err(), Some(HandInError::Full));
        gate.add_permits(2);
        assert_eq!(join_all(taken).await, [Ok(1), Ok(2)]);
        batcher.close().await;
        assert_eq!(batcher.hand_in(4).err(), Some(HandInError::Closed));
    }

    #[tokio::test]
    async fn whoever_does_not_wait_is_told_of_the_output_or_that_there_is_none() {
        let batcher = Batcher::start("test", BatchSettings { queue: 1, ..settings(1, 4) }, async |inputs: Vec<u32>| {
            assert!(!inputs.contains(&13), "this batch is meant to panic");
            inputs
        });
        let (teller, mut told) = mpsc::unbounded_channel();
        let hand_in = |input| {
            let teller = teller.clone();
            batcher.hand_in_told(input, Box::new(move |output| teller.send(output).unwrap()))
        };
        assert!(hand_in(1).is_ok());
        assert!(matches!(hand_in(2), Err((HandInError::Full, _))));
        assert_eq!(told.recv().await, Some(Ok(1)));
        assert!(hand_in(13).is_ok());
        assert_eq!(told.recv().await, Some(Err(BatchError::BrokenOff)));
        batcher.close().await;
        assert!(matches!(hand_in(3), Err((HandInError::Closed, _))));
    }

    #[tokio::test]
    async fn work_goes_on_when_its_caller_goes_away() {
        let done = Arc::new(AtomicUsize::new(0));
        let counted = done.clone();
        let batcher = Batcher::start("test", settings(1, 4), move |inputs: Vec<u32>| {
            counted.fetch_add(inputs.len(), Ordering::SeqCst);
            async move { inputs }
        });
        assert!(batcher.call(1).now_or_never().is_none());
        batcher.close().await;
        assert_eq!(done.load(Ordering::SeqCst), 1);
    }
}
