//! Breakers: which provider is left alone for a while, per kind of template.
//!
//! One opens after five consecutive failures, at once when set-up or account are at fault, or when too few of the
//! last messages arrived in time. After a while one real message tries it. The last provider that works is never
//! left alone.

use std::time::Duration;

use async_trait::async_trait;
use domain::time::span;
use domain::{StoreError, Timestamp};

use crate::message::TemplateKind;
use crate::provider::ProviderName;

/// Consecutive failures that open a breaker.
pub const FAILURES_TO_OPEN: u32 = 5;
/// How long it is left alone after passing failures.
pub const PAUSE: Duration = span::minutes(1);
/// How long after faults that somebody has to repair.
pub const REPAIR_PAUSE: Duration = span::minutes(5);
/// Messages that the share of deliveries is taken of.
pub const WATCHED_MESSAGES: u32 = 50;
/// A message counts as arrived in time within this.
pub const IN_TIME: Duration = Duration::from_secs(30);
/// A provider is left alone when less than this share arrived in time.
pub const LEAST_IN_TIME_PERCENT: u32 = 70;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    Open,
    /// One real message is trying it.
    HalfOpen,
}

impl BreakerState {
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// The breaker of one provider for one kind of template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breaker {
    pub provider: ProviderName,
    pub kind: TemplateKind,
    pub state: BreakerState,
    /// Consecutive failures.
    pub failures: u32,
    /// While not closed: when the next real message may try it.
    pub retry_at: Option<Timestamp>,
    /// Code or rule that opened it.
    pub reason: Option<String>,
    pub changed_at: Timestamp,
}

impl Breaker {
    pub fn closed(provider: ProviderName, kind: TemplateKind, now: Timestamp) -> Self {
        Self { provider, kind, state: BreakerState::Closed, failures: 0, retry_at: None, reason: None, changed_at: now }
    }

    /// Whether a message may go this way now.
    pub fn admits(&self, now: Timestamp) -> bool {
        self.state == BreakerState::Closed || self.retry_at.is_some_and(|at| at <= now)
    }

    /// Takes the one message that tries an open one; nothing for a closed one.
    pub fn begin_trial(&mut self, now: Timestamp) {
        if self.state != BreakerState::Closed {
            self.state = BreakerState::HalfOpen;
            // The next one may try if this one's outcome says nothing about the provider.
            self.retry_at = Some(now + PAUSE);
        }
    }

    /// A message was accepted.
    pub fn succeed(&mut self, now: Timestamp) {
        if self.state != BreakerState::Closed {
            self.changed_at = now;
        }
        (self.state, self.failures) = (BreakerState::Closed, 0);
        (self.retry_at, self.reason) = (None, None);
    }

    /// A message failed in passing. `may_open` is false for the last provider that works.
    pub fn fail(&mut self, code: &str, may_open: bool, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        if self.state == BreakerState::HalfOpen || self.failures >= FAILURES_TO_OPEN {
            self.open(code, PAUSE, may_open, now);
        }
    }

    /// Leaves the provider alone for `pause`, unless it is the last one that works.
    pub fn open(&mut self, reason: &str, pause: Duration, may_open: bool, now: Timestamp) {
        if !may_open {
            return;
        }
        if self.state == BreakerState::Closed {
            self.changed_at = now;
        }
        self.state = BreakerState::Open;
        self.retry_at = Some(now + pause);
        self.reason = Some(reason.to_owned());
    }
}

/// Whether `provider` may be left alone: some other of `usable` works.
pub fn may_open(provider: ProviderName, usable: &[ProviderName], breakers: &[Breaker], kind: TemplateKind) -> bool {
    let works = |name: &ProviderName| {
        let of_it = breakers.iter().find(|b| b.provider == *name && b.kind == kind);
        of_it.is_none_or(|b| b.state == BreakerState::Closed)
    };
    usable.iter().any(|other| *other != provider && works(other))
}

