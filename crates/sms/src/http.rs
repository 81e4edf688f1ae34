//! The small port over which the adapters speak HTTP, and its implementation with hyper and rustls.
//!
//! What matters about a failure is whether anything may have been sent: a message that was never submitted may be
//! submitted elsewhere, one that may have been must be looked for first.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, USER_AGENT};
use http::{Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;

/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A connection unused for longer may be about to be closed by the other side, and a message written to it then is
/// one whose fate is unknown.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// A POST. No `Debug`: the body may hold a code.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpCall {
    pub url: String,
    /// `Host` among them, as it was signed.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What came back. No `Debug`: the body may hold a code.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    pub status: u16,
    /// `x-acs-retry-after` or `retry-after`.
    pub retry_after: Option<String>,
    pub body: Vec<u8>,
}

/// No answer came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HttpFault {
    /// No connection: nothing was sent.
    #[error("the provider was not reached")]
    NotReached,
    /// The request may have arrived.
    #[error("the provider did not answer")]
    NoAnswer,
}

/// Sends requests.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait HttpPort: Send + Sync {
    /// # Errors
    /// [`HttpFault`]: whether anything may have been sent.
    async fn post(&self, call: HttpCall) -> Result<HttpAnswer, HttpFault>;
}

/// Where a provider is: scheme, host with its port, and a path prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    /// `https://host:port`.
    origin: String,
    /// As it goes into `Host`.
    pub host: String,
    /// At least `/`.
    pub path: String,
}

/// The address is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the address of a provider starts with https:// or http:// and names a host")]
pub struct MalformedUrl;

impl BaseUrl {
    /// # Errors
    /// [`MalformedUrl`].
    pub fn parse(text: &str) -> Result<Self, MalformedUrl> {
        let uri: Uri = text.parse().or(Err(MalformedUrl))?;
        let scheme = uri.scheme_str().filter(|s| matches!(*s, "http" | "https")).ok_or(MalformedUrl)?;
        let authority = uri.authority().map(http::uri::Authority::as_str).filter(|a| !a.contains('@'));
        let authority = authority.ok_or(MalformedUrl)?;
        // Clients leave a scheme's own port out of `Host`, and what is signed must be what is sent.
        let own_port = if scheme == "https" { ":443" } else { ":80" };
        let host = authority.strip_suffix(own_port).unwrap_or(authority).to_owned();
        Ok(Self { origin: format!("{scheme}://{authority}"), host, path: uri.path().to_owned() })
    }

    /// The whole address with a query, which may be empty.
    pub fn with_query(&self, query: &str) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{}{mark}{query}", self.origin, self.path)
    }

    /// The address of something below it.
    pub fn below(&self, name: &str) -> String {
        format!("{}{}/{name}", self.origin, self.path.trim_end_matches('/'))
    }
}

/// hyper with rustls and its `ring` provider, passed explicitly.
pub struct HyperHttp {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

impl HyperHttp {
    /// Trusts the machine's certificate authorities. `timeout` is for the whole exchange.
    ///
    /// # Errors
    /// When these cannot be read.
    pub fn new(timeout: Duration) -> io::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT.min(timeout)));
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self { client: Client::builder(TokioExecutor::new()).pool_idle_timeout(IDLE_TIMEOUT).build(https), timeout })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<HttpAnswer, HttpFault> {
        let sent = self.client.request(request).await;
        let response = sent.map_err(|e| if e.is_connect() { HttpFault::NotReached } else { HttpFault::NoAnswer })?;
        let (head, body) = response.into_parts();
        let header = |name| head.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let retry_after = header("x-acs-retry-after").or_else(|| header("retry-after"));
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.or(Err(HttpFault::NoAnswer))?;
        Ok(HttpAnswer { status: head.status.as_u16(), retry_after, body: body.to_bytes().to_vec() })
    }
}

