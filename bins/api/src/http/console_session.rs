//! The session of the web console: in a cookie that no script can read and no other site can use.
//!
//! A cookie is sent by the browser whoever asked for the request. It counts only beside a header that a page of another
//! site cannot add without being allowed to, and on a WebSocket only from a page of this very host.

use account::staff::SignedInAgent;
use poem::http::HeaderMap;
use poem::http::header::{COOKIE, HOST, ORIGIN};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object};

use crate::http::auth::dto::AgentView;
use crate::http::values::{Id, Instant};

/// Name of the cookie.
pub const COOKIE_NAME: &str = "zhaoguan_console";
/// The header without which the cookie says nothing; its value does not matter.
pub const PROOF_HEADER: &str = "x-console";

/// The session of the console, beside the cookie that carries it.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct ConsoleSessionView {
    /// Id of the session.
    pub session_id: Id,
    /// When the session ends unless it is used.
    pub expires_at: Instant,
    /// The member of staff.
    pub agent: AgentView,
}

/// The answer to a sign-in to the console.
#[derive(ApiResponse)]
pub enum ConsoleSignedIn {
    /// Created.
    #[oai(status = 201)]
    Created(
        Json<ConsoleSessionView>,
        /// The cookie `zhaoguan_console`.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

impl ConsoleSignedIn {
    /// Takes the token out of the answer and into a cookie.
    pub fn of(signed_in: SignedInAgent, is_https: bool) -> Self {
        let session = &signed_in.session.session;
        let view = ConsoleSessionView {
            session_id: session.id.into(),
            expires_at: Instant(session.expires_at),
            agent: signed_in.agent.into(),
        };
        Self::Created(Json(view), cookie(signed_in.session.token.reveal(), is_https))
    }
}

/// The answer to a sign-out from the console.
#[derive(ApiResponse)]
pub enum ConsoleSignedOut {
    /// Done.
    #[oai(status = 204)]
    Done(
        /// The cookie `zhaoguan_console`, taken back.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

impl ConsoleSignedOut {
    pub fn new(is_https: bool) -> Self {
        Self::Done(format!("{}; Max-Age=0", cookie("", is_https)))
    }
}

fn cookie(token: &str, is_https: bool) -> String {
    let secure = if is_https { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={token}; Path=/; HttpOnly; SameSite=Strict{secure}")
}

/// The token of a request that the console itself made.
pub fn token(headers: &HeaderMap) -> Option<&str> {
    headers.contains_key(PROOF_HEADER).then(|| from_cookies(headers))?
}

/// The token of a WebSocket that a page of this host opens.
pub fn socket_token(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let origin = headers.get(ORIGIN)?.to_str().ok()?;
    let (_scheme, authority) = origin.split_once("://")?;
    authority.eq_ignore_ascii_case(host).then(|| from_cookies(headers))?
}

fn from_cookies(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, token)| token).filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[rstest]
    #[case::beside_the_header(&[("cookie", "a=1; zhaoguan_console=t"), ("x-console", "1")], Some("t"))]
    #[case::without_it(&[("cookie", "zhaoguan_console=t")], None)]
    #[case::another_cookie(&[("cookie", "zhaoguan_console2=t"), ("x-console", "1")], None)]
    #[case::taken_back(&[("cookie", "zhaoguan_console="), ("x-console", "1")], None)]
    #[case::no_cookie(&[("x-console", "1")], None)]
    fn the_cookie_counts_only_beside_its_header(
        #[case] sent: &[(&'static str, &'static str)],
        #[case] token_found: Option<&str>,
    ) {
        assert_eq!(token(&headers(sent)), token_found);
    }

    #[rstest]
    #[case::own_page("http://desk.example:3000", Some("t"))]
    #[case::another_site("http://evil.example", None)]
    #[case::another_port("http://desk.example:3001", None)]
    #[case::a_longer_name("http://desk.example:3000.evil.example", None)]
    #[case::hidden("null", None)]
    fn a_socket_takes_the_cookie_from_an_own_page_only(
        #[case] origin: &'static str,
        #[case] token_found: Option<&str>,
    ) {
        let cookie = ("cookie", "zhaoguan_console=t");
        let sent = headers(&[cookie, ("host", "desk.example:3000"), ("origin", origin)]);
        assert_eq!(socket_token(&sent), token_found);
    }

    #[test]
    fn no_script_can_read_the_cookie_and_no_other_site_can_use_it() {
        assert_eq!(cookie("t", true), "zhaoguan_console=t; Path=/; HttpOnly; SameSite=Strict; Secure");
        assert!(!cookie("t", false).contains("Secure"));
    }
}
