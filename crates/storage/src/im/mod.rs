//! Conversations, members and messages.

pub(crate) mod conversation;
pub(crate) mod message;
