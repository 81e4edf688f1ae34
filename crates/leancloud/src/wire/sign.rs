//! `X-LC-Sign`: a digest of the client's clock and a key, in place of the key itself.

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

/// Which of the application's keys was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    App,
    Master,
}

/// Checks `sign,ts` (application key) or `sign,ts,master` (master key), where
/// `sign = hex(MD5(ts ‖ key))`. The client's clock is not checked: phones with wrong clocks exist, and
/// LeanCloud applies no window either.
pub fn verify_sign(header: &str, app_key: &str, master_key: &str) -> Option<KeyKind> {
    let mut parts = header.split(',').map(str::trim);
    let (sign, at) = (parts.next()?, parts.next()?);
    let kind = match parts.next() {
        None => KeyKind::App,
        Some("master") => KeyKind::Master,
        Some(_) => return None,
    };
    let is_clock = !at.is_empty() && at.len() <= 20 && at.bytes().all(|b| b.is_ascii_digit());
    if parts.next().is_some() || !is_clock {
        return None;
    }
    let key = match kind {
        KeyKind::App => app_key,
        KeyKind::Master => master_key,
    };
    let expected = hex::encode(Md5::new().chain_update(at).chain_update(key).finalize());
    let is_right = expected.as_bytes().ct_eq(sign.to_ascii_lowercase().as_bytes());
    bool::from(is_right).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Vectors of LeanCloud's documentation.
    const APP_KEY: &str = "UtOCzqb67d3sN12Kts4URwy8";
    const MASTER_KEY: &str = "DyJegPlemooo4X1tg94gQkw1";

    fn verify(header: &str) -> Option<KeyKind> {
        verify_sign(header, APP_KEY, MASTER_KEY)
    }

    #[test]
    fn documented_vectors_pass() {
        assert_eq!(verify("d5bcbb897e19b2f6633c716dfdfaf9be,1453014943466"), Some(KeyKind::App));
        assert_eq!(verify("e074720658078c898aa0d4b1b82bdf4b,1453014943466,master"), Some(KeyKind::Master));
    }

    #[test]
    fn a_sign_proves_only_the_key_it_was_made_with() {
        assert_eq!(verify("d5bcbb897e19b2f6633c716dfdfaf9be,1453014943466,master"), None);
        assert_eq!(verify("e074720658078c898aa0d4b1b82bdf4b,1453014943466"), None);
        assert_eq!(verify("d5bcbb897e19b2f6633c716dfdfaf9be,1453014943467"), None);
    }

    #[test]
    fn malformed_headers_prove_nothing() {
        for header in ["", ",", "d5bcbb897e19b2f6633c716dfdfaf9be", "d5bcbb897e19b2f6633c716dfdfaf9be,", ",,master"] {
            assert_eq!(verify(header), None, "{header}");
        }
        assert_eq!(verify("d5bcbb897e19b2f6633c716dfdfaf9be,1453014943466,master,x"), None);
        assert_eq!(verify("d5bcbb897e19b2f6633c716dfdfaf9be,1453014943466,app"), None);
    }
}
