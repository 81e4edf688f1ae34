//! What the binaries stand on: configuration, generated secrets, the clock, ids, randomness, background
//! tasks, batching, logs and metrics, the file store and the development SMS gateway.
//!
//! Nothing here knows HTTP routes or the database.

pub mod batcher;
pub mod blobs;
pub mod clock;
pub mod config;
pub mod error;
pub mod ids;
pub mod random;
pub mod secrets;
pub mod sms_log;
pub mod tasks;
pub mod telemetry;
pub mod thumbnails;

pub use batcher::{BatchError, BatchSettings, Batcher};
pub use blobs::OpendalBlobs;
pub use clock::SystemClock;
pub use config::{Config, ConfigSources, Profile, Secret};
pub use error::StartError;
pub use ids::ObjectIds;
pub use random::OsRandom;
pub use secrets::Credentials;
pub use sms_log::LogSms;
pub use tasks::Tasks;
