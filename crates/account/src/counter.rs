//! Counting over sliding windows and locking after consecutive failures, as plain values; and how they
//! are stored so that every node sees the same counts.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use domain::{StoreError, Timestamp};
use serde::{Deserialize, Serialize};

/// What a [`Ledger`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LedgerScope {
    /// Codes sent to one number.
    SmsNumber,
    /// Codes asked for from one address; marks are tagged with the number.
    SmsAddress,
    /// Codes asked for by one device.
    SmsDevice,
    /// All codes sent.
    SmsAll,
    /// All codes that were accepted.
    CodeSuccessAll,
    /// Codes refused, per address.
    CodeFailureAddress,
    /// All codes refused.
    CodeFailureAll,
    /// Password sign-ins tried from one address.
    PasswordAddress,
    /// Sign-ins with another provider's identity tried from one address.
    IdentityAddress,
    /// Files uploaded by one account.
    Upload,
}

impl LedgerScope {
    pub const ALL: [Self; 10] = [
        Self::SmsNumber,
        Self::SmsAddress,
        Self::SmsDevice,
        Self::SmsAll,
        Self::CodeSuccessAll,
        Self::CodeFailureAddress,
        Self::CodeFailureAll,
        Self::PasswordAddress,
        Self::IdentityAddress,
        Self::Upload,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SmsNumber => "sms_number",
            Self::SmsAddress => "sms_address",
            Self::SmsDevice => "sms_device",
            Self::SmsAll => "sms_all",
            Self::CodeSuccessAll => "code_success_all",
            Self::CodeFailureAddress => "code_failure_address",
            Self::CodeFailureAll => "code_failure_all",
            Self::PasswordAddress => "password_address",
            Self::IdentityAddress => "identity_address",
            Self::Upload => "upload",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// Names one ledger. The subject is a keyed hash, never a number or address itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerKey {
    pub scope: LedgerScope,
    pub subject: String,
}

impl LedgerKey {
    pub fn new(scope: LedgerScope, subject: impl Into<String>) -> Self {
        Self { scope, subject: subject.into() }
    }

    /// The one ledger of a scope that counts everything.
    pub fn all(scope: LedgerScope) -> Self {
        Self::new(scope, "all")
    }
}

/// At most `max` within any stretch of `within`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub max: u32,
    pub within: Duration,
}

impl Window {
    pub const fn new(max: u32, within: Duration) -> Self {
        Self { max, within }
    }
}

/// Some events at one instant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub at: Timestamp,
    pub count: u32,
    /// Told apart by [`Ledger::distinct`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// When things happened, oldest first, as far back as its windows look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ledger {
    pub key: LedgerKey,
    pub marks: Vec<Mark>,
}

impl Ledger {
    pub const fn empty(key: LedgerKey) -> Self {
        Self { key, marks: Vec::new() }
    }

    fn within(&self, within: Duration, now: Timestamp) -> impl Iterator<Item = &Mark> {
        self.marks.iter().filter(move |mark| now.since(mark.at) < within)
    }

    /// How many events lie less than `within` ago.
    pub fn count(&self, within: Duration, now: Timestamp) -> u32 {
        self.within(within, now).fold(0, |sum, mark| sum.saturating_add(mark.count))
    }

    /// How many different tags were seen less than `within` ago, `also` included.
    pub fn distinct(&self, also: &str, within: Duration, now: Timestamp) -> usize {
        let tags = self.within(within, now).filter_map(|mark| mark.tag.as_deref());
        tags.chain([also]).collect::<HashSet<_>>().len()
    }

    /// How long until one more event fits into all `windows`; `None` if it fits now.
    pub fn wait(&self, windows: &[Window], now: Timestamp) -> Option<Duration> {
        windows.iter().filter_map(|window| self.wait_for(*window, now)).max()
    }

    fn wait_for(&self, window: Window, now: Timestamp) -> Option<Duration> {
        let mut left = self.count(window.within, now);
        if left < window.max {
            return None;
        }
        for mark in self.within(window.within, now) {
            left = left.saturating_sub(mark.count);
            if left < window.max {
                return Some((mark.at + window.within).since(now));
            }
        }
        Some(window.within)
    }

    /// Notes an event. Untagged events less than `grain` apart share a mark; marks older than `keep` are dropped.
    pub fn record(&mut self, now: Timestamp, tag: Option<String>, grain: Duration, keep: Duration) {
        self.marks.retain(|mark| now.since(mark.at) < keep);
        match self.marks.last_mut() {
            Some(last) if tag.is_none() && last.tag.is_none() && now.since(last.at) < grain => {
                last.count = last.count.saturating_add(1);
            }
            _ => self.marks.push(Mark { at: now, count: 1, tag }),
        }
    }
}

/// What a [`Guard`] protects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GuardScope {
    /// The codes of one phone number.
    Phone,
    /// The password of one agent's name.
    Agent,
    /// The password of one user's name, number or e-mail address.
    User,
}

impl GuardScope {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Agent => "agent",
            Self::User => "user",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Phone, Self::Agent, Self::User].into_iter().find(|s| s.as_str() == text)
    }
}

