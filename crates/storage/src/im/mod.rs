//! Conversations, members and messages.

mod conversation;
mod message;
