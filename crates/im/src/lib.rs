//! Instant messaging: conversations, their members and their messages.
//!
//! For now the rows that consultations need: a dialog with its two members, and system messages.

pub mod conversation;
pub mod message;

pub use conversation::{Conversation, ConversationKind, ConversationRepository, Member, MemberKind};
pub use message::{Message, NewSystemMessage, SystemNotice};
