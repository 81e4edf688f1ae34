//! The application's own credentials, as LeanCloud clients send them.

use domain::Actor;
use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use crate::AccountError;

/// Id, key and master key of the application. `Debug` shows only the id.
#[derive(Clone, PartialEq, Eq)]
pub struct AppCredentials {
    pub id: String,
    pub key: String,
    pub master_key: String,
}

impl std::fmt::Debug for AppCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AppCredentials").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The headers a request may carry: `X-LC-Id`, `X-LC-Key`, `X-LC-Sign`.
#[derive(Clone, Copy, Default)]
pub struct AppHeaders<'a> {
    pub id: Option<&'a str>,
    /// `key`, or `masterKey,master`.
    pub key: Option<&'a str>,
    /// `md5hex(ts‖key),ts`, or the same made with the master key and `,master` behind it.
    pub sign: Option<&'a str>,
}

/// Whose key was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppAccess {
    /// The application key, which every client holds.
    Client,
    /// The master key, which only servers hold.
    Master,
}

impl AppAccess {
    /// The caller these credentials stand for when there is no session.
    pub const fn actor(self) -> Actor {
        match self {
            Self::Client => Actor::App,
            Self::Master => Actor::Integrator,
        }
    }
}

/// Longest timestamp of a signature, in digits.
const MAX_TIMESTAMP_DIGITS: usize = 20;

impl AppCredentials {
    /// Checks the headers. Phones with wrong clocks exist and no freshness window is documented, so
    /// any timestamp is accepted; a signature is as long-lived as the key itself.
    ///
    /// # Errors
    /// [`AccountError::AppCredentials`] when id, key and signature are absent or wrong.
    pub fn check(&self, headers: AppHeaders<'_>) -> Result<AppAccess, AccountError> {
        let is_this_app = headers.id.is_some_and(|id| same(id, &self.id));
        let by_key = headers.key.and_then(|key| self.by_key(key));
        let access = by_key.or_else(|| headers.sign.and_then(|sign| self.by_sign(sign)));
        access.filter(|_| is_this_app).ok_or(AccountError::AppCredentials)
    }

    fn by_key(&self, header: &str) -> Option<AppAccess> {
        match header.trim().strip_suffix(",master") {
            Some(key) => same(key, &self.master_key).then_some(AppAccess::Master),
            None => same(header.trim(), &self.key).then_some(AppAccess::Client),
        }
    }

    fn by_sign(&self, header: &str) -> Option<AppAccess> {
        let (rest, key, access) = match header.trim().strip_suffix(",master") {
            Some(rest) => (rest, &self.master_key, AppAccess::Master),
            None => (header.trim(), &self.key, AppAccess::Client),
        };
        let (sign, ts) = rest.split_once(',')?;
        let is_timestamp = !ts.is_empty() && ts.len() <= MAX_TIMESTAMP_DIGITS && ts.bytes().all(|b| b.is_ascii_digit());
        if !is_timestamp || key.is_empty() {
            return None;
        }
        let expected = hex::encode(Md5::new().chain_update(ts).chain_update(key).finalize());
        same(sign, &expected).then_some(access)
    }
}

/// Compares in constant time; an unset (empty) credential matches nothing.
fn same(given: &str, expected: &str) -> bool {
    !expected.is_empty() && bool::from(given.as_bytes().ct_eq(expected.as_bytes()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn credentials() -> AppCredentials {
        AppCredentials {
            id: "app".into(),
            key: "UtOCzqb67d3sN12Kts4URwy8".into(),
            master_key: "DyJegPlemooo4X1tg94gQkw1".into(),
        }
    }

    fn by_sign(sign: &str) -> Option<AppAccess> {
        credentials().check(AppHeaders { id: Some("app"), sign: Some(sign), ..AppHeaders::default() }).ok()
    }

    fn by_key(key: &str) -> Option<AppAccess> {
        credentials().check(AppHeaders { id: Some("app"), key: Some(key), ..AppHeaders::default() }).ok()
    }

    #[test]
    fn the_documented_signatures_are_accepted() {
        assert_eq!(by_sign("d5bcbb897e19b2f6633c716dfdfaf9be,1453014943466"), Some(AppAccess::Client));
        assert_eq!(by_sign("e074720658078c898aa0d4b1b82bdf4b,1453014943466,master"), Some(AppAccess::Master));
    }

    #[rstest]
    #[case("d5bcbb897e19b2f6633c716dfdfaf9be,1453014943467")]
    #[case("d5bcbb897e19b2f6633c716dfdfaf9be,1453014943466,master")]
    #[case("e074720658078c898aa0d4b1b82bdf4b,1453014943466")]
    #[case("d5bcbb897e19b2f6633c716dfdfaf9be")]
    #[case("d5bcbb897e19b2f6633c716dfdfaf9be,")]
    #[case(",1453014943466")]
    #[case("")]
    fn any_other_signature_is_refused(#[case] sign: &str) {
        assert_eq!(by_sign(sign), None);
    }

    #[test]
    fn keys_are_told_apart_by_their_suffix() {
        assert_eq!(by_key("UtOCzqb67d3sN12Kts4URwy8"), Some(AppAccess::Client));
        assert_eq!(by_key("DyJegPlemooo4X1tg94gQkw1,master"), Some(AppAccess::Master));
        assert_eq!(by_key("DyJegPlemooo4X1tg94gQkw1"), None);
        assert_eq!(by_key("UtOCzqb67d3sN12Kts4URwy8,master"), None);
        assert_eq!(by_key(""), None);
    }

    #[test]
    fn the_application_id_must_match_as_well() {
        let headers = AppHeaders { id: Some("other"), key: Some("UtOCzqb67d3sN12Kts4URwy8"), sign: None };
        assert!(credentials().check(headers).is_err());
        assert!(credentials().check(AppHeaders { id: None, ..headers }).is_err());
    }

    #[test]
    fn a_right_signature_makes_up_for_a_wrong_key() {
        let sign = Some("d5bcbb897e19b2f6633c716dfdfaf9be,1453014943466");
        let headers = AppHeaders { id: Some("app"), key: Some("wrong"), sign };
        assert_eq!(credentials().check(headers).ok(), Some(AppAccess::Client));
    }

    #[test]
    fn unset_credentials_match_nothing() {
        let unset = AppCredentials { id: String::new(), key: String::new(), master_key: String::new() };
        for key in ["", ",master"] {
            assert!(unset.check(AppHeaders { id: Some(""), key: Some(key), sign: None }).is_err());
        }
        let md5_of_ts = "8f14e45fceea167a5a36dedd4bea2543,7";
        assert!(unset.check(AppHeaders { id: Some(""), key: None, sign: Some(md5_of_ts) }).is_err());
    }

    #[test]
    fn debug_does_not_show_the_keys() {
        let shown = format!("{:?}", credentials());
        assert!(!shown.contains("UtOC") && !shown.contains("DyJe"), "{shown}");
    }
}
