//! Calls with a token: a refused token is reported once, and the call tried once more with another.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use serde_json::{Map, Value};

use crate::app::App;
use crate::errcode::Class;
use crate::reply::{CallError, Picture, read_json, read_picture};
use crate::token::Tokens;
use crate::wire::{Method, Wire, WireRequest, WireResponse};

/// Longest wait for an ordinary answer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether a call may be made again when nobody knows whether it had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    Safe,
    Never,
}

/// One call of the platform's interface.
pub struct Call {
    /// For metrics.
    pub name: &'static str,
    pub method: Method,
    pub path: &'static str,
    pub query: Vec<(&'static str, String)>,
    pub body: Option<Value>,
    pub timeout: Duration,
    pub repeat: Repeat,
}

impl Call {
    pub fn get(name: &'static str, path: &'static str) -> Self {
        let (query, body) = (Vec::new(), None);
        Self { name, method: Method::Get, path, query, body, timeout: CALL_TIMEOUT, repeat: Repeat::Safe }
    }

    pub fn post(name: &'static str, path: &'static str, body: Value) -> Self {
        let (query, body) = (Vec::new(), Some(body));
        Self { name, method: Method::Post, path, query, body, timeout: CALL_TIMEOUT, repeat: Repeat::Never }
    }

    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeat = Repeat::Safe;
        self
    }

    #[must_use]
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn request(&self, token: Option<&str>) -> WireRequest {
        // In the query only: some interfaces refuse a token in the body.
        let token = token.map(|token| ("access_token", token.to_owned()));
        WireRequest {
            method: self.method,
            path: self.path,
            query: token.into_iter().chain(self.query.iter().cloned()).collect(),
            body: self.body.as_ref().map(|body| body.to_string().into_bytes()),
            timeout: self.timeout,
        }
    }
}

/// Calls the platform for any app.
#[derive(Clone)]
pub struct Client {
    wire: Arc<dyn Wire>,
    tokens: Arc<Tokens>,
}

impl Client {
    pub fn new(wire: Arc<dyn Wire>, tokens: Arc<Tokens>) -> Self {
        Self { wire, tokens }
    }

    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// A call that answers JSON.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn json(&self, app: &App, call: &Call) -> Result<Map<String, Value>, CallError> {
        self.with_token(app, call, |response, secrets| read_json(&response, secrets)).await
    }

    /// A call that answers a picture.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn picture(&self, app: &App, call: &Call) -> Result<Picture, CallError> {
        self.with_token(app, call, read_picture).await
    }

    /// A call that proves itself by the app's secret instead of a token.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn without_token(&self, app: &App, call: &Call) -> Result<Map<String, Value>, CallError> {
        let answered = self.exchange(call, None).await;
        let read = answered.and_then(|response| read_json(&response, &[app.secret.expose()]));
        count(app, call, &read);
        read
    }

    async fn with_token<T>(
        &self,
        app: &App,
        call: &Call,
        read: impl Fn(WireResponse, &[&str]) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let mut is_second = false;
        loop {
            let token = self.tokens.get(app).await?;
            let answered = self.exchange(call, Some(token.value.expose())).await;
            let secrets = [token.value.expose(), app.secret.expose()];
            let result = answered.and_then(|response| read(response, &secrets));
            count(app, call, &result);
            match result {
                Err(error) if error.class() == Some(Class::Token) => {
                    self.tokens.invalidate(app, token.version).await?;
                    if is_second {
                        return Err(error);
                    }
                    is_second = true;
                }
                other => return other,
            }
        }
    }

    /// One exchange, and a second one where that is harmless and the first did not come through.
    async fn exchange(&self, call: &Call, token: Option<&str>) -> Result<WireResponse, CallError> {
        match self.wire.exchange(call.request(token)).await {
            Err(_) if call.repeat == Repeat::Safe => Ok(self.wire.exchange(call.request(token)).await?),
            other => Ok(other?),
        }
    }
}

fn count<T>(app: &App, call: &Call, result: &Result<T, CallError>) {
    let outcome = result.as_ref().err().map_or("ok", CallError::outcome);
    counter!("wechat_calls_total", "app" => app.name.clone(), "call" => call.name, "outcome" => outcome).increment(1);
}
