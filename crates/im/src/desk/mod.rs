//! The official assistant and the desk that answers for it.
//!
//! Patients and doctors talk to one assistant; agents sign in as themselves and act for it. Rules are pure functions
//! ([`chat`] is the state machine of one chat, [`assign`] chooses who serves whom); use cases are in [`service`];
//! ports are in [`ports`].

pub mod agent;
pub mod assign;
pub mod assistant;
pub mod canned;
pub mod chat;
pub mod entry;
pub mod episode;
pub mod error;
pub mod ports;
pub mod report;
pub mod service;

pub use agent::{DeskAgent, DeskStatus};
pub use assistant::Assistant;
pub use chat::{Chat, ChatStatus, Turn};
pub use error::DeskError;
pub use ports::{DeskStore, DeskUnit};
pub use service::Desk;