/// Names one guard. The subject is a keyed hash.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuardKey {
    pub scope: GuardScope,
    pub subject: String,
}

/// When failures lock, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuardPolicy {
    /// So many consecutive failures lock, and every so many after that again.
    pub failures_per_lock: u32,
    /// Length of the first lock; each further one is twice as long.
    pub first_lock: Duration,
    pub longest_lock: Duration,
    /// So many consecutive failures lock until somebody unlocks; off when `None`.
    pub hard_lock_at: Option<u32>,
    /// Failures are forgotten after this long without one; never when `None`.
    pub forget_after: Option<Duration>,
}

/// Consecutive failures of one subject. Only a success (or an administrator) resets them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    pub key: GuardKey,
    pub failures: u32,
    pub locked_until: Option<Timestamp>,
    pub last_failure_at: Option<Timestamp>,
}

/// The guard lets nobody through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Locked {
    /// `None`: until somebody unlocks.
    pub wait: Option<Duration>,
}

impl Guard {
    pub const fn open(key: GuardKey) -> Self {
        Self { key, failures: 0, locked_until: None, last_failure_at: None }
    }

    /// Whether an attempt may be made now.
    ///
    /// # Errors
    /// [`Locked`] if not.
    pub fn check(&self, policy: &GuardPolicy, now: Timestamp) -> Result<(), Locked> {
        if policy.hard_lock_at.is_some_and(|max| self.failures >= max) {
            return Err(Locked { wait: None });
        }
        match self.locked_until {
            Some(until) if until > now => Err(Locked { wait: Some(until.since(now)) }),
            _ => Ok(()),
        }
    }

    /// Counts a failure, and locks if it is one too many.
    pub fn fail(&mut self, policy: &GuardPolicy, now: Timestamp) {
        let is_forgotten = match (policy.forget_after, self.last_failure_at) {
            (Some(after), Some(last)) => now.since(last) >= after,
            _ => false,
        };
        self.failures = if is_forgotten { 1 } else { self.failures.saturating_add(1) };
        self.last_failure_at = Some(now);
        let per_lock = policy.failures_per_lock.max(1);
        if self.failures.is_multiple_of(per_lock) {
            let doublings = self.failures / per_lock - 1;
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            let length = policy.first_lock.saturating_mul(factor).min(policy.longest_lock);
            self.locked_until = Some(now + length);
        }
    }

    /// Forgets all failures.
    pub fn succeed(&mut self) {
        *self = Self::open(self.key.clone());
    }
}

/// Something that may be used once, e.g. a solved captcha.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTime {
    /// Names it, without being it.
    pub id: String,
    pub expires_at: Timestamp,
}

