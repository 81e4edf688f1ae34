//! `Idempotency-Key`: a creating call that is sent twice is done once and answered twice.

use std::time::Duration;

use async_trait::async_trait;
use domain::time::span;
use domain::{Actor, FieldError, StoreError, Timestamp};
use sha2::{Digest, Sha256};

use crate::AccountError;
use crate::service::Accounts;

/// Longest key, in characters.
pub const MAX_KEY_CHARS: usize = 128;
/// Longest answer that is kept, in bytes; longer ones are not replayed.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// Settings of idempotency keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencySettings {
    /// After this long without an answer a request counts as lost and may be tried again. Default 1 minute.
    pub lease: Duration,
    /// How long answers are kept. Default 24 hours.
    pub keep: Duration,
}

impl Default for IdempotencySettings {
    fn default() -> Self {
        Self { lease: span::minutes(1), keep: span::hours(24) }
    }
}

/// Whose key it is and for which operation; the same key elsewhere is a different one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyScope {
    /// [`Actor::label`].
    pub actor: String,
    /// Operation id, e.g. `initiate_consultation`.
    pub operation: String,
    pub key: String,
}

/// An answer to be given again.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredResponse {
    pub status: u16,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

/// A request under a key.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyRecord {
    pub scope: IdempotencyScope,
    /// Hex SHA-256 of what was asked.
    pub fingerprint: String,
    /// While there is no answer: until when the request counts as being worked on. Also names the holder.
    pub leased_until: Timestamp,
    pub response: Option<StoredResponse>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Stores what was asked under which key. Each call is atomic by itself.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait IdempotencyRepository: Send {
    /// Inserts the record if its scope is free (an expired record counts as free); else answers the one there.
    async fn insert_or_find(
        &mut self,
        record: &IdempotencyRecord,
        now: Timestamp,
    ) -> Result<Option<IdempotencyRecord>, StoreError>;
    /// Moves the lease of an unanswered record from `held_until`; false if somebody else holds it or it is answered.
    async fn take_over(
        &mut self,
        scope: &IdempotencyScope,
        held_until: Timestamp,
        until: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Stores the answer if the lease is still held; false if not.
    async fn complete(
        &mut self,
        scope: &IdempotencyScope,
        held_until: Timestamp,
        response: &StoredResponse,
    ) -> Result<bool, StoreError>;
    /// Deletes an unanswered record if the lease is still held.
    async fn release(&mut self, scope: &IdempotencyScope, held_until: Timestamp) -> Result<(), StoreError>;
    /// Deletes expired records; returns how many.
    async fn purge(&mut self, now: Timestamp) -> Result<u64, StoreError>;
}

/// Permission to do the work of a request; to be completed or released.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyLease {
    pub scope: IdempotencyScope,
    pub held_until: Timestamp,
}

/// What to do with a request that carries a key.
#[derive(Clone, PartialEq, Eq)]
pub enum IdempotencyStart {
    /// Do the work, then [`Accounts::complete_idempotent`] or [`Accounts::release_idempotent`].
    Work(IdempotencyLease),
    /// Give this answer.
    Replay(StoredResponse),
}

/// What a record found under the key means for a request.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Replay,
    Mismatch,
    InProgress { wait: Duration },
    Lost,
}

fn judge(record: &IdempotencyRecord, fingerprint: &str, now: Timestamp) -> Found {
    if record.fingerprint != fingerprint {
        Found::Mismatch
    } else if record.response.is_some() {
        Found::Replay
    } else if record.leased_until > now {
        Found::InProgress { wait: record.leased_until.since(now) }
    } else {
        Found::Lost
    }
}

