//! Text that cannot be shown by accident, and how it is kept in the database.

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use domain::rng::SecureRandom;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// An access token, an app's secret, a session key or the like. Neither `Debug` nor anything else shows it;
/// [`Secret::expose`] is the only way in.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Shortest secret a [`Sealer`] is made from, in bytes.
pub const MIN_SECRET_BYTES: usize = 32;
/// Bytes before the sealed text.
const NONCE_BYTES: usize = 12;

/// Seals secrets for the database, each under the name of its place: a value moved elsewhere does not open.
#[derive(Clone)]
pub struct Sealer {
    key: [u8; 32],
}

/// The secret is shorter than [`MIN_SECRET_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret must have at least {MIN_SECRET_BYTES} bytes")]
pub struct SecretTooShort;

impl Sealer {
    /// Derives the key from the deployment's one secret.
    ///
    /// # Errors
    /// [`SecretTooShort`].
    pub fn derive(secret: &[u8]) -> Result<Self, SecretTooShort> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(SecretTooShort);
        }
        Ok(Self { key: keyed(secret, b"zhaoguan wechat seal") })
    }

    /// Encrypts `secret` for `place`, e.g. `token:patient`.
    ///
    /// # Panics
    /// Never: secrets are far shorter than the 64 GiB that can be sealed.
    pub fn seal(&self, random: &dyn SecureRandom, place: &str, secret: &Secret) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        random.fill(&mut nonce);
        let payload = Payload { msg: secret.expose().as_bytes(), aad: place.as_bytes() };
        let sealed = self.cipher().encrypt(&Nonce::from(nonce), payload);
        let sealed = sealed.expect("AES-GCM takes messages of up to 64 GiB");
        [&nonce[..], &sealed].concat()
    }

    /// The secret again; `None` when it was changed, belongs elsewhere or was sealed under another key.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Option<Secret> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let bytes = self.cipher().decrypt(&Nonce::from(nonce), payload).ok()?;
        String::from_utf8(bytes).ok().map(Secret)
    }

    /// Stands for `value` where it must be found again but not be read: 32 hex digits.
    pub fn index(&self, kind: &str, value: &str) -> String {
        let mut digest = hex::encode(keyed(&self.key, format!("{kind}\0{value}").as_bytes()));
        digest.truncate(32);
        digest
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(&self.key.into())
    }
}

fn keyed(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;
    impl SecureRandom for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            for (byte, n) in buffer.iter_mut().zip(1..) {
                *byte = n;
            }
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Some(Secret::new("hunter2"))), "Some(Secret(…))");
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let keeper = Sealer::derive(&[7; 32]).unwrap();
        let sealed = keeper.seal(&Counting, "token:a", &Secret::new("hunter2"));
        assert!(!sealed.windows(7).any(|part| part == b"hunter2"));
        assert_eq!(keeper.open("token:a", &sealed).unwrap().expose(), "hunter2");
        assert_eq!(keeper.open("token:b", &sealed), None);
        assert_eq!(Sealer::derive(&[8; 32]).unwrap().open("token:a", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(keeper.open("token:a", &changed), None, "byte {at}");
        }
        assert_eq!(keeper.open("token:a", &sealed[..5]), None);
    }

    #[test]
    fn short_secrets_make_no_sealer() {
        assert!(Sealer::derive(&[0; 31]).is_err());
    }
}
