//! The port through which short messages leave, and what it may carry.

use async_trait::async_trait;

use crate::{Phone, Timestamp};

/// A short message: one logical template and its variables. No `Debug`: it may hold a code.
#[derive(Clone, PartialEq, Eq)]
pub struct SmsRequest {
    pub phone: Phone,
    /// Logical template name of the configuration, e.g. `login_code`.
    pub template: &'static str,
    /// Named variables, e.g. `code`, `minutes`.
    pub params: Vec<(&'static str, String)>,
    /// Own id of this message; the same key is never submitted twice.
    pub idempotency_key: String,
    /// What this message is one of: all of a thread say the same to the same person.
    pub thread: String,
    /// After this nobody has a use for it, so it is neither submitted nor kept readable any more.
    pub useful_until: Timestamp,
    /// Keyed hash of who asked for it, if it was asked for from outside.
    pub origin: Option<String>,
}

/// The same once more, because a person asked for it.
#[derive(Clone, PartialEq, Eq)]
pub struct SmsResend {
    /// [`SmsRequest::thread`] of what is sent again.
    pub thread: String,
    /// Own id of the new message.
    pub idempotency_key: String,
    pub origin: Option<String>,
}

/// The message was not accepted by any provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text message could not be sent; try again later")]
pub struct SmsNotSent;

/// Sends short messages.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SmsGateway: Send + Sync {
    /// Submits one message to a provider.
    ///
    /// # Errors
    /// [`SmsNotSent`] when no provider accepted it.
    async fn send(&self, message: SmsRequest) -> Result<(), SmsNotSent>;

    /// Submits what a thread said once more, to another provider than the last time if there is one.
    /// `false` when nothing of the thread is kept any more; then nothing was sent.
    ///
    /// # Errors
    /// [`SmsNotSent`] when no provider accepted it.
    async fn resend(&self, resend: SmsResend) -> Result<bool, SmsNotSent>;
}
