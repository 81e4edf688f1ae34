//! Signatures: of pushed messages, and of a person's session.

use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Lower-case hex SHA-1 of the sorted parts, one after the other.
pub fn push_signature(parts: &[&str]) -> String {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable();
    hex::encode(Sha1::digest(sorted.concat()))
}

/// Whether `sent` is the signature of the parts, found out in constant time.
pub fn is_push_signature(sent: &str, parts: &[&str]) -> bool {
    bool::from(push_signature(parts).as_bytes().ct_eq(sent.as_bytes()))
}

/// Lower-case hex HMAC-SHA256 with the base64 text of the session key as the key; `body` is empty for GET.
///
/// # Panics
/// Never: HMAC takes keys of any length.
pub fn session_signature(session_key: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(session_key.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The platform's own examples.
    #[test]
    fn published_signatures_recompute() {
        let handshake = ["AAAAA", "1714036504", "1514711492"];
        assert_eq!(push_signature(&handshake), "f464b24fc39322e44b38aa78f5edd27bd1441696");
        let plain = ["AAAAA", "1714037059", "486452656"];
        assert_eq!(push_signature(&plain), "899cf89e464efb63f54ddac96b0a0a235f53aa78");
        let signed = session_signature("o0q0otL8aEzpcZL/FT9WsQ==", br#"{"foo":"bar"}"#);
        assert_eq!(signed, "654571f79995b2ce1e149e53c0a33dc39c0a74090db514261454e8dbe432aa0b");
    }

    #[test]
    fn a_signature_must_be_whole() {
        let parts = ["t", "1", "2"];
        let right = push_signature(&parts);
        assert!(is_push_signature(&right, &parts));
        for wrong in ["", &right[..39], &right.to_uppercase(), &format!("{right} ")] {
            assert!(!is_push_signature(wrong, &parts), "{wrong}");
        }
    }
}
