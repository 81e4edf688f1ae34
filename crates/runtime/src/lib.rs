//! What the binaries stand on: configuration, generated secrets, the clock, ids, randomness, background
//! tasks, batching, the log of messaging as it is passed on, logs and metrics, the file store, the development SMS
//! provider, a client for web addresses and the connection to WeChat.
//!
//! Nothing here knows HTTP routes or the database.

pub mod batcher;
pub mod blobs;
pub mod clock;
pub mod config;
pub mod error;
pub mod fanout;
pub mod gated_queue;
pub mod ids;
pub mod message_lanes;
pub mod ops;
pub mod random;
pub mod secrets;
pub mod sms_log;
pub mod tasks;
pub mod telemetry;
pub mod thumbnails;
pub mod web;
pub mod wechat_apps;
pub mod wechat_wire;

pub use batcher::{Answer, BatchError, BatchSettings, Batcher, HandInError, Told};
pub use blobs::OpendalBlobs;
pub use clock::SystemClock;
pub use config::{Config, ConfigSources, Profile, Secret};
pub use error::StartError;
pub use fanout::LiveLog;
pub use gated_queue::GatedQueue;
pub use ids::ObjectIds;
pub use message_lanes::MessageLanes;
pub use random::OsRandom;
pub use secrets::Credentials;
pub use sms_log::LogSms;
pub use tasks::Tasks;
pub use wechat_wire::HyperWire;