/// The fingerprint of a request: method, path with query, and body.
pub fn fingerprint(method: &str, target: &str, body: &[u8]) -> String {
    let mut hash = Sha256::new();
    for part in [method.as_bytes(), target.as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// 1 to [`MAX_KEY_CHARS`] visible ASCII characters.
///
/// # Errors
/// A [`FieldError`] naming the header.
pub fn check_key(key: &str) -> Result<(), FieldError> {
    let is_fine = (1..=MAX_KEY_CHARS).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
    let fault = || FieldError::new("Idempotency-Key", format!("has 1 to {MAX_KEY_CHARS} visible ASCII characters"));
    is_fine.then_some(()).ok_or_else(fault)
}

impl Accounts {
    /// Starts a request that carries a key. A key belongs to one caller and one operation. Callers without
    /// a session have no key of their own, as another's answer might be given to them.
    ///
    /// # Errors
    /// [`AccountError::IdempotencyMismatch`], [`AccountError::IdempotencyInProgress`], [`AccountError::Invalid`];
    /// [`AccountError::Access`] without a session or the master key.
    pub async fn start_idempotent(
        &self,
        actor: &Actor,
        operation: &str,
        key: &str,
        fingerprint: &str,
    ) -> Result<IdempotencyStart, AccountError> {
        actor.require(!matches!(actor, Actor::Nobody | Actor::App))?;
        check_key(key)?;
        let (now, settings) = (self.clock.now(), self.settings.idempotency);
        let scope = IdempotencyScope { actor: actor.label(), operation: operation.to_owned(), key: key.to_owned() };
        let held_until = now + settings.lease;
        let record = IdempotencyRecord {
            scope: scope.clone(),
            fingerprint: fingerprint.to_owned(),
            leased_until: held_until,
            response: None,
            created_at: now,
            expires_at: now + settings.keep,
        };
        let mut unit = self.store.begin().await?;
        let found = unit.idempotency().insert_or_find(&record, now).await?;
        let start = match found {
            None => IdempotencyStart::Work(IdempotencyLease { scope, held_until }),
            Some(found) => match (judge(&found, fingerprint, now), found.response) {
                (Found::Replay, Some(response)) => IdempotencyStart::Replay(response),
                (Found::InProgress { wait }, _) => return Err(AccountError::IdempotencyInProgress { wait }),
                (Found::Lost, _) => {
                    if !unit.idempotency().take_over(&scope, found.leased_until, held_until).await? {
                        return Err(AccountError::IdempotencyInProgress { wait: settings.lease });
                    }
                    IdempotencyStart::Work(IdempotencyLease { scope, held_until })
                }
                (Found::Mismatch | Found::Replay, _) => return Err(AccountError::IdempotencyMismatch),
            },
        };
        unit.commit().await?;
        Ok(start)
    }

    /// Keeps the answer of a request for repetitions. Answers that are too long are not kept.
    ///
    /// # Errors
    /// [`AccountError::Store`]; the work is done all the same.
    pub async fn complete_idempotent(
        &self,
        lease: &IdempotencyLease,
        response: &StoredResponse,
    ) -> Result<(), AccountError> {
        if response.body.len() > MAX_BODY_BYTES {
            return self.release_idempotent(lease).await;
        }
        let mut unit = self.store.begin().await?;
        unit.idempotency().complete(&lease.scope, lease.held_until, response).await?;
        Ok(unit.commit().await?)
    }

    /// Frees the key of a request that changed nothing, e.g. one that was refused.
    ///
    /// # Errors
    /// [`AccountError::Store`].
    pub async fn release_idempotent(&self, lease: &IdempotencyLease) -> Result<(), AccountError> {
        let mut unit = self.store.begin().await?;
        unit.idempotency().release(&lease.scope, lease.held_until).await?;
        Ok(unit.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Fixture, fixture, just_under};

    fn answer() -> StoredResponse {
        StoredResponse { status: 201, content_type: Some("application/json".into()), body: b"{}".to_vec() }
    }

    async fn start(f: &Fixture, actor: &Actor, key: &str, asked: &str) -> Result<IdempotencyStart, AccountError> {
        f.accounts.start_idempotent(actor, "initiate_consultation", key, asked).await
    }

    async fn lease(f: &Fixture, key: &str) -> IdempotencyLease {
        match start(f, &Actor::Integrator, key, "a").await.unwrap() {
            IdempotencyStart::Work(lease) => lease,
            IdempotencyStart::Replay(_) => panic!("expected to do the work"),
        }
    }

    #[test]
    fn fingerprints_tell_requests_apart() {
        let base = fingerprint("POST", "/a", b"{}");
        assert_eq!(base, fingerprint("POST", "/a", b"{}"));
        assert_ne!(base, fingerprint("PUT", "/a", b"{}"));
        assert_ne!(base, fingerprint("POST", "/a{", b"}"));
    }

    #[test]
    fn keys_are_bounded() {
        assert!(check_key("k").is_ok());
        assert!(check_key(&"k".repeat(MAX_KEY_CHARS)).is_ok());
        for bad in ["", &"k".repeat(MAX_KEY_CHARS + 1), "a b", "键"] {
            assert!(check_key(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_repetition_gets_the_first_answer() {
        let f = fixture();
        let lease = lease(&f, "k").await;
        f.accounts.complete_idempotent(&lease, &answer()).await.unwrap();
        assert!(start(&f, &Actor::Integrator, "k", "a").await.unwrap() == IdempotencyStart::Replay(answer()));
    }

    #[tokio::test]
    async fn another_request_under_the_same_key_is_refused() {
        let f = fixture();
        lease(&f, "k").await;
        let refused = start(&f, &Actor::Integrator, "k", "b").await.err().unwrap();
        assert!(matches!(refused, AccountError::IdempotencyMismatch));
        let elsewhere = f.accounts.start_idempotent(&Actor::Integrator, "upload_file", "k", "b").await;
        assert!(matches!(elsewhere, Ok(IdempotencyStart::Work(_))));
        assert!(matches!(start(&f, &Actor::System, "k", "b").await, Ok(IdempotencyStart::Work(_))));
        assert!(matches!(start(&f, &Actor::App, "k", "b").await.err().unwrap(), AccountError::Access(_)));
    }

    #[tokio::test]
    async fn a_lost_request_is_taken_over_and_its_first_worker_comes_too_late() {
        let f = fixture();
        let first = lease(&f, "k").await;
        f.clock.advance(just_under(span::minutes(1)));
        let early = start(&f, &Actor::Integrator, "k", "a").await.err().unwrap();
        assert!(matches!(early, AccountError::IdempotencyInProgress { .. }));
        f.clock.advance(Duration::from_millis(1));
        let second = lease(&f, "k").await;
        f.accounts.complete_idempotent(&first, &StoredResponse { status: 500, ..answer() }).await.unwrap();
        f.accounts.release_idempotent(&first).await.unwrap();
        f.accounts.complete_idempotent(&second, &answer()).await.unwrap();
        assert!(start(&f, &Actor::Integrator, "k", "a").await.unwrap() == IdempotencyStart::Replay(answer()));
    }

    #[tokio::test]
    async fn a_released_or_expired_key_is_free() {
        let f = fixture();
        let first = lease(&f, "k").await;
        f.accounts.release_idempotent(&first).await.unwrap();
        let second = lease(&f, "k").await;
        f.accounts.complete_idempotent(&second, &answer()).await.unwrap();
        f.clock.advance(span::hours(24));
        lease(&f, "k").await;
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_not_kept() {
        let f = fixture();
        let first = lease(&f, "k").await;
        let long = StoredResponse { body: vec![0; MAX_BODY_BYTES + 1], ..answer() };
        f.accounts.complete_idempotent(&first, &long).await.unwrap();
        lease(&f, "k").await;
    }
}
