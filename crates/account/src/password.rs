//! Passwords: argon2id for new ones, LeanCloud's scheme for imported ones until their first use.
//!
//! [`hash`] and [`verify`] are pure and slow; [`ArgonHasher`] runs them off the async threads, a few at
//! a time, because each holds its whole memory cost while it runs.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use domain::FieldError;
use domain::rng::SecureRandom;
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Shortest password that may be chosen, in characters.
pub const MIN_PASSWORD_CHARS: usize = 10;
/// The same of a patient's or doctor's, who also sign in without one; guesses are counted per name.
pub const MIN_USER_PASSWORD_CHARS: usize = 6;
/// Longest password that is looked at, in bytes.
pub const MAX_PASSWORD_BYTES: usize = 256;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// Rounds of SHA-512 after the first in LeanCloud's scheme.
const LEANCLOUD_ROUNDS: usize = 512;
/// Length of a generated password: 119 bits.
const GENERATED_CHARS: usize = 20;
const ARGON_TAG: &str = "$argon2id$v=19$";
const LEANCLOUD_TAG: &str = "leancloud$";

/// A password as typed. No `Debug`.
#[derive(Clone)]
pub struct Password(String);

impl Password {
    /// Takes what was typed at a sign-in, without judging it.
    pub fn typed(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Takes a password that a member of staff chose.
    ///
    /// # Errors
    /// A [`FieldError`] naming `field` when it is too short or too long.
    pub fn chosen(field: &str, text: impl Into<String>) -> Result<Self, FieldError> {
        Self::of_length(field, text.into(), MIN_PASSWORD_CHARS)
    }

    /// Takes a password that a patient or doctor chose, in an app that was made when LeanCloud asked for no length.
    ///
    /// # Errors
    /// A [`FieldError`] naming `field` when it is too short or too long.
    pub fn chosen_by_user(field: &str, text: impl Into<String>) -> Result<Self, FieldError> {
        Self::of_length(field, text.into(), MIN_USER_PASSWORD_CHARS)
    }

    fn of_length(field: &str, text: String, least: usize) -> Result<Self, FieldError> {
        if text.chars().count() < least {
            return Err(FieldError::new(field, format!("must have at least {least} characters")));
        }
        if text.len() > MAX_PASSWORD_BYTES {
            return Err(FieldError::new(field, format!("must have at most {MAX_PASSWORD_BYTES} bytes")));
        }
        Ok(Self(text))
    }

    /// A random password, to be shown once.
    pub fn generate(random: &dyn SecureRandom) -> Self {
        Self(random.base62(GENERATED_CHARS))
    }

    /// The text itself. Never log it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    fn is_readable(&self) -> bool {
        self.0.len() <= MAX_PASSWORD_BYTES
    }
}

/// What is stored of a password: a tagged hash with its salt and cost. `Debug` shows only the scheme.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredPassword(String);

/// The stored text is of no known scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored password is of no known scheme")]
pub struct MalformedPassword;

impl StoredPassword {
    /// Reads the stored form.
    ///
    /// # Errors
    /// [`MalformedPassword`].
    pub fn parse(text: &str) -> Result<Self, MalformedPassword> {
        let stored = Self(text.to_owned());
        if stored.argon2id().is_some() || stored.leancloud().is_some() { Ok(stored) } else { Err(MalformedPassword) }
    }

    /// An imported password: LeanCloud's `salt` and base64 `password` columns.
    ///
    /// # Errors
    /// [`MalformedPassword`] when `hash` is not the base64 of 64 bytes or `salt` is empty.
    pub fn from_leancloud(salt: &str, hash: &str) -> Result<Self, MalformedPassword> {
        Self::parse(&format!("{LEANCLOUD_TAG}{salt}${hash}"))
    }

    /// The stored form, for the database.
    pub fn as_stored(&self) -> &str {
        &self.0
    }

    /// True when the scheme or cost is not the one in use: hash it anew after the next success.
    pub fn needs_rehash(&self, cost: PasswordCost) -> bool {
        self.argon2id().is_none_or(|parts| parts.cost != cost)
    }

