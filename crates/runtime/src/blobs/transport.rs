//! How opendal speaks HTTP: hyper with rustls and its `ring` provider, passed explicitly.
//!
//! Not reqwest: its rustls feature without a fixed provider would make every plain client of the
//! workspace panic until some part installs one.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport};
use rustls::crypto::ring;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An upload of the largest file over a slow line still fits.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);

/// One pool of connections to an object store.
pub(super) struct HyperTransport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl HyperTransport {
    /// Trusts the machine's certificate authorities.
    pub(super) fn new() -> io::Result<Self> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let https = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self { client: Client::builder(TokioExecutor::new()).build(https) })
    }
}

impl HttpTransport for HyperTransport {
    /// Reads the whole answer before returning: files are small and wanted whole.
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let uri = request.uri().clone();
        let exchange = async {
            let response = self.client.request(request.map(|body| Full::new(body.to_bytes()))).await?;
            let (head, body) = response.into_parts();
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((head, body.collect().await?.to_bytes()))
        };
        let unreached = |cause: String| Error::new(ErrorKind::Unexpected, cause).set_temporary();
        let (head, bytes) = match tokio::time::timeout(REQUEST_TIMEOUT, exchange).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(unreached(format!("the object store was not reached: {error}"))),
            Err(_elapsed) => return Err(unreached("the object store did not answer in time".to_owned())),
        };
        let size = bytes.len() as u64;
        let body = HttpBody::new(stream::iter([Ok(Buffer::from(bytes))]), Some(size));
        let mut response = Response::from_parts(head, body);
        // opendal names the address in its errors.
        response.extensions_mut().insert(uri);
        Ok(response)
    }
}
