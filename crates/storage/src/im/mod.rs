//! Conversations, members, messages, the log and presence.

mod append;
pub(crate) mod conversation;
mod log;
mod message;
mod presence;
mod unit;