/// What the last messages of a provider came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeliveryCount {
    /// Messages looked at, those to numbers that cannot receive left out.
    pub looked_at: u32,
    /// Those that have a receipt.
    pub reported: u32,
    /// Those delivered within [`IN_TIME`].
    pub in_time: u32,
}

impl DeliveryCount {
    /// Whether the provider delivers too little. One that reports less than half is not judged by it, nor one
    /// with few messages.
    pub const fn is_poor(&self) -> bool {
        self.looked_at >= WATCHED_MESSAGES
            && self.reported * 2 >= self.looked_at
            && self.in_time * 100 < self.looked_at * LEAST_IN_TIME_PERCENT
    }
}

/// Stores breakers.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait BreakerRepository: Send {
    /// All that were ever written.
    async fn list(&mut self) -> Result<Vec<Breaker>, StoreError>;
    /// All that were ever written, after taking the one lock that keeps others from changing them.
    async fn list_locked(&mut self) -> Result<Vec<Breaker>, StoreError>;
    async fn save(&mut self, breaker: &Breaker) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProviderName::{Aliyun, Tencent};
    use TemplateKind::{Code, Notice};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn breaker() -> Breaker {
        Breaker::closed(Aliyun, Code, NOW)
    }

    fn opened() -> Breaker {
        let mut b = breaker();
        b.open("isv.AMOUNT_NOT_ENOUGH", PAUSE, true, NOW);
        b
    }

    #[test]
    fn five_failures_in_a_row_open_it() {
        let mut b = breaker();
        for _ in 0..4 {
            b.fail("x", true, NOW);
        }
        assert_eq!(b.state, BreakerState::Closed);
        b.fail("x", true, NOW);
        assert_eq!((b.state, b.admits(NOW)), (BreakerState::Open, false));
    }

    #[test]
    fn a_success_between_starts_the_count_anew() {
        let mut b = breaker();
        for round in 0..3 {
            for _ in 0..4 {
                b.fail("x", true, NOW);
            }
            assert_eq!(b.state, BreakerState::Closed, "round {round}");
            b.succeed(NOW);
        }
    }

    #[test]
    fn after_the_pause_one_message_tries_it() {
        let mut b = opened();
        assert!(!b.admits(NOW + PAUSE - Duration::from_millis(1)));
        let later = NOW + PAUSE;
        assert!(b.admits(later));
        b.begin_trial(later);
        assert_eq!((b.state, b.admits(later)), (BreakerState::HalfOpen, false), "the next one does not");
        let mut failed = b.clone();
        failed.fail("x", true, later);
        assert_eq!(failed.state, BreakerState::Open);
        b.succeed(later);
        assert_eq!((b.state, b.reason, b.failures), (BreakerState::Closed, None, 0));
    }

    #[test]
    fn a_trial_that_tells_nothing_lets_another_try_later() {
        let mut b = opened();
        b.begin_trial(NOW + PAUSE);
        assert!(b.admits(NOW + PAUSE + PAUSE));
    }

    #[test]
    fn the_last_one_that_works_stays_closed() {
        let both = [Aliyun, Tencent];
        assert!(!may_open(Aliyun, &[Aliyun], &[], Code));
        assert!(may_open(Aliyun, &both, &[], Code));
        let other_is_open = [Breaker { provider: Tencent, ..opened() }];
        assert!(!may_open(Aliyun, &both, &other_is_open, Code));
        assert!(may_open(Aliyun, &both, &other_is_open, Notice), "the other kind is another matter");
        let mut b = breaker();
        for _ in 0..9 {
            b.fail("x", false, NOW);
        }
        b.open("x", REPAIR_PAUSE, false, NOW);
        assert_eq!(b.state, BreakerState::Closed);
    }

    #[test]
    fn too_few_deliveries_in_time_are_poor() {
        let count = |looked_at, reported, in_time| DeliveryCount { looked_at, reported, in_time };
        assert!(!count(50, 50, 35).is_poor());
        assert!(count(50, 50, 34).is_poor());
        assert!(!count(49, 49, 0).is_poor(), "too few messages to tell");
        assert!(!count(50, 24, 0).is_poor(), "too few receipts to tell");
    }
}
