//! The desk on the wire.

pub mod agents;
pub mod canned;
pub mod chats;
pub mod reports;
