//! The port to the platform: one HTTP exchange, told apart by what a failure means for the effect.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

/// Method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

/// A request below the base address. `Debug` shows method and path only: query and body hold secrets.
#[derive(Clone)]
pub struct WireRequest {
    pub method: Method,
    pub path: &'static str,
    pub query: Vec<(&'static str, String)>,
    /// JSON, raw UTF-8.
    pub body: Option<Vec<u8>>,
    pub timeout: Duration,
}

impl fmt::Debug for WireRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.method, self.path)
    }
}

/// An answer, whole. `Debug` shows status and size only.
#[derive(Clone, PartialEq, Eq)]
pub struct WireResponse {
    pub status: u16,
    pub body: Vec<u8>,
}

impl fmt::Debug for WireResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} bytes", self.status, self.body.len())
    }
}

/// There is no whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// No byte of the request was written: nothing can have happened.
    #[error("the platform could not be reached")]
    NotSent,
    /// The request may have had its effect: timeout, reset or a broken answer.
    #[error("the platform did not answer in time")]
    Ambiguous,
}

/// Speaks HTTP with the platform.
#[async_trait]
pub trait Wire: Send + Sync {
    /// # Errors
    /// [`WireError`], which tells whether the request may have had its effect.
    async fn exchange(&self, request: WireRequest) -> Result<WireResponse, WireError>;
}
