//! Signatures of logins and of changes to conversations: HMAC-SHA1 with the master key over colon-joined text.

use std::time::Duration;

use domain::Timestamp;
use domain::time::span;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// A signature is good for this long, either way: clocks differ.
pub const VALID_FOR: Duration = span::hours(6);

/// A signature as a client shows it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature<'a> {
    /// The signer's clock, in milliseconds (or seconds, which some servers use).
    pub timestamp: i64,
    pub nonce: &'a str,
    /// Lower-case hex.
    pub hex: &'a str,
}

/// What is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed<'a> {
    Login,
    /// A new conversation with these members.
    Start {
        members: &'a [String],
    },
    /// Members added to (`invite`) or removed from (`kick`) a conversation.
    Members {
        conversation: &'a str,
        members: &'a [String],
        action: &'a str,
    },
}

/// Signs for one application.
#[derive(Clone)]
pub struct Signer {
    pub app_id: String,
    pub master_key: String,
}

impl Signer {
    /// The signature, in lower-case hex.
    pub fn sign(&self, client: &str, signed: Signed<'_>, timestamp: i64, nonce: &str) -> String {
        hex::encode(self.mac(client, signed, timestamp, nonce).finalize().into_bytes())
    }

    /// Whether a signature is this application's and not too old.
    pub fn accepts(&self, client: &str, signed: Signed<'_>, shown: Signature<'_>, now: Timestamp) -> bool {
        let Ok(bytes) = hex::decode(shown.hex) else { return false };
        // Constant in time whatever is shown.
        let is_own = self.mac(client, signed, shown.timestamp, shown.nonce).verify_slice(&bytes).is_ok();
        let at = if shown.timestamp.abs() < 100_000_000_000 {
            shown.timestamp.saturating_mul(1000)
        } else {
            shown.timestamp
        };
        let age = now.as_millis().saturating_sub(at).unsigned_abs();
        is_own && u128::from(age) <= VALID_FOR.as_millis()
    }

    fn mac(&self, client: &str, signed: Signed<'_>, timestamp: i64, nonce: &str) -> Hmac<Sha1> {
        let sorted = |members: &[String]| {
            let mut members: Vec<&str> = members.iter().map(String::as_str).collect();
            members.sort_unstable();
            members.join(":")
        };
        let app = &self.app_id;
        let text = match signed {
            Signed::Login => format!("{app}:{client}::{timestamp}:{nonce}"),
            Signed::Start { members } => format!("{app}:{client}:{}:{timestamp}:{nonce}", sorted(members)),
            Signed::Members { conversation, members, action } => {
                format!("{app}:{client}:{conversation}:{}:{timestamp}:{nonce}:{action}", sorted(members))
            }
        };
        // A key of any length is taken.
        let mut mac = Hmac::<Sha1>::new_from_slice(self.master_key.as_bytes()).expect("HMAC takes keys of any length");
        mac.update(text.as_bytes());
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_323_045_678);
    const VECTOR: &str = "2a8fabfe3c851d0338652909d167492933459500";

    fn signer() -> Signer {
        Signer { app_id: "app".into(), master_key: "master".into() }
    }

    fn shown(hex: &str, timestamp: i64) -> Signature<'_> {
        Signature { timestamp, nonce: "n", hex }
    }

    #[test]
    fn a_login_is_signed_as_documented() {
        // HMAC-SHA1("master", "app:tom::1767323045678:n"), computed with openssl.
        let hex = signer().sign("tom", Signed::Login, NOW.as_millis(), "n");
        assert_eq!(hex, VECTOR);
        assert!(signer().accepts("tom", Signed::Login, shown(&hex, NOW.as_millis()), NOW));
    }

    #[test]
    fn a_signature_is_for_one_client_one_act_and_six_hours() {
        let at = NOW.as_millis();
        let hex = signer().sign("tom", Signed::Login, at, "n");
        assert!(!signer().accepts("jerry", Signed::Login, shown(&hex, at), NOW));
        assert!(!signer().accepts("tom", Signed::Login, shown(&hex, at + 1), NOW));
        assert!(!signer().accepts("tom", Signed::Login, Signature { nonce: "m", ..shown(&hex, at) }, NOW));
        assert!(!signer().accepts("tom", Signed::Start { members: &[] }, shown(&hex, at + 1), NOW));
        assert!(signer().accepts("tom", Signed::Login, shown(&hex, at), NOW + VALID_FOR));
        assert!(!signer().accepts("tom", Signed::Login, shown(&hex, at), NOW + VALID_FOR + Duration::from_millis(1)));
        for odd in ["", "zz", "00", "é"] {
            assert!(!signer().accepts("tom", Signed::Login, shown(odd, at), NOW));
        }
    }

    #[test]
    fn members_are_signed_in_order_whatever_order_they_come_in() {
        let (ab, ba) = (["a".to_owned(), "b".to_owned()], ["b".to_owned(), "a".to_owned()]);
        let of = |members| signer().sign("tom", Signed::Start { members }, 1, "n");
        assert_eq!(of(&ab), of(&ba));
        let invite = |action| signer().sign("tom", Signed::Members { conversation: "c", members: &ab, action }, 1, "n");
        assert_ne!(invite("invite"), invite("kick"));
    }

    #[test]
    fn signers_that_count_in_seconds_are_understood() {
        let at = NOW.as_millis() / 1000;
        let hex = signer().sign("tom", Signed::Login, at, "n");
        assert!(signer().accepts("tom", Signed::Login, shown(&hex, at), NOW));
    }
}