    fn argon2id(&self) -> Option<ArgonParts> {
        let rest = self.0.strip_prefix(ARGON_TAG)?;
        let mut parts = rest.split('$');
        let (cost, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
        let salt = STANDARD_NO_PAD.decode(salt).ok()?;
        let hash = STANDARD_NO_PAD.decode(hash).ok()?;
        let is_whole = parts.next().is_none() && salt.len() >= 8 && hash.len() == HASH_BYTES;
        is_whole.then_some(ArgonParts { cost: PasswordCost::parse(cost)?, salt, hash })
    }

    fn leancloud(&self) -> Option<(&str, Vec<u8>)> {
        let (salt, hash) = self.0.strip_prefix(LEANCLOUD_TAG)?.rsplit_once('$')?;
        let hash = STANDARD.decode(hash).ok()?;
        (!salt.is_empty() && hash.len() == 64).then_some((salt, hash))
    }
}

impl std::fmt::Debug for StoredPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.starts_with(ARGON_TAG) {
            "StoredPassword(argon2id)"
        } else {
            "StoredPassword(leancloud)"
        })
    }
}

struct ArgonParts {
    cost: PasswordCost,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

/// What one argon2id hash costs. The default is OWASP's: 19 MiB, two passes, one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl Default for PasswordCost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 }
    }
}

impl PasswordCost {
    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(',');
        let mut number = |name: &str| fields.next()?.strip_prefix(name)?.parse().ok();
        let cost = Self { memory_kib: number("m=")?, passes: number("t=")?, lanes: number("p=")? };
        (fields.next().is_none() && cost.argon2().is_some()).then_some(cost)
    }

    fn argon2(self) -> Option<Argon2<'static>> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(HASH_BYTES)).ok()?;
        Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// Hashing failed: the cost is out of bounds, or the machine gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the password could not be processed")]
pub struct HashingError;

impl From<HashingError> for crate::AccountError {
    fn from(_: HashingError) -> Self {
        Self::Hashing
    }
}

/// Hashes with argon2id. Takes tens of milliseconds and `cost.memory_kib` of memory.
///
/// # Errors
/// [`HashingError`] when the cost is out of argon2's bounds.
pub fn hash(password: &Password, salt: [u8; SALT_BYTES], cost: PasswordCost) -> Result<StoredPassword, HashingError> {
    let digest = argon2id(password, &salt, cost)?;
    let PasswordCost { memory_kib, passes, lanes } = cost;
    let (salt, digest) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(digest));
    Ok(StoredPassword(format!("{ARGON_TAG}m={memory_kib},t={passes},p={lanes}${salt}${digest}")))
}

/// Whether `password` is the stored one, comparing in constant time.
///
/// # Errors
/// [`HashingError`] when the machine gave up.
pub fn verify(password: &Password, stored: &StoredPassword) -> Result<bool, HashingError> {
    if !password.is_readable() {
        return Ok(false);
    }
    if let Some(parts) = stored.argon2id() {
        let digest = argon2id(password, &parts.salt, parts.cost)?;
        return Ok(digest.ct_eq(&parts.hash).into());
    }
    let (salt, expected) = stored.leancloud().ok_or(HashingError)?;
    Ok(leancloud_digest(salt, password.reveal()).ct_eq(&expected).into())
}

fn argon2id(password: &Password, salt: &[u8], cost: PasswordCost) -> Result<[u8; HASH_BYTES], HashingError> {
    let mut digest = [0; HASH_BYTES];
    let argon2 = cost.argon2().ok_or(HashingError)?;
    argon2.hash_password_into(password.reveal().as_bytes(), salt, &mut digest).or(Err(HashingError))?;
    Ok(digest)
}

/// SHA-512(salt‖password), then 512 times SHA-512 of the result.
fn leancloud_digest(salt: &str, password: &str) -> [u8; 64] {
    let first = Sha512::new().chain_update(salt).chain_update(password).finalize();
    (0..LEANCLOUD_ROUNDS).fold(first, |digest, _| Sha512::digest(digest)).into()
}

