//! The use cases of instant messaging.

mod context;
mod messages;

pub use context::ImContext;
pub use messages::{Ack, MessageQueue, Messages, SendRequest};
