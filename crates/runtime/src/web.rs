//! Getting things from web addresses: hyper with rustls and its `ring` provider, like every other connection here.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{LOCATION, RETRY_AFTER, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(30);
/// Addresses followed from one to the next.
const MAX_HOPS: usize = 5;

/// An answer.
#[derive(Debug, Clone)]
pub struct WebAnswer {
    pub status: u16,
    pub retry_after: Option<Duration>,
    pub body: Bytes,
}

/// There was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WebError {
    #[error("the address cannot be read")]
    BadAddress,
    #[error("nobody answered")]
    Unreachable,
    #[error("the answer is too large")]
    TooLarge,
}

/// Gets things.
pub struct WebClient {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl WebClient {
    /// Trusts the machine's certificate authorities.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn new() -> io::Result<Self> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        http.set_nodelay(true);
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client =
            Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build(https);
        Ok(Self { client })
    }

    /// Gets an address, of at most so many bytes and within so much time. Redirections are not followed: headers may
    /// hold credentials.
    ///
    /// # Errors
    /// [`WebError`]; an answer that says no is an answer.
    pub async fn get(
        &self,
        address: &str,
        headers: &[(&str, &str)],
        max_bytes: usize,
        within: Duration,
    ) -> Result<WebAnswer, WebError> {
        Ok(self.exchange(address, headers, max_bytes, within).await?.0)
    }

    /// Gets an address without any headers, wherever it leads.
    ///
    /// # Errors
    /// [`WebError`].
    pub async fn follow(&self, address: &str, max_bytes: usize, within: Duration) -> Result<WebAnswer, WebError> {
        let mut address = address.to_owned();
        for _ in 0..MAX_HOPS {
            let (answer, location) = self.exchange(&address, &[], max_bytes, within).await?;
            match location.filter(|_| (300..400).contains(&answer.status)) {
                Some(location) if location.starts_with("http://") || location.starts_with("https://") => {
                    address = location;
                }
                _ => return Ok(answer),
            }
        }
        Err(WebError::BadAddress)
    }

    async fn exchange(
        &self,
        address: &str,
        headers: &[(&str, &str)],
        max_bytes: usize,
        within: Duration,
    ) -> Result<(WebAnswer, Option<String>), WebError> {
        let uri: Uri = address.parse().or(Err(WebError::BadAddress))?;
        let mut request = Request::get(uri).header(USER_AGENT, "zhaoguan");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Empty::new()).or(Err(WebError::BadAddress))?;
        let exchange = async {
            let response = self.client.request(request).await.or(Err(WebError::Unreachable))?;
            let text = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let (location, retry_after) = (text(LOCATION), text(RETRY_AFTER));
            let retry_after = retry_after.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), max_bytes).collect().await;
            let body = body.map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() { WebError::TooLarge } else { WebError::Unreachable }
            })?;
            Ok((WebAnswer { status, retry_after, body: body.to_bytes() }, location))
        };
        tokio::time::timeout(within, exchange).await.unwrap_or(Err(WebError::Unreachable))
    }
}

/// Appends a query, escaped.
pub fn with_query(address: &str, query: &[(&str, String)]) -> String {
    let mut whole = address.to_owned();
    for (index, (name, value)) in query.iter().enumerate() {
        whole.push(if index == 0 { '?' } else { '&' });
        whole.push_str(name);
        whole.push('=');
        push_encoded(&mut whole, value);
    }
    whole
}

/// Percent-encodes everything but the unreserved characters.
pub(crate) fn push_encoded(address: &mut String, value: &str) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            address.push(char::from(byte));
        } else {
            address.push('%');
            for digit in [byte >> 4, byte & 15] {
                address.extend(HEX.get(usize::from(digit)).map(|digit| char::from(*digit)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_escaped() {
        let query = [("where", "{\"a\":\"王\"}".to_owned()), ("limit", "1".to_owned())];
        let expected = "http://h/x?where=%7B%22a%22%3A%22%E7%8E%8B%22%7D&limit=1";
        assert_eq!(with_query("http://h/x", &query), expected);
    }

    #[tokio::test]
    async fn nobody_there_is_told() {
        let client = WebClient::new().unwrap();
        let answer = client.get("http://127.0.0.1:1/", &[], 10, Duration::from_secs(5)).await;
        assert_eq!(answer.unwrap_err(), WebError::Unreachable);
        let answer = client.get("not an address", &[], 10, Duration::from_secs(5)).await;
        assert_eq!(answer.unwrap_err(), WebError::BadAddress);
    }
}
