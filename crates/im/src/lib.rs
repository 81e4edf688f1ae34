//! Instant messaging: conversations, messages in one order for everybody, and the log that every device follows.

pub mod content;
pub mod conversation;
pub mod desk;
pub mod error;
pub mod feed;
pub mod gate;
pub mod log;
pub mod message;
pub mod owner;
pub mod policy;
pub mod presence;
pub mod protocol;
pub mod service;
pub mod session;
pub mod unit;

pub use conversation::{Conversation, ConversationKind, ConversationRepository, Member, MemberKind};
pub use error::ImError;
pub use message::{Appended, Content, Message, MessageKind, MessageRepository, NewMessage, SystemNotice};
pub use unit::{ImStore, ImUnit};
