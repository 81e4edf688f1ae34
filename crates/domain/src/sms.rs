//! The port through which short messages leave, and what it may carry.

use async_trait::async_trait;

use crate::Phone;

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
}
