//! Messages that the platform pushes: proven, opened and read. Nothing here has an effect.

pub mod envelope;
mod event;
pub mod xml;

use std::time::Duration;

use domain::Timestamp;
use serde_json::Value;

pub use event::{Incoming, MediaVerdict, PushKind, SentEntry, SubscribeEntry, Verdict};

use crate::app::{App, PushFormat, PushMode, PushSettings};
use crate::sign::is_push_signature;
use envelope::EnvelopeKey;

/// Largest pushed body that is looked at.
pub const MAX_PUSH_BYTES: usize = 64 * 1024;

/// The query of a push, as it came.
#[derive(Clone, Default)]
pub struct PushQuery {
    pub signature: Option<String>,
    pub msg_signature: Option<String>,
    pub timestamp: Option<String>,
    pub nonce: Option<String>,
    pub echostr: Option<String>,
}

/// Why a push is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PushRefusal {
    #[error("the signature is missing or wrong")]
    Signature,
    #[error("the timestamp is missing or too far from now")]
    Stale,
    #[error("the envelope does not open")]
    Envelope,
    #[error("the body is not as the platform writes it")]
    Malformed,
    #[error("the body is too large")]
    TooLarge,
}

impl PushRefusal {
    /// One word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Stale => "stale",
            Self::Envelope => "envelope",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
        }
    }
}

/// Checks the platform's first request; answers what has to be echoed.
///
/// # Errors
/// [`PushRefusal::Signature`].
pub fn handshake(settings: &PushSettings, query: &PushQuery) -> Result<String, PushRefusal> {
    prove(settings, query.signature.as_deref(), query, None)?;
    query.echostr.clone().ok_or(PushRefusal::Signature)
}

/// Proves, opens and reads a push; answers it with what was inside the envelope. The mode is the configured one, whatever the query says.
///
/// # Errors
/// [`PushRefusal`].
pub fn open(
    app: &App,
    settings: &PushSettings,
    query: &PushQuery,
    body: &[u8],
    now: Timestamp,
    window: Duration,
) -> Result<(Incoming, Value), PushRefusal> {
    if body.len() > MAX_PUSH_BYTES {
        return Err(PushRefusal::TooLarge);
    }
    let value = match settings.mode {
        PushMode::Plain => {
            prove(settings, query.signature.as_deref(), query, None)?;
            fresh(query, now, window)?;
            read(settings.format, body)?
        }
        // Only msg_signature proves the body; in compat mode the plain copy beside it proves nothing and is not read.
        PushMode::Compat | PushMode::Safe => {
            let outer = read(settings.format, body).or(Err(PushRefusal::Signature))?;
            let encrypted = outer.get("Encrypt").and_then(Value::as_str).ok_or(PushRefusal::Signature)?;
            prove(settings, query.msg_signature.as_deref(), query, Some(encrypted))?;
            fresh(query, now, window)?;
            let key = settings.aes_key.as_ref().and_then(|key| EnvelopeKey::parse(key.expose()));
            let opened = key.ok_or(PushRefusal::Envelope)?.open(encrypted, &app.appid);
            read(settings.format, &opened.or(Err(PushRefusal::Envelope))?)?
        }
    };
    let incoming = event::read(&value).ok_or(PushRefusal::Malformed)?;
    Ok((incoming, value))
}

/// Reads again what [`open`] opened.
pub fn reread(value: &Value) -> Option<Incoming> {
    event::read(value)
}

fn read(format: PushFormat, body: &[u8]) -> Result<Value, PushRefusal> {
    let value = match format {
        PushFormat::Xml => xml::parse(body).or(Err(PushRefusal::Malformed))?,
        PushFormat::Json => serde_json::from_slice(body).or(Err(PushRefusal::Malformed))?,
    };
    if value.is_object() { Ok(value) } else { Err(PushRefusal::Malformed) }
}

fn prove(
    settings: &PushSettings,
    sent: Option<&str>,
    query: &PushQuery,
    encrypted: Option<&str>,
) -> Result<(), PushRefusal> {
    let sent = sent.ok_or(PushRefusal::Signature)?;
    let timestamp = query.timestamp.as_deref().ok_or(PushRefusal::Signature)?;
    let nonce = query.nonce.as_deref().ok_or(PushRefusal::Signature)?;
    let mut parts = vec![settings.token.expose(), timestamp, nonce];
    parts.extend(encrypted);
    if is_push_signature(sent, &parts) { Ok(()) } else { Err(PushRefusal::Signature) }
}

fn fresh(query: &PushQuery, now: Timestamp, window: Duration) -> Result<(), PushRefusal> {
    let seconds: Option<i64> = query.timestamp.as_deref().and_then(|text| text.parse().ok());
    let millis = seconds.and_then(|seconds| seconds.checked_mul(1_000)).ok_or(PushRefusal::Stale)?;
    let apart = Duration::from_millis(now.as_millis().abs_diff(millis));
    if apart <= window { Ok(()) } else { Err(PushRefusal::Stale) }
}

#[cfg(test)]
mod tests;
