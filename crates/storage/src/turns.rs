//! Who waits for whom where there is one writer: what runs in the background takes turns among itself first, so that a
//! caller waits for one unit of it at most, however much there is to do.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::backend::Backend;

tokio::task_local! {
    static IN_BACKGROUND: ();
}

/// Does `work`, whose units nobody waits for, after those of callers.
pub async fn in_background<F: Future>(work: F) -> F::Output {
    IN_BACKGROUND.scope((), work).await
}

/// The turns of a store; none where units are written beside each other.
#[derive(Clone)]
pub(crate) struct Turns(Option<Arc<Semaphore>>);

impl Turns {
    pub(crate) fn of(backend: Backend) -> Self {
        Self((backend == Backend::Sqlite).then(|| Arc::new(Semaphore::new(1))))
    }

    /// Waits until it is the turn of a unit of the background; held until the unit ends.
    pub(crate) async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        let turns = self.0.clone().filter(|_| IN_BACKGROUND.try_with(|()| ()).is_ok())?;
        // Closed never.
        turns.acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn background_waits_for_background_and_callers_for_nobody() {
        let turns = Turns::of(Backend::Sqlite);
        let held = in_background(turns.wait()).await;
        assert!(held.is_some());
        assert!(turns.wait().await.is_none(), "a caller needs no turn");
        let next = in_background(tokio::time::timeout(Duration::from_millis(20), turns.wait()));
        assert!(next.await.is_err(), "one at a time");
        drop(held);
        assert!(in_background(turns.wait()).await.is_some());
        assert!(in_background(Turns::of(Backend::Postgres).wait()).await.is_none());
    }
}
