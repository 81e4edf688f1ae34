//! Conversations, members and messages.

pub(crate) mod conversation;
mod message;
