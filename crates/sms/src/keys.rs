//! Secrets: the credentials of providers, and the keys made from the deployment's one secret.
//!
//! Phones are found by a keyed hash and kept sealed (AES-256-GCM); the variables of a message, a code among them,
//! are kept sealed only as long as they may have to be submitted again. Neither can be read from the database alone.

use std::sync::Arc;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use domain::Phone;
use domain::rng::SecureRandom;

use crate::digest::hmac_sha256;

/// Bytes of the nonce before each sealed text.
const NONCE_BYTES: usize = 12;

/// An id and its secret, as a provider gave them out. No `Debug`.
#[derive(Clone)]
pub struct Credential {
    id: String,
    secret: String,
}

impl Credential {
    pub fn new(id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { id: id.into(), secret: secret.into() }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }
}

/// What hashes and seals. No `Debug`.
#[derive(Clone)]
pub struct SmsKeys {
    index: [u8; 32],
    cipher: Aes256Gcm,
    random: Arc<dyn SecureRandom>,
}

impl SmsKeys {
    /// Derives the keys from the deployment's secret, whose length is checked where it is configured.
    pub fn derive(secret: &[u8], random: Arc<dyn SecureRandom>) -> Self {
        let key = |label: &str| hmac_sha256(secret, format!("zhaoguan sms key: {label}").as_bytes());
        let cipher = Aes256Gcm::new(&key("seal").into());
        Self { index: key("index"), cipher, random }
    }

    /// Stands for a phone number in rows and logs: 32 hex digits.
    pub fn phone_hash(&self, phone: &Phone) -> String {
        let full = hex::encode(hmac_sha256(&self.index, phone.as_e164().as_bytes()));
        full.chars().take(32).collect()
    }

    /// Seals `plain` so that it opens only under the same `context`.
    #[expect(clippy::missing_panics_doc, reason = "only texts beyond 64 GiB are refused")]
    pub fn seal(&self, context: &str, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        self.random.fill(&mut nonce);
        let payload = Payload { msg: plain, aad: context.as_bytes() };
        let sealed = self.cipher.encrypt(&Nonce::from(nonce), payload).expect("texts are far shorter than 64 GiB");
        [nonce.as_slice(), &sealed].concat()
    }

    /// `None` when it was not sealed under this key and context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        self.cipher.decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: context.as_bytes() }).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Counting;

    fn keys(secret: u8) -> SmsKeys {
        SmsKeys::derive(&[secret; 32], Arc::new(Counting::default()))
    }

    #[test]
    fn what_is_sealed_opens_only_under_its_key_and_context() {
        let (own, other) = (keys(1), keys(2));
        let sealed = own.seal("phone:1", b"13900000000");
        assert_eq!(own.open("phone:1", &sealed).as_deref(), Some(b"13900000000".as_slice()));
        assert_eq!(own.open("phone:2", &sealed), None);
        assert_eq!(other.open("phone:1", &sealed), None);
        assert_eq!(own.open("phone:1", &sealed[..20]), None);
        assert_eq!(own.open("phone:1", b"short"), None);
    }

    #[test]
    fn sealing_twice_gives_two_texts_without_the_plain_one() {
        let keys = keys(1);
        let (first, second) = (keys.seal("c", b"012345"), keys.seal("c", b"012345"));
        assert_ne!(first, second);
        assert!(!first.windows(6).any(|w| w == b"012345"));
    }

    #[test]
    fn a_phone_hash_depends_on_number_and_key() {
        let (a, b): (Phone, Phone) = ("13900000000".parse().unwrap(), "13900000001".parse().unwrap());
        assert_eq!(keys(1).phone_hash(&a).len(), 32);
        assert_eq!(keys(1).phone_hash(&a), keys(1).phone_hash(&"+8613900000000".parse().unwrap()));
        assert_ne!(keys(1).phone_hash(&a), keys(1).phone_hash(&b));
        assert_ne!(keys(1).phone_hash(&a), keys(2).phone_hash(&a));
    }
}