/// Hashes and checks passwords without holding up anything else.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    async fn hash(&self, password: Password) -> Result<StoredPassword, HashingError>;
    /// Takes the same time whether there is a stored password (`None` never matches) and whatever its scheme.
    async fn verify(&self, password: Password, stored: Option<StoredPassword>) -> Result<bool, HashingError>;
    /// Whether a stored password should be hashed anew.
    fn is_outdated(&self, stored: &StoredPassword) -> bool;
}

/// The hasher in use: blocking threads, at most `at_once` of them.
pub struct ArgonHasher {
    cost: PasswordCost,
    random: Arc<dyn SecureRandom>,
    dummy: StoredPassword,
    slots: Arc<Semaphore>,
}

impl ArgonHasher {
    /// Computes one hash, to compare with where there is no stored one.
    ///
    /// # Errors
    /// [`HashingError`] when the cost is out of argon2's bounds.
    pub fn new(cost: PasswordCost, at_once: usize, random: Arc<dyn SecureRandom>) -> Result<Self, HashingError> {
        let dummy = hash(&Password::generate(random.as_ref()), salt(random.as_ref()), cost)?;
        Ok(Self { cost, random, dummy, slots: Arc::new(Semaphore::new(at_once.max(1))) })
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashingError> + Send + 'static,
    ) -> Result<T, HashingError> {
        let slot = Arc::clone(&self.slots).acquire_owned().await.or(Err(HashingError))?;
        // The slot moves into the thread: a caller that goes away must not free it while memory is in use.
        let done = spawn_blocking(move || {
            let _slot = slot;
            work()
        });
        done.await.or(Err(HashingError))?
    }
}

#[async_trait]
impl PasswordHasher for ArgonHasher {
    async fn hash(&self, password: Password) -> Result<StoredPassword, HashingError> {
        let (salt, cost) = (salt(self.random.as_ref()), self.cost);
        self.run(move || hash(&password, salt, cost)).await
    }

    async fn verify(&self, password: Password, stored: Option<StoredPassword>) -> Result<bool, HashingError> {
        let dummy = self.dummy.clone();
        self.run(move || {
            let Some(stored) = stored else {
                verify(&password, &dummy)?;
                return Ok(false);
            };
            let is_right = verify(&password, &stored)?;
            if !is_right && stored.argon2id().is_none() {
                // LeanCloud's scheme is fast; a success is followed by an argon2id hash, a failure must not be faster.
                verify(&password, &dummy)?;
            }
            Ok(is_right)
        })
        .await
    }

    fn is_outdated(&self, stored: &StoredPassword) -> bool {
        stored.needs_rehash(self.cost)
    }
}

