//! What can stop a start. These errors reach the operator's terminal, never an API caller, so they carry
//! no public code.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::ConfigError;

/// Why the process cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Keys are unknown, badly written or missing; lists all that were found.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file of generated credentials cannot be read or written.
    #[error("the generated credentials in {path} (security.secrets_file) {problem}")]
    Secrets {
        path: PathBuf,
        problem: &'static str,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The place for uploaded files cannot be used.
    #[error("the file store of files.url {problem}")]
    Files {
        problem: &'static str,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The development SMS gateway was asked for where codes must not be shown.
    #[error("the SMS provider `log` (sms.providers) does not run in the production profile")]
    LogSmsInProduction,
    /// The address of `worker.listen` is taken or not this machine's.
    #[error("worker.listen: {address} cannot be listened at")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// The log or the metrics recorder was set up twice, or a library installed its own.
    #[error("{what} could not be set up")]
    Telemetry {
        what: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