/// Stores counts and locks. Guards are locked before ledgers, each kind in key order, so that no two
/// units wait for each other.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait CounterRepository: Send {
    /// The ledgers of `keys`, in that order, empty where there were none. Nobody else can change them
    /// until the unit ends.
    async fn lock_ledgers(&mut self, keys: &[LedgerKey]) -> Result<Vec<Ledger>, StoreError>;
    /// The same without keeping others from changing them.
    async fn peek_ledgers(&mut self, keys: &[LedgerKey]) -> Result<Vec<Ledger>, StoreError>;
    /// Writes ledgers that this unit has locked.
    async fn save_ledgers(&mut self, ledgers: &[Ledger], now: Timestamp) -> Result<(), StoreError>;
    /// The guard, open if there was none. Nobody else can change it until the unit ends.
    async fn lock_guard(&mut self, key: &GuardKey) -> Result<Guard, StoreError>;
    /// Writes a guard that this unit has locked.
    async fn save_guard(&mut self, guard: &Guard, now: Timestamp) -> Result<(), StoreError>;
    /// True for the first caller with this id, false for all later ones.
    async fn spend(&mut self, one_time: &OneTime) -> Result<bool, StoreError>;
    /// Deletes ledgers not written since `idle_since` and one-time ids expired before `now`; returns how many.
    /// Guards with failures stay: a new code or a long wait must not reset them.
    async fn purge(&mut self, idle_since: Timestamp, now: Timestamp) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests {
    use domain::time::span;
    use proptest::prelude::*;

    use super::*;

    const POLICY: GuardPolicy = GuardPolicy {
        failures_per_lock: 10,
        first_lock: span::minutes(30),
        longest_lock: span::hours(24),
        hard_lock_at: Some(50),
        forget_after: None,
    };

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn ledger(times_ms: &[i64]) -> Ledger {
        let mut ledger = Ledger::empty(LedgerKey::all(LedgerScope::SmsAll));
        ledger.marks = times_ms.iter().map(|ms| Mark { at: at(*ms), count: 1, tag: None }).collect();
        ledger
    }

    fn guard() -> Guard {
        Guard::open(GuardKey { scope: GuardScope::Phone, subject: "x".into() })
    }

    #[test]
    fn a_window_is_half_open() {
        let windows = [Window::new(1, Duration::from_millis(60))];
        assert_eq!(ledger(&[0]).wait(&windows, at(59)), Some(Duration::from_millis(1)));
        assert_eq!(ledger(&[0]).wait(&windows, at(60)), None);
    }

    #[test]
    fn the_longest_wait_of_all_windows_counts() {
        let windows = [Window::new(1, Duration::from_millis(10)), Window::new(2, Duration::from_millis(100))];
        assert_eq!(ledger(&[0, 50]).wait(&windows, at(55)), Some(Duration::from_millis(45)));
    }

    #[test]
    fn close_untagged_events_share_a_mark_and_old_ones_are_dropped() {
        let mut ledger = ledger(&[]);
        for ms in [0, 9, 10, 25] {
            ledger.record(at(ms), None, Duration::from_millis(10), Duration::from_millis(20));
        }
        let shown: Vec<_> = ledger.marks.iter().map(|m| (m.at.as_millis(), m.count)).collect();
        assert_eq!(shown, [(10, 1), (25, 1)]);
        ledger.record(at(26), None, Duration::from_millis(10), Duration::from_millis(20));
        assert_eq!(ledger.count(Duration::from_millis(20), at(26)), 3);
    }

    #[test]
    fn distinct_tags_count_once_each() {
        let mut ledger = ledger(&[]);
        for (ms, tag) in [(0, "a"), (50, "b"), (60, "b")] {
            ledger.record(at(ms), Some(tag.into()), Duration::ZERO, span::hours(1));
        }
        assert_eq!(ledger.distinct("b", Duration::from_millis(100), at(70)), 2);
        assert_eq!(ledger.distinct("c", Duration::from_millis(100), at(70)), 3);
        assert_eq!(ledger.distinct("c", Duration::from_millis(70), at(70)), 2);
    }

    #[test]
    fn ten_failures_lock_for_half_an_hour_and_the_lock_doubles() {
        let (mut guard, mut now) = (guard(), at(0));
        let mut locks = Vec::new();
        for _ in 0..40 {
            guard.check(&POLICY, now).unwrap();
            guard.fail(&POLICY, now);
            if let Err(Locked { wait: Some(wait) }) = guard.check(&POLICY, now) {
                locks.push(wait);
                now = now + wait;
            }
        }
        assert_eq!(locks, [span::minutes(30), span::hours(1), span::hours(2), span::hours(4)]);
    }

    #[test]
    fn the_ninth_failure_does_not_lock_and_a_success_resets() {
        let mut guard = guard();
        (0..9).for_each(|_| guard.fail(&POLICY, at(0)));
        assert_eq!(guard.check(&POLICY, at(0)), Ok(()));
        guard.succeed();
        assert_eq!(guard.failures, 0);
    }

    #[test]
    fn fifty_failures_lock_for_good() {
        let mut guard = guard();
        (0..50).for_each(|_| guard.fail(&POLICY, at(0)));
        assert_eq!(guard.check(&POLICY, at(i64::MAX)), Err(Locked { wait: None }));
    }

    #[test]
    fn failures_are_forgotten_only_where_the_policy_says_so() {
        let forgetting = GuardPolicy { forget_after: Some(span::minutes(15)), ..POLICY };
        let after = at(0) + span::minutes(15);
        let mut one = guard();
        (0..9).for_each(|_| one.fail(&forgetting, at(0)));
        let mut other = one.clone();
        one.fail(&forgetting, after);
        assert_eq!((one.failures, one.check(&forgetting, after).is_ok()), (1, true));
        other.fail(&POLICY, after);
        assert_eq!((other.failures, other.check(&POLICY, after).is_ok()), (10, false));
    }

    #[test]
    fn locks_never_exceed_the_longest() {
        let policy = GuardPolicy { hard_lock_at: None, ..POLICY };
        let mut guard = guard();
        (0..2_000).for_each(|_| guard.fail(&policy, at(0)));
        assert_eq!(guard.check(&policy, at(0)), Err(Locked { wait: Some(span::hours(24)) }));
    }

    #[test]
    fn scopes_round_trip() {
        for scope in LedgerScope::ALL {
            assert_eq!(LedgerScope::parse(scope.as_str()), Some(scope));
        }
        for scope in [GuardScope::Phone, GuardScope::Agent, GuardScope::User] {
            assert_eq!(GuardScope::parse(scope.as_str()), Some(scope));
        }
    }

    proptest! {
        /// Whoever waits as told is let in, and not a millisecond earlier.
        #[test]
        fn the_wait_is_exact(mut times in prop::collection::vec(0_i64..1_000, 0..40), max in 1_u32..8, within in 1_u64..500) {
            times.sort_unstable();
            let (ledger, now) = (ledger(&times), at(1_000));
            let windows = [Window::new(max, Duration::from_millis(within))];
            if let Some(wait) = ledger.wait(&windows, now) {
                prop_assert_eq!(ledger.wait(&windows, now + wait), None);
                prop_assert!(ledger.wait(&windows, now + wait - Duration::from_millis(1)).is_some());
            }
        }
    }
}
