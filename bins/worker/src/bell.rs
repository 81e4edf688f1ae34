//! The bell that use cases ring after commit, so that a worker in the same process looks at once.

use domain::outbox::JobSignal;
use tokio::sync::Notify;

/// Rung by use cases, heard by the claim loop. A ring while nobody listens is kept.
#[derive(Debug, Default)]
pub struct Bell(Notify);

impl Bell {
    /// Completes at the next ring, at once if it was rung since the last time.
    pub async fn heard(&self) {
        self.0.notified().await;
    }
}

impl JobSignal for Bell {
    fn wake(&self) {
        self.0.notify_one();
    }
}