fn salt(random: &dyn SecureRandom) -> [u8; SALT_BYTES] {
    let mut salt = [0; SALT_BYTES];
    random.fill(&mut salt);
    salt
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::CountingRandom;

    const CHEAP: PasswordCost = PasswordCost { memory_kib: 8, passes: 1, lanes: 1 };
    const LC_SALT: &str = "h60d8x797d3oa0naxybxxv9bn7xpt2yiowz68mpiwou7gwr2";
    const LC_HASH: &str = "tA7BLW+NK0UeARng0693gCaVnljkglCB9snqlpCSUKjx2RgYp8VZZOQt0S5iUtlDrkJXfT3gknS4rRqjYsd/Ug==";

    fn hasher() -> ArgonHasher {
        ArgonHasher::new(CHEAP, 2, Arc::new(CountingRandom::default())).unwrap()
    }

    #[test]
    fn the_documented_leancloud_vector_verifies_and_asks_for_a_rehash() {
        let stored = StoredPassword::from_leancloud(LC_SALT, LC_HASH).unwrap();
        assert_eq!(verify(&Password::typed("password"), &stored), Ok(true));
        assert_eq!(verify(&Password::typed("Password"), &stored), Ok(false));
        assert!(stored.needs_rehash(PasswordCost::default()));
    }

    #[test]
    fn argon2id_round_trips_through_its_stored_form() {
        let stored = hash(&Password::typed("correct horse"), [7; 16], CHEAP).unwrap();
        let read = StoredPassword::parse(stored.as_stored()).unwrap();
        assert!(read.as_stored().starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{}", read.as_stored());
        assert_eq!(verify(&Password::typed("correct horse"), &read), Ok(true));
        assert_eq!(verify(&Password::typed("correct hors"), &read), Ok(false));
    }

    #[test]
    fn a_changed_cost_asks_for_a_rehash() {
        let stored = hash(&Password::typed("correct horse"), [7; 16], CHEAP).unwrap();
        assert!(!stored.needs_rehash(CHEAP));
        assert!(stored.needs_rehash(PasswordCost { passes: 2, ..CHEAP }));
    }

    #[test]
    fn anything_else_is_not_a_stored_password() {
        for bad in [
            "",
            "password",
            "leancloud$salt$AAAA",
            "leancloud$$",
            "$argon2id$v=19$m=8,t=1,p=1$AAAA$BBBB",
            "$argon2i$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
            "$argon2id$v=19$m=0,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
        ] {
            assert_eq!(StoredPassword::parse(bad), Err(MalformedPassword), "{bad}");
        }
    }

    #[test]
    fn chosen_passwords_are_bounded_on_both_sides() {
        let try_len = |len: usize| Password::chosen("password", "x".repeat(len)).map(|_| ()).map_err(|e| e.field);
        assert_eq!(try_len(MIN_PASSWORD_CHARS - 1), Err("password".into()));
        assert_eq!(try_len(MIN_PASSWORD_CHARS), Ok(()));
        assert!(Password::chosen_by_user("password", "x".repeat(MIN_USER_PASSWORD_CHARS)).is_ok());
        assert!(Password::chosen_by_user("password", "x".repeat(MIN_USER_PASSWORD_CHARS - 1)).is_err());
        assert_eq!(try_len(MAX_PASSWORD_BYTES), Ok(()));
        assert_eq!(try_len(MAX_PASSWORD_BYTES + 1), Err("password".into()));
    }

    #[test]
    fn generated_passwords_may_be_chosen() {
        let password = Password::generate(&CountingRandom::default());
        assert!(Password::chosen("password", password.reveal()).is_ok());
        assert_eq!(password.reveal().len(), GENERATED_CHARS);
    }

    #[tokio::test]
    async fn the_hasher_accepts_right_and_refuses_wrong_missing_and_over_long_passwords() {
        let hasher = hasher();
        let stored = hasher.hash(Password::typed("correct horse")).await.unwrap();
        let legacy = StoredPassword::from_leancloud(LC_SALT, LC_HASH).unwrap();
        let verify = |text: &str, stored: Option<&StoredPassword>| {
            let (password, stored) = (Password::typed(text), stored.cloned());
            let hasher = &hasher;
            async move { hasher.verify(password, stored).await.unwrap() }
        };
        assert!(verify("correct horse", Some(&stored)).await);
        assert!(!verify("wrong", Some(&stored)).await);
        assert!(!verify("correct horse", None).await);
        assert!(verify("password", Some(&legacy)).await);
        assert!(!verify("wrong", Some(&legacy)).await);
        assert!(!verify(&"x".repeat(MAX_PASSWORD_BYTES + 1), Some(&stored)).await);
        assert!(hasher.is_outdated(&legacy) && !hasher.is_outdated(&stored));
    }

    #[tokio::test]
    async fn equal_passwords_have_different_stored_forms() {
        let hasher = hasher();
        let one = hasher.hash(Password::typed("correct horse")).await.unwrap();
        let two = hasher.hash(Password::typed("correct horse")).await.unwrap();
        assert_ne!(one, two);
    }

    #[test]
    fn debug_shows_the_scheme_only() {
        let stored = StoredPassword::from_leancloud(LC_SALT, LC_HASH).unwrap();
        assert_eq!(format!("{stored:?}"), "StoredPassword(leancloud)");
    }
}
