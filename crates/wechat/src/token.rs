//! Access tokens: fetched once however many ask, on however many nodes, and thrown away only by whoever saw them fail.
//!
//! The stable interface only, never by force unless an operator says so. A row per app holds the sealed token with
//! its version and the lease of whoever is fetching; a node that dies while fetching loses its lease after
//! [`LEASE`]. An invalidation names the version it saw refused, so a late one does not hit the successor.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono_tz::Asia::Shanghai;
use domain::rng::SecureRandom;
use domain::{Clock, StoreError, Timestamp};
use metrics::{counter, gauge};
use serde_json::{Value, json};

use crate::app::App;
use crate::errcode::{Class, advice};
use crate::reply::{CallError, read_json};
use crate::secret::{Sealer, Secret};
use crate::wire::{Method, Wire, WireRequest};

/// A token is replaced in the background when it has less than this left; the platform then has a new one.
pub const REFRESH_BEFORE: Duration = Duration::from_mins(5);
/// How long a node may use a token without looking at the row.
pub const CACHE_FOR: Duration = Duration::from_mins(1);
/// How long fetching may take before somebody else may try.
pub const LEASE: Duration = Duration::from_secs(10);
/// Longest wait for the platform's answer to a fetch; shorter than the lease.
const FETCH_TIMEOUT: Duration = Duration::from_secs(6);
/// Pause between two looks at the row while another node fetches, and how many there are.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: u32 = 240;
/// Invalidations within this time count as one series.
const SERIES: Duration = Duration::from_mins(10);
/// Invalidations of a series that are followed by a fetch at once.
const FREE_INVALIDATIONS: u32 = 2;
/// Waits after failed fetches: transient and credential ones; doubled each time up to the longest.
const BUSY_BACK_OFF: Duration = Duration::from_secs(1);
const FAULT_BACK_OFF: Duration = Duration::from_secs(30);
const LONGEST_BACK_OFF: Duration = Duration::from_mins(10);
/// Forced refreshes a day, and the least time between two.
pub const FORCES_A_DAY: u32 = 20;
pub const BETWEEN_FORCES: Duration = Duration::from_secs(30);
/// Longest life the platform gives a token.
const LONGEST_LIFE_S: i64 = 7_200;

/// A token that may be used.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken {
    pub value: Secret,
    /// Grows by one with every new value.
    pub version: i64,
    pub good_until: Timestamp,
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessToken(version {}, until {})", self.version, self.good_until)
    }
}

/// Why there is no token, as an operator is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenFault {
    /// 0 when the platform was not reached or gave a useless answer.
    pub code: i64,
    /// The platform's words, without secrets.
    pub message: String,
    pub rid: Option<String>,
    pub at: Timestamp,
}

/// There is no token.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TokenError {
    /// Secret, whitelist or account, or the platform hands out a token it refuses: an operator has to act.
    #[error("the platform gives this app no token ({0})")]
    Fault(i64),
    /// The platform did not answer or is busy.
    #[error("the platform did not give a token in time")]
    Unavailable,
    #[error("the token could not be stored")]
    Store(#[source] Arc<StoreError>),
}

impl From<StoreError> for TokenError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// What the database knows of an app's token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenRow {
    pub version: i64,
    pub sealed: Option<Vec<u8>>,
    pub good_until: Option<Timestamp>,
    pub fetched_at: Option<Timestamp>,
    /// The highest version that was seen refused.
    pub invalid_version: i64,
    pub invalidations: u32,
    pub invalidated_at: Option<Timestamp>,
    pub lease_until: Option<Timestamp>,
    /// No fetch before this.
    pub blocked_until: Option<Timestamp>,
    pub failures: u32,
    pub fault: Option<TokenFault>,
    pub fetches: i64,
    /// Day of the forced refreshes counted, in Shanghai.
    pub forced_day: Option<String>,
    pub forced_count: u32,
    pub forced_at: Option<Timestamp>,
}

impl TokenRow {
    fn is_usable(&self, now: Timestamp) -> bool {
        self.version > self.invalid_version && self.good_until.is_some_and(|until| until > now)
    }

