//! Asking at a bearable rate, and again after failures that may pass.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{self, Instant};

use super::{FetchOptions, Remote, RemoteError};

/// Tries of one request, and longest wait between two.
const MAX_TRIES: u32 = 8;
const MAX_WAIT: Duration = Duration::from_mins(1);

/// The other side, asked politely.
pub(super) struct Pages<'a> {
    remote: &'a dyn Remote,
    /// Between two requests.
    pause: Duration,
    back_off: Duration,
    /// Before which nothing is asked.
    next: Mutex<Option<Instant>>,
}

impl<'a> Pages<'a> {
    pub(super) fn new(remote: &'a dyn Remote, options: &FetchOptions) -> Self {
        let pause = Duration::from_secs(1) / options.rate.max(1);
        Self { remote, pause, back_off: options.back_off, next: Mutex::new(None) }
    }

    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, RemoteError> {
        let mut tries = 0;
        loop {
            self.turn().await;
            tries += 1;
            match self.remote.get(path, query).await {
                Err(error) if error.is_passing() && tries < MAX_TRIES => self.wait(&error, tries).await,
                done => return done,
            }
        }
    }

    pub(super) async fn download(&self, url: &str) -> Result<Vec<u8>, RemoteError> {
        let mut tries = 0;
        loop {
            self.turn().await;
            tries += 1;
            match self.remote.download(url).await {
                Err(error) if error.is_passing() && tries < MAX_TRIES => self.wait(&error, tries).await,
                done => return done,
            }
        }
    }

    /// Waits until it may ask.
    async fn turn(&self) {
        let now = Instant::now();
        let at = {
            let mut next = self.next.lock().await;
            let at = next.map_or(now, |next| next.max(now));
            *next = Some(at + self.pause);
            at
        };
        time::sleep_until(at).await;
    }

    async fn wait(&self, error: &RemoteError, tries: u32) {
        let doubled = self.back_off.saturating_mul(1 << (tries - 1).min(16)).min(MAX_WAIT);
        let told = if let RemoteError::Busy { after: Some(after), .. } = error { *after } else { Duration::ZERO };
        tracing::warn!(attempt = tries, error = error as &dyn std::error::Error, "will be asked again");
        time::sleep(doubled.max(told.min(MAX_WAIT))).await;
    }
}
