//! Conversations, members, messages, the log and presence.

mod append;
pub(crate) mod conversation;
pub(crate) mod log;
pub(crate) mod message;
mod presence;
mod unit;

pub(crate) use self::log::log_events;
pub(crate) use self::message::messages;