    /// Whether a refresh in the background is due.
    pub fn is_due(&self, now: Timestamp, jitter: Duration) -> bool {
        let is_blocked = self.blocked_until.is_some_and(|until| until > now);
        let is_short = self.good_until.is_none_or(|until| until <= now + REFRESH_BEFORE + jitter);
        !is_blocked && (is_short || self.version <= self.invalid_version)
    }

    /// The fault to report while no fetch is allowed.
    fn blocked(&self, now: Timestamp) -> Option<TokenError> {
        self.blocked_until.filter(|until| *until > now)?;
        Some(match &self.fault {
            Some(fault) if fault.code != 0 => TokenError::Fault(fault.code),
            _ => TokenError::Unavailable,
        })
    }
}

/// A token as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    pub sealed: Vec<u8>,
    pub good_until: Timestamp,
    /// Whether the value differs from the one before, so that the version grows.
    pub is_new_value: bool,
}

/// Keeps tokens. Each call is its own transaction.
#[async_trait]
pub trait TokenRepository: Send + Sync {
    /// An empty row when there is none yet.
    async fn find(&self, app: &str) -> Result<TokenRow, StoreError>;
    /// Takes the right to fetch for `holder` until `until`, if nobody holds it and the version is still the one seen.
    async fn try_lease(
        &self,
        app: &str,
        holder: &str,
        seen_version: i64,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Stores what the holder fetched and ends its lease; `None` when the lease was lost.
    async fn save(&self, app: &str, holder: &str, token: &NewToken, now: Timestamp) -> Result<Option<i64>, StoreError>;
    /// Ends the holder's lease without a token.
    async fn fail(
        &self,
        app: &str,
        holder: &str,
        fault: &TokenFault,
        blocked_until: Timestamp,
    ) -> Result<(), StoreError>;
    /// Marks the current token refused if its version is still `version`; false when it was replaced or marked before.
    async fn invalidate(
        &self,
        app: &str,
        version: i64,
        series: u32,
        now: Timestamp,
        blocked_until: Option<Timestamp>,
    ) -> Result<bool, StoreError>;
    /// Counts a forced refresh on `day`; false when `limit` is reached or the last was after `not_after`.
    async fn count_force(
        &self,
        app: &str,
        day: &str,
        limit: u32,
        not_after: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
}

/// Outcome of a forced refresh.
#[derive(Debug, Clone)]
pub enum Forced {
    Done(AccessToken),
    /// The day's count or the pause does not allow it.
    NotAllowed,
}

/// The token service of one process.
pub struct Tokens {
    wire: Arc<dyn Wire>,
    repository: Arc<dyn TokenRepository>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn SecureRandom>,
    sealer: Sealer,
    /// Names this process in leases.
    holder: String,
    known: Mutex<HashMap<String, Known>>,
    /// One fetch at a time per app in this process.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

/// What this process knows of an app's token.
#[derive(Default)]
struct Known {
    /// The token, and when its row was read.
    kept: Option<(AccessToken, Timestamp)>,
    /// The highest version that is refused, and told to be in the row.
    refused: i64,
}

impl Known {
    /// Keeps a token; false when it was refused while its row was read.
    fn keep(&mut self, token: &AccessToken, now: Timestamp) -> bool {
        let is_good = token.version > self.refused;
        if is_good {
            self.kept = Some((token.clone(), now));
        }
        is_good
    }

    fn refuse(&mut self, version: i64) {
        self.refused = self.refused.max(version);
        self.kept.take_if(|(token, _)| token.version <= version);
    }
}

impl Tokens {
    pub fn new(
        wire: Arc<dyn Wire>,
        repository: Arc<dyn TokenRepository>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn SecureRandom>,
        sealer: Sealer,
    ) -> Self {
        let holder = random.base62(16);
        let (known, turns) = (Mutex::default(), Mutex::default());
        Self { wire, repository, clock, random, sealer, holder, known, turns }
    }

    /// A token to call with.
    ///
    /// # Errors
    /// [`TokenError`] when there is none and none can be had now.
    pub async fn get(&self, app: &App) -> Result<AccessToken, TokenError> {
        if let Some(token) = self.cached(app) {
            return Ok(token);
        }
        let turn = self.turn(app);
        let _mine = turn.lock().await;
        if let Some(token) = self.cached(app) {
            return Ok(token);
        }
        for _ in 0..LOOKS {
            let now = self.clock.now();
            let row = self.repository.find(&app.name).await?;
            match self.usable(app, &row, now) {
                Some(token) if self.with(app, |known| known.keep(&token, now)) => return Ok(token),
                // Refused meanwhile: whoever has seen that must not be given it again.
                Some(_) => continue,
                None => {}
            }
            if let Some(error) = row.blocked(now) {
                return Err(error);
            }
            let until = now + LEASE;
            if self.repository.try_lease(&app.name, &self.holder, row.version, now, until).await? {
                return self.fetch(app, &row, false).await;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(TokenError::Unavailable)
    }

    /// Reports that the platform refused `version`. Only the first report of the current version has an effect.
    ///
    /// # Errors
    /// [`TokenError::Store`].
    pub async fn invalidate(&self, app: &App, version: i64) -> Result<(), TokenError> {
        let now = self.clock.now();
        let row = self.repository.find(&app.name).await?;
        let is_series = row.invalidated_at.is_some_and(|at| now.since(at) < SERIES);
        let series = if is_series { row.invalidations.saturating_add(1) } else { 1 };
        let excess = series.saturating_sub(FREE_INVALIDATIONS);
        let blocked = (excess > 0).then(|| now + doubled(FAULT_BACK_OFF, excess - 1));
        if self.repository.invalidate(&app.name, version, series, now, blocked).await? {
            counter!("wechat_token_invalidations_total", "app" => app.name.clone()).increment(1);
            if blocked.is_some() {
                tracing::error!(app = app.name, series, "the platform refuses one token after the other");
            } else {
                tracing::warn!(app = app.name, version, "the platform refused a token; fetching another");
            }
        }
        // After the row: a row read from now on shows it too.
        self.with(app, |known| known.refuse(version));
        Ok(())
    }

    /// Replaces a token that ends soon, while the old one is served; true if one was fetched.
    ///
    /// # Errors
    /// [`TokenError`] when it could not be replaced.
    pub async fn refresh_if_due(&self, app: &App) -> Result<bool, TokenError> {
        let now = self.clock.now();
        let row = self.repository.find(&app.name).await?;
        measure(app, &row, now);
        let jitter = Duration::from_secs(u64::from(self.random.below(60)));
        if !row.is_due(now, jitter) {
            return Ok(false);
        }
        if !self.repository.try_lease(&app.name, &self.holder, row.version, now, now + LEASE).await? {
            return Ok(false);
        }
        self.fetch(app, &row, false).await.map(|_| true)
    }

    /// Makes the platform give a new token at once: for an operator, when a token leaked or is stuck.
    ///
    /// # Errors
    /// [`TokenError`] when the platform refused.
    pub async fn force(&self, app: &App) -> Result<Forced, TokenError> {
        let turn = self.turn(app);
        let _mine = turn.lock().await;
        let now = self.clock.now();
        let day = now.to_datetime().with_timezone(&Shanghai).format("%Y-%m-%d").to_string();
        let row = self.repository.find(&app.name).await?;
        if !self.repository.try_lease(&app.name, &self.holder, row.version, now, now + LEASE).await? {
            return Err(TokenError::Unavailable);
        }
        let not_after = now - BETWEEN_FORCES;
        if !self.repository.count_force(&app.name, &day, FORCES_A_DAY, not_after, now).await? {
            // Nothing was fetched: the lease ends by itself.
            return Ok(Forced::NotAllowed);
        }
        self.with(app, |known| known.kept = None);
        self.fetch(app, &row, true).await.map(Forced::Done)
    }

    /// What the database knows, for the operator's view.
    ///
    /// # Errors
    /// [`TokenError::Store`].
    pub async fn row(&self, app: &App) -> Result<TokenRow, TokenError> {
        Ok(self.repository.find(&app.name).await?)
    }

    async fn fetch(&self, app: &App, before: &TokenRow, by_force: bool) -> Result<AccessToken, TokenError> {
        let asked = ask(&*self.wire, app, by_force).await;
        let now = self.clock.now();
        let mode = if by_force { "forced" } else { "normal" };
        let count = |outcome: &'static str| {
            counter!("wechat_token_fetches_total", "app" => app.name.clone(), "mode" => mode, "outcome" => outcome)
                .increment(1);
        };
        let (value, life) = match asked {
            Ok(found) => found,
            Err(error) => {
                count(error.outcome());
                return Err(self.failed(app, before, &error, now).await?);
            }
        };
        count("ok");
        let place = place(app);
        let old = before.sealed.as_ref().and_then(|sealed| self.sealer.open(&place, sealed));
        let is_new_value = old.as_ref() != Some(&value);
        if !is_new_value && before.version <= before.invalid_version && !by_force {
            let message = "the platform hands out again the token that it refuses".to_owned();
            let fault = TokenFault { code: 40_001, message, rid: None, at: now };
            return Err(self.note_fault(app, before, &fault, FAULT_BACK_OFF).await?);
        }
        let sealed = self.sealer.seal(&*self.random, &place, &value);
        let good_until = now + life;
        let stored = NewToken { sealed, good_until, is_new_value };
        let Some(version) = self.repository.save(&app.name, &self.holder, &stored, now).await? else {
            // The lease ran out and somebody else fetched: theirs is the one of the row.
            let row = self.repository.find(&app.name).await?;
            return self.usable(app, &row, now).ok_or(TokenError::Unavailable);
        };
        let token = AccessToken { value, version, good_until };
        self.with(app, |known| known.keep(&token, now));
        gauge!("wechat_app_fault", "app" => app.name.clone()).set(0.0);
        tracing::info!(app = app.name, version, good_until = %good_until, mode, "access token fetched");
        Ok(token)
    }

    async fn failed(
        &self,
        app: &App,
        before: &TokenRow,
        error: &CallError,
        now: Timestamp,
    ) -> Result<TokenError, TokenError> {
        let (fault, first) = match error {
            CallError::Refused(refusal) => {
                let is_passing = matches!(refusal.class(), Class::Busy | Class::Rate);
                let first = if is_passing { BUSY_BACK_OFF } else { FAULT_BACK_OFF };
                let code = if is_passing { 0 } else { refusal.code };
                let (message, rid) = (refusal.message.clone(), refusal.rid.clone());
                (TokenFault { code, message, rid, at: now }, first)
            }
            _ => (TokenFault { code: 0, message: error.to_string(), rid: None, at: now }, BUSY_BACK_OFF),
        };
        self.note_fault(app, before, &fault, first).await
    }

    async fn note_fault(
        &self,
        app: &App,
        before: &TokenRow,
        fault: &TokenFault,
        first: Duration,
    ) -> Result<TokenError, TokenError> {
        let until = fault.at + doubled(first, before.failures);
        self.repository.fail(&app.name, &self.holder, fault, until).await?;
        if fault.code == 0 {
            tracing::warn!(app = app.name, reason = fault.message, "no access token could be fetched");
            return Ok(TokenError::Unavailable);
        }
        gauge!("wechat_app_fault", "app" => app.name.clone()).set(1.0);
        let advice = advice(fault.code).unwrap_or("look the error up in the platform's documentation");
        tracing::error!(
            app = app.name,
            errcode = fault.code,
            errmsg = fault.message,
            rid = fault.rid,
            advice,
            "the platform gives no access token"
        );
        Ok(TokenError::Fault(fault.code))
    }

    fn usable(&self, app: &App, row: &TokenRow, now: Timestamp) -> Option<AccessToken> {
        let value = self.sealer.open(&place(app), row.sealed.as_ref().filter(|_| row.is_usable(now))?)?;
        Some(AccessToken { value, version: row.version, good_until: row.good_until? })
    }

    fn cached(&self, app: &App) -> Option<AccessToken> {
        let now = self.clock.now();
        let is_fresh =
            |(token, read_at): &&(AccessToken, Timestamp)| now.since(*read_at) < CACHE_FOR && token.good_until > now;
        self.with(app, |known| known.kept.as_ref().filter(is_fresh).map(|(token, _)| token.clone()))
    }

    fn with<T>(&self, app: &App, act: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        act(known.entry(app.name.clone()).or_default())
    }

    fn turn(&self, app: &App) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.entry(app.name.clone()).or_default().clone()
    }
}

/// Asks the platform for a token: the current one, or a new one by force.
pub(crate) async fn ask(wire: &dyn Wire, app: &App, by_force: bool) -> Result<(Secret, Duration), CallError> {
    let mut body = json!({
        "grant_type": "client_credential",
        "appid": app.appid,
        "secret": app.secret.expose(),
    });
    if by_force && let Some(map) = body.as_object_mut() {
        map.insert("force_refresh".to_owned(), Value::Bool(true));
    }
    let request = WireRequest {
        method: Method::Post,
        path: "/cgi-bin/stable_token",
        query: Vec::new(),
        body: Some(body.to_string().into_bytes()),
        timeout: FETCH_TIMEOUT,
    };
    let answer = wire.exchange(request).await?;
    let mut map = read_json(&answer, &[app.secret.expose()])?;
    let life = match map.get("expires_in") {
        Some(Value::String(text)) => text.trim().parse().unwrap_or(0),
        life => life.and_then(Value::as_i64).unwrap_or(0),
    };
    let life = life.clamp(0, LONGEST_LIFE_S);
    match map.remove("access_token") {
        Some(Value::String(value)) if !value.is_empty() && life > 0 => {
            Ok((Secret::new(value), Duration::from_secs(life.unsigned_abs())))
        }
        _ => Err(CallError::Ambiguous),
    }
}

#[expect(clippy::cast_precision_loss, reason = "lives of tokens are a few thousand seconds")]
fn measure(app: &App, row: &TokenRow, now: Timestamp) {
    let left = row.good_until.filter(|_| row.is_usable(now)).map_or(0, |until| until.since(now).as_secs());
    gauge!("wechat_token_seconds_left", "app" => app.name.clone()).set(left as f64);
    let age = row.fetched_at.map_or(0, |at| now.since(at).as_secs());
    gauge!("wechat_token_age_seconds", "app" => app.name.clone()).set(age as f64);
}

/// Under which name an app's token is sealed.
fn place(app: &App) -> String {
    format!("token:{}:{}", app.name, app.appid)
}

fn doubled(first: Duration, times: u32) -> Duration {
    first.saturating_mul(1 << times.min(16)).min(LONGEST_BACK_OFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_while_it_was_read_is_not_kept() {
        let now = Timestamp::from_millis(1_000);
        let token = |version| AccessToken { value: Secret::new("t"), version, good_until: now + LEASE };
        let mut known = Known::default();
        assert!(known.keep(&token(1), now));
        known.refuse(1);
        assert!(known.kept.is_none() && !known.keep(&token(1), now));
        assert!(known.keep(&token(2), now));
        known.refuse(1);
        assert!(known.kept.is_some(), "a late refusal does not hit the successor");
    }

    #[test]
    fn a_token_is_due_in_its_last_five_minutes_or_when_refused() {
        let now = Timestamp::from_millis(1_000_000_000);
        let row = |left_s: u64, invalid| TokenRow {
            version: 3,
            invalid_version: invalid,
            good_until: Some(now + Duration::from_secs(left_s)),
            ..TokenRow::default()
        };
        assert!(!row(301, 2).is_due(now, Duration::ZERO));
        assert!(row(300, 2).is_due(now, Duration::ZERO));
        assert!(row(330, 2).is_due(now, Duration::from_secs(30)));
        assert!(row(7_200, 3).is_due(now, Duration::ZERO));
        assert!(TokenRow::default().is_due(now, Duration::ZERO));
        let blocked = TokenRow { blocked_until: Some(now + LEASE), ..TokenRow::default() };
        assert!(!blocked.is_due(now, Duration::ZERO));
        assert!(row(300, 2).is_usable(now) && !row(300, 3).is_usable(now) && !row(0, 2).is_usable(now));
    }

    #[test]
    fn back_off_doubles_up_to_ten_minutes() {
        let waits: Vec<u64> = (0..7).map(|n| doubled(FAULT_BACK_OFF, n).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 600, 600]);
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let token = AccessToken { value: Secret::new("hunter2"), version: 1, good_until: Timestamp::EPOCH };
        assert!(!format!("{token:?}").contains("hunter2"));
    }
}
