//! The keys of this crate, made from the deployment's one secret, and what is computed with them.
//!
//! The secret comes from the configuration and is never in the database: hashes of six-digit codes
//! and of phone numbers could be searched through in a second without it.

use domain::Phone;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Shortest secret that is accepted, in bytes.
pub const MIN_SECRET_BYTES: usize = 32;

/// One key per purpose, so that a value made for one can never pass for another. No `Debug`.
#[derive(Clone)]
pub struct AccountKeys {
    code: [u8; 32],
    index: [u8; 32],
    captcha: [u8; 32],
    download: [u8; 32],
    upload: [u8; 32],
}

/// The secret is shorter than [`MIN_SECRET_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret must have at least {MIN_SECRET_BYTES} bytes")]
pub struct SecretTooShort;

impl AccountKeys {
    /// Derives all keys from `secret`.
    ///
    /// # Errors
    /// [`SecretTooShort`].
    pub fn derive(secret: &[u8]) -> Result<Self, SecretTooShort> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(SecretTooShort);
        }
        let key = |label: &[u8]| keyed_hash(secret, &[b"zhaoguan account key", label]);
        Ok(Self {
            code: key(b"code"),
            index: key(b"index"),
            captcha: key(b"captcha"),
            download: key(b"download"),
            upload: key(b"upload"),
        })
    }

    /// What is stored of a code.
    pub(crate) fn code_hash(&self, purpose: &str, challenge: &str, phone: &Phone, code: &str) -> [u8; 32] {
        let parts = [purpose.as_bytes(), challenge.as_bytes(), phone.as_e164().as_bytes(), code.as_bytes()];
        keyed_hash(&self.code, &parts)
    }

    /// Stands for a phone number, address or device in counters and the audit log: 32 hex digits.
    pub(crate) fn index_of(&self, kind: &str, value: &str) -> String {
        let full = hex::encode(keyed_hash(&self.index, &[kind.as_bytes(), value.as_bytes()]));
        full.chars().take(32).collect()
    }

    /// [`AccountKeys::index_of`] a phone number: how audit rows and logs name it.
    pub fn phone_index(&self, phone: &Phone) -> String {
        self.index_of("phone", phone.as_e164())
    }

    pub(crate) fn captcha_mac(&self, text: &str) -> [u8; 32] {
        keyed_hash(&self.captcha, &[text.as_bytes()])
    }

    pub(crate) fn upload_mac(&self, grant: &str) -> [u8; 32] {
        keyed_hash(&self.upload, &[grant.as_bytes()])
    }

    pub(crate) fn download_mac(&self, file: &str, expires_ms: i64) -> [u8; 32] {
        keyed_hash(&self.download, &[file.as_bytes(), &expires_ms.to_be_bytes()])
    }
}

/// HMAC-SHA256 over the parts, each preceded by its length so that no two lists of parts are alike.
fn keyed_hash(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> AccountKeys {
        AccountKeys::derive(&[7; 32]).unwrap()
    }

    #[test]
    fn short_secrets_are_refused_at_the_boundary() {
        assert!(AccountKeys::derive(&[0; 31]).is_err());
        assert!(AccountKeys::derive(&[0; 32]).is_ok());
    }

    #[test]
    fn a_code_hash_depends_on_everything_the_code_is_bound_to() {
        let phone: Phone = "13900000000".parse().unwrap();
        let other: Phone = "13900000001".parse().unwrap();
        let base = keys().code_hash("login", "c1", &phone, "012345");
        assert_eq!(base, keys().code_hash("login", "c1", &phone, "012345"));
        assert_ne!(base, keys().code_hash("bind_phone", "c1", &phone, "012345"));
        assert_ne!(base, keys().code_hash("login", "c2", &phone, "012345"));
        assert_ne!(base, keys().code_hash("login", "c1", &other, "012345"));
        assert_ne!(base, keys().code_hash("login", "c1", &phone, "012346"));
        assert_ne!(base, AccountKeys::derive(&[8; 32]).unwrap().code_hash("login", "c1", &phone, "012345"));
    }

    #[test]
    fn parts_cannot_be_shifted_into_one_another() {
        assert_ne!(keyed_hash(b"k", &[b"ab", b"c"]), keyed_hash(b"k", &[b"a", b"bc"]));
    }

    #[test]
    fn indexes_are_32_hex_digits_without_the_value() {
        let index = keys().phone_index(&"13900000000".parse().unwrap());
        assert_eq!(index.len(), 32);
        assert!(index.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_ne!(index, keys().index_of("device", "+8613900000000"));
    }
}
