//! Where providers push receipts and replies: `/sms/receipts/{provider}/{secret}`.
//!
//! They have no signature, so the address is the secret. The push is stored and answered at once, as they wait 700 ms
//! at most; what it means is looked at afterwards. Aliyun tries the address with a GET when it is set.

use std::net::IpAddr;
use std::sync::Arc;

use domain::Coded;
use ipnet::IpNet;
use poem::endpoint::make;
use poem::http::{Method, StatusCode};
use poem::{Request, Response, Route};
use serde_json::json;
use sms::inbox::Inbox;
use sms::{ProviderName, SmsError};
use subtle::ConstantTimeEq;
use tracing::warn;

use crate::http::catalogue::code;
use crate::http::context::RequestContext;
use crate::http::problem::ApiError;

/// Largest push that is read. Providers send a hundred receipts at most; others may send thousands at once.
const MAX_PUSH_BYTES: usize = 4 * 1024 * 1024;

/// Who may push, and where it goes.
pub struct ReceiptGate {
    pub inbox: Inbox,
    pub secret: String,
    /// Networks that may push; all when empty.
    pub networks: Vec<IpNet>,
}

/// Adds the address.
pub fn add_to(router: Route, gate: ReceiptGate) -> Route {
    let gate = Arc::new(gate);
    let endpoint = make(move |request| {
        let gate = Arc::clone(&gate);
        async move { gate.take(request).await }
    });
    router.at("/sms/receipts/:provider/:secret", endpoint)
}

impl ReceiptGate {
    async fn take(&self, mut request: Request) -> poem::Result<Response> {
        let Some(provider) = self.provider(&request) else {
            return Err(ApiError::of(code::UNKNOWN_PATH).into());
        };
        if request.method() == Method::GET {
            return Ok(thanks(provider));
        }
        if request.method() != Method::POST {
            return Err(ApiError::of(code::METHOD_NOT_ALLOWED).into());
        }
        let body = request.take_body().into_bytes_limit(MAX_PUSH_BYTES).await?;
        match self.inbox.accept(provider, &body).await {
            Ok(()) => Ok(thanks(provider)),
            Err(error) => {
                warn!(sms.provider = provider.as_str(), code = error.code(), "a push of receipts was not stored");
                Err(match error {
                    SmsError::MalformedCallback => ApiError::of(code::MALFORMED_JSON).into(),
                    other => ApiError::from(other).into(),
                })
            }
        }
    }

    /// The provider of the address, if the secret and the sender are right.
    fn provider(&self, request: &Request) -> Option<ProviderName> {
        let (name, secret): (String, String) = request.path_params().ok()?;
        let is_secret = bool::from(secret.as_bytes().ct_eq(self.secret.as_bytes()));
        let address = request.data::<RequestContext>().and_then(|context| context.ip);
        let provider = ProviderName::parse(&name).filter(|name| *name != ProviderName::Log);
        provider.filter(|_| is_secret && self.admits(address))
    }

    fn admits(&self, address: Option<IpAddr>) -> bool {
        self.networks.is_empty() || address.is_some_and(|a| self.networks.iter().any(|net| net.contains(&a)))
    }
}

/// What each provider takes for "do not push this again".
fn thanks(provider: ProviderName) -> Response {
    let body = match provider {
        ProviderName::Aliyun => json!({ "code": 0, "msg": "received" }),
        ProviderName::Tencent => json!({ "result": 0, "errmsg": "OK" }),
        ProviderName::Webhook | ProviderName::Log => json!({ "result": "ok" }),
    };
    Response::builder().status(StatusCode::OK).content_type("application/json").body(body.to_string())
}
