//! Tasks that run every so often on one worker at a time.

use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time;
use tracing::warn;

use crate::Worker;

/// A task run again and again. Running it on two workers at once must be harmless.
#[async_trait]
pub trait ScheduledTask: Send + Sync {
    fn name(&self) -> &'static str;
    fn every(&self) -> Duration;
    /// # Errors
    /// A short reason without personal data; the next run tries again.
    async fn run(&self) -> Result<(), String>;
}

/// Looks about twice per period whether it is this worker's turn, until told to stop.
pub(crate) async fn run(worker: &Worker, task: &dyn ScheduledTask, stopping: impl Future<Output = ()>) {
    let mut stopping = pin!(stopping);
    let pause = task.every() / 2;
    loop {
        if let Err(reason) = turn(worker, task).await {
            warn!(schedule = task.name(), reason, "scheduled task failed, will be tried again");
        }
        tokio::select! {
            () = &mut stopping => return,
            () = time::sleep(pause) => {}
        }
    }
}

async fn turn(worker: &Worker, task: &dyn ScheduledTask) -> Result<(), String> {
    let (name, every) = (task.name(), task.every());
    let lease = worker.options.lease.min(every);
    let taken = worker.queue.take_schedule(name, &worker.options.name, worker.clock.now(), every, lease).await;
    if taken.map_err(|e| e.to_string())? { task.run().await } else { Ok(()) }
}
