//! What is known of a request before anybody looks at its credentials or body.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use domain::id::IdSource;
use ipnet::IpNet;
use poem::http::HeaderMap;
use poem::http::header::ACCEPT_LANGUAGE;

use crate::http::spec::Document;

/// Header that carries the request id, both ways.
pub const REQUEST_ID_HEADER: &str = "x-request-id";
/// Longest request id taken over from a client or proxy.
const MAX_REQUEST_ID_CHARS: usize = 64;
const MIN_REQUEST_ID_CHARS: usize = 8;

/// Names one request in answers and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// Takes over the client's id if it is sane (8 to 64 letters, digits, `-`, `_` or `.`), else makes one.
    pub fn accept(headers: &HeaderMap, ids: &dyn IdSource) -> Self {
        let sent = headers.get(REQUEST_ID_HEADER).and_then(|value| value.to_str().ok());
        match sent.filter(|text| is_sane(text)) {
            Some(text) => Self(text.into()),
            None => Self(ids.next().to_string().into()),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_sane(text: &str) -> bool {
    (MIN_REQUEST_ID_CHARS..=MAX_REQUEST_ID_CHARS).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Language of the titles of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    #[default]
    Chinese,
    English,
}

impl Language {
    /// English only where it is preferred to Chinese.
    pub fn of(headers: &HeaderMap) -> Self {
        let Some(accepted) = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()) else {
            return Self::default();
        };
        let weight =
            |wanted: &str| accepted.split(',').filter_map(|range| weight_of(range, wanted)).fold(0.0, f32::max);
        if weight("en") > weight("zh") { Self::English } else { Self::Chinese }
    }
}

/// Quality of one range of `Accept-Language` if it is about `wanted`.
fn weight_of(range: &str, wanted: &str) -> Option<f32> {
    let mut parts = range.split(';').map(str::trim);
    let primary = parts.next()?.split('-').next()?;
    if !primary.eq_ignore_ascii_case(wanted) {
        return None;
    }
    let quality = parts.find_map(|part| part.strip_prefix("q="));
    quality.map_or(Some(1.0), |text| text.parse().ok())
}

/// The client's address: the peer's, or, when that is a trusted proxy, the nearest address in
/// `X-Forwarded-For` that is not one.
pub fn client_ip(peer: Option<IpAddr>, headers: &HeaderMap, trusted: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |ip: &IpAddr| trusted.iter().any(|net| net.contains(ip));
    let peer = peer.map(|ip| ip.to_canonical())?;
    if !is_trusted(&peer) {
        return Some(peer);
    }
    let mut nearest = peer;
    for value in headers.get_all("x-forwarded-for").iter().rev() {
        for hop in value.to_str().unwrap_or_default().rsplit(',') {
            let Ok(ip) = hop.trim().parse::<IpAddr>() else { return Some(nearest) };
            nearest = ip.to_canonical();
            if !is_trusted(&nearest) {
                return Some(nearest);
            }
        }
    }
    Some(nearest)
}

/// Established once by [`crate::http::frame`] and kept beside the request.
#[derive(Debug, Clone)]
pub struct RequestContext {
    pub request_id: RequestId,
    pub language: Language,
    /// Unknown only where the peer has no address, e.g. on a Unix socket.
    pub ip: Option<IpAddr>,
    /// The published document, for saying what a refused request should have looked like.
    pub document: Arc<Document>,
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;
    use rstest::rstest;

    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_str(value).unwrap())])
    }

    #[rstest]
    #[case("", Language::Chinese)]
    #[case("*", Language::Chinese)]
    #[case("en", Language::English)]
    #[case("en-US,en;q=0.9", Language::English)]
    #[case("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese)]
    #[case("fr, EN;q=0.5", Language::English)]
    #[case("en;q=0.1,zh;q=0.2", Language::Chinese)]
    #[case("en;q=x", Language::Chinese)]
    fn english_only_where_preferred(#[case] accepted: &str, #[case] language: Language) {
        assert_eq!(Language::of(&headers("accept-language", accepted)), language);
    }

    #[rstest]
    #[case("203.0.113.9", "198.51.100.1", "203.0.113.9")]
    #[case("10.0.0.1", "198.51.100.1", "198.51.100.1")]
    #[case("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.0.0.2", "198.51.100.1")]
    #[case("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1")]
    #[case("10.0.0.1", "evil, 10.0.0.2", "10.0.0.2")]
    #[case("10.0.0.1", "", "10.0.0.1")]
    fn forwarded_addresses_count_only_behind_trusted_proxies(
        #[case] peer: &str,
        #[case] forwarded: &str,
        #[case] client: &str,
    ) {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        let found = client_ip(Some(peer.parse().unwrap()), &headers("x-forwarded-for", forwarded), &trusted);
        assert_eq!(found, Some(client.parse().unwrap()));
    }

    #[test]
    fn strange_request_ids_are_not_taken_over() {
        assert!(is_sane("req-12345.a_B"));
        for bad in ["", "short", "with space in it", "newline\\n12345", &"x".repeat(65)] {
            assert!(!is_sane(bad), "{bad}");
        }
    }
}
