//! Background tasks that the shutdown knows of: every one is tracked, told to stop, and waited for.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error_span, info};

/// The tasks of one process. Clones share the same set.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// Tasks had not finished when the deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{count} background tasks did not stop in time")]
pub struct StillRunning {
    pub count: usize,
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` in the background under a span with its `task` name. Long-lived ones watch
    /// [`Tasks::stopping`].
    pub fn spawn<F>(&self, task: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(future.instrument(error_span!("task", task)))
    }

    /// Completes when the process has been asked to stop.
    pub fn stopping(&self) -> WaitForCancellationFutureOwned {
        self.stop.clone().cancelled_owned()
    }

    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// A token cancelled with the process, for parts that want to hand it on or narrow it.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.child_token()
    }

    /// Asks every task to stop, without waiting.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Asks every task to stop and waits for them, at most `deadline`.
    ///
    /// # Errors
    /// [`StillRunning`] when some did not make it.
    pub async fn shut_down(&self, deadline: Duration) -> Result<(), StillRunning> {
        self.stop();
        self.tracker.close();
        match tokio::time::timeout(deadline, self.tracker.wait()).await {
            Ok(()) => Ok(()),
            Err(_elapsed) => Err(StillRunning { count: self.tracker.len() }),
        }
    }
}

/// Completes at the first SIGTERM or ctrl-c.
///
/// # Errors
/// When the signal handlers cannot be installed.
pub async fn termination() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    info!(signal = name, "asked to stop");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[tokio::test]
    async fn shutting_down_waits_for_tasks_that_heed_the_signal() {
        let tasks = Tasks::new();
        let finished = Arc::new(AtomicBool::new(false));
        let (stopping, flag) = (tasks.stopping(), finished.clone());
        tasks.spawn("heeding", async move {
            stopping.await;
            flag.store(true, Ordering::SeqCst);
        });
        assert!(!tasks.is_stopping());
        tasks.shut_down(Duration::from_secs(30)).await.unwrap();
        assert!(finished.load(Ordering::SeqCst) && tasks.is_stopping());
    }

    #[tokio::test]
    async fn tasks_that_do_not_stop_are_counted() {
        let tasks = Tasks::new();
        tasks.spawn("stubborn", std::future::pending::<()>());
        tasks.spawn("brief", async {});
        assert_eq!(tasks.shut_down(Duration::from_millis(20)).await, Err(StillRunning { count: 1 }));
    }

    #[tokio::test]
    async fn a_narrowed_token_stops_with_the_process_but_not_the_other_way() {
        let tasks = Tasks::new();
        let (one, two) = (tasks.stop_token(), tasks.stop_token());
        one.cancel();
        assert!(!tasks.is_stopping() && !two.is_cancelled());
        tasks.stop();
        assert!(two.is_cancelled());
    }

    #[tokio::test]
    async fn a_panicking_task_does_not_hold_up_the_shutdown() {
        let tasks = Tasks::new();
        let handle = tasks.spawn("panicking", async { panic!("meant to happen") });
        assert!(handle.await.unwrap_err().is_panic());
        tasks.shut_down(Duration::from_secs(30)).await.unwrap();
    }
}
