//! The connection to WeChat: hyper with rustls and its `ring` provider, like the one to object stores.

use std::error::Error;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::crypto::ring;
use wechat::wire::{self, Wire, WireError, WireRequest, WireResponse};

use crate::web::push_encoded;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Connections are not kept longer than the other side surely keeps them: a send on a closed one has no known outcome.
const IDLE: Duration = Duration::from_secs(10);
/// Largest answer: a picture code of full size is well below.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// One pool of connections to the platform.
pub struct HyperWire {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// In the order they are tried; the next only when one cannot be reached at all.
    base_urls: Vec<String>,
}

impl HyperWire {
    /// Trusts the machine's certificate authorities.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn new(base_url: &str, fallback_urls: &[String]) -> io::Result<Self> {
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
        let urls = std::iter::once(base_url).chain(fallback_urls.iter().map(String::as_str));
        let base_urls = urls.map(|url| url.trim_end_matches('/').to_owned()).collect();
        Ok(Self { client, base_urls })
    }

    async fn try_at(&self, base_url: &str, sent: &WireRequest) -> Result<WireResponse, WireError> {
        // An address that cannot be written down was not sent to.
        let request = request(base_url, sent).or(Err(WireError::NotSent))?;
        let exchange = async {
            let response = self.client.request(request).await.map_err(|error| outcome_of(&error))?;
            let status = response.status().as_u16();
            let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
            let body = body.or(Err(WireError::Ambiguous))?.to_bytes().to_vec();
            Ok(WireResponse { status, body })
        };
        tokio::time::timeout(sent.timeout, exchange).await.unwrap_or(Err(WireError::Ambiguous))
    }
}

#[async_trait]
impl Wire for HyperWire {
    async fn exchange(&self, request: WireRequest) -> Result<WireResponse, WireError> {
        let mut outcome = Err(WireError::NotSent);
        for base_url in &self.base_urls {
            outcome = self.try_at(base_url, &request).await;
            if outcome != Err(WireError::NotSent) {
                break;
            }
        }
        outcome
    }
}

/// Without a connection nothing was sent; after that nobody knows.
fn outcome_of(error: &(impl Error + IsConnect)) -> WireError {
    if error.is_connect_failure() { WireError::NotSent } else { WireError::Ambiguous }
}

/// Whether the connection itself failed.
trait IsConnect {
    fn is_connect_failure(&self) -> bool;
}

impl IsConnect for hyper_util::client::legacy::Error {
    fn is_connect_failure(&self) -> bool {
        self.is_connect()
    }
}

fn request(base_url: &str, sent: &WireRequest) -> http::Result<Request<Full<Bytes>>> {
    let mut address = format!("{base_url}{}", sent.path);
    for (index, (name, value)) in sent.query.iter().enumerate() {
        address.push(if index == 0 { '?' } else { '&' });
        address.push_str(name);
        address.push('=');
        push_encoded(&mut address, value);
    }
    let method = match sent.method {
        wire::Method::Get => Method::GET,
        wire::Method::Post => Method::POST,
    };
    let body = sent.body.clone().unwrap_or_default();
    let mut request = Request::builder().method(method).uri(address).header(USER_AGENT, "zhaoguan");
    if sent.body.is_some() {
        request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    }
    request.body(Full::new(Bytes::from(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(path: &'static str) -> WireRequest {
        WireRequest {
            method: wire::Method::Get,
            path,
            query: vec![("access_token", "a/b+c=".to_owned()), ("q", "王".to_owned())],
            body: None,
            timeout: Duration::from_secs(5),
        }
    }

    #[test]
    fn queries_are_encoded() {
        let request = request("http://127.0.0.1:1", &sent("/x")).unwrap();
        assert_eq!(request.uri().to_string(), "http://127.0.0.1:1/x?access_token=a%2Fb%2Bc%3D&q=%E7%8E%8B");
    }

    #[tokio::test]
    async fn a_refused_connection_is_not_sent_and_the_next_address_is_tried() {
        let free = || async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            format!("http://{}", listener.local_addr().unwrap())
        };
        let wire = HyperWire::new(&free().await, &[free().await]).unwrap();
        assert_eq!(wire.exchange(sent("/x")).await, Err(WireError::NotSent));
    }

    #[tokio::test]
    async fn a_connection_that_is_closed_has_no_known_outcome() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = HyperWire::new(&format!("http://{}", listener.local_addr().unwrap()), &[]).unwrap();
        let closing = async {
            let (stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 64];
            let _ = stream.readable().await;
            let _ = stream.try_read(&mut buffer);
        };
        let (outcome, ()) = tokio::join!(wire.exchange(sent("/x")), closing);
        assert_eq!(outcome, Err(WireError::Ambiguous));
    }
}