#[async_trait]
impl HttpPort for HyperHttp {
    async fn post(&self, call: HttpCall) -> Result<HttpAnswer, HttpFault> {
        let is_empty = call.body.is_empty();
        let mut request =
            Request::post(&call.url).body(Full::new(Bytes::from(call.body))).or(Err(HttpFault::NotReached))?;
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("zhaoguan"));
        if is_empty {
            // Left out otherwise, and there are servers that wait for it.
            request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        for (name, value) in &call.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).or(Err(HttpFault::NotReached))?;
            let value = HeaderValue::from_str(value).or(Err(HttpFault::NotReached))?;
            request.headers_mut().insert(name, value);
        }
        // A connection that hangs before it stands counts as sent: the time-out cannot tell.
        tokio::time::timeout(self.timeout, self.exchange(request)).await.unwrap_or(Err(HttpFault::NoAnswer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_have_ports_and_prefixes() {
        let url = BaseUrl::parse("http://127.0.0.1:8080/fake/aliyun").unwrap();
        assert_eq!((url.host.as_str(), url.path.as_str()), ("127.0.0.1:8080", "/fake/aliyun"));
        assert_eq!(url.with_query("a=1"), "http://127.0.0.1:8080/fake/aliyun?a=1");
        assert_eq!(url.below("lookup"), "http://127.0.0.1:8080/fake/aliyun/lookup");
        let url = BaseUrl::parse("https://dysmsapi.aliyuncs.com").unwrap();
        assert_eq!(url.with_query(""), "https://dysmsapi.aliyuncs.com/");
        assert_eq!(url.below("lookup"), "https://dysmsapi.aliyuncs.com/lookup");
    }

    #[test]
    fn the_schemes_own_port_is_not_part_of_the_host() {
        assert_eq!(BaseUrl::parse("https://h:443/").unwrap().host, "h");
        assert_eq!(BaseUrl::parse("https://h:80/").unwrap().host, "h:80");
        assert_eq!(BaseUrl::parse("http://h:80").unwrap().host, "h");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in ["", "dysmsapi.aliyuncs.com", "ftp://h", "https://", "http://user@h/"] {
            assert_eq!(BaseUrl::parse(bad), Err(MalformedUrl), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_closed_port_is_not_reached() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let http = HyperHttp::new(Duration::from_secs(5)).unwrap();
        let call = HttpCall { url: format!("http://{address}/"), headers: Vec::new(), body: Vec::new() };
        assert_eq!(http.post(call).await.err(), Some(HttpFault::NotReached));
    }

    #[tokio::test]
    async fn a_request_without_a_body_says_so() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let http = HyperHttp::new(Duration::from_secs(5)).unwrap();
        let headers = vec![("host".to_owned(), address.to_string())];
        let call = HttpCall { url: format!("http://{address}/x?a=%2B"), headers, body: Vec::new() };
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                heard.push(stream.read_u8().await.unwrap());
            }
            // Chunked, without a content type, and the connection stays open.
            let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
            stream.write_all(answer).await.unwrap();
            (String::from_utf8(heard).unwrap(), stream)
        };
        let (answer, (heard, _open)) = tokio::join!(http.post(call), serve);
        assert_eq!(answer.ok().map(|a| a.body), Some(b"{}".to_vec()));
        assert!(heard.starts_with("POST /x?a=%2B HTTP/1.1\r\n"), "{heard}");
        for line in [format!("host: {address}"), "content-length: 0".to_owned()] {
            assert_eq!(heard.lines().filter(|l| *l == line).count(), 1, "{line} in {heard}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_breaks_off_may_have_carried_it() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let http = HyperHttp::new(Duration::from_secs(5)).unwrap();
        let call = HttpCall { url: format!("http://{address}/"), headers: Vec::new(), body: b"x".to_vec() };
        let cut = async {
            let (stream, _) = listener.accept().await.unwrap();
            stream.readable().await.unwrap();
        };
        let (answer, ()) = tokio::join!(http.post(call), cut);
        assert_eq!(answer.err(), Some(HttpFault::NoAnswer));
    }
}
