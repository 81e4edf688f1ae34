//! Messages to the platform: one outbox for subscribe messages, template messages and customer-service messages.
//!
//! A message is sent at most once. When nobody knows whether the platform took it, it is `unknown` and stays so until
//! the platform tells; it is not sent again. One lane per person carries one message at a time.

mod outcome;
mod sending;

use domain::{ObjectId, Timestamp};

pub use outcome::{Next, Settlement, settle};
pub use sending::{Messages, NewMessage, NotQueued, Progress, WECHAT_SEND};
pub(crate) use sending::{resolve, resolve_as};

use crate::errcode::Class;

/// Which interface a message leaves by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// A mini-program's subscribe message: one grant each, no key against duplicates.
    Subscribe,
    /// A service account's template message: with a key against duplicates.
    Template,
    /// A customer-service message, while the window is open.
    Custom,
}

impl MessageKind {
    pub const ALL: [Self; 3] = [Self::Subscribe, Self::Template, Self::Custom];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Template => "template",
            Self::Custom => "custom",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageState {
    Queued,
    Sending,
    /// The platform took it.
    Accepted,
    /// The platform, or a rule of ours, refused it.
    Refused,
    /// It may have been delivered; it is not sent again.
    Unknown,
    /// Its time was over before it could be sent.
    Expired,
}

impl MessageState {
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Sending, Self::Accepted, Self::Refused, Self::Unknown, Self::Expired];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Expired => "expired",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    pub const fn is_settled(self) -> bool {
        !matches!(self, Self::Queued | Self::Sending)
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub id: ObjectId,
    pub app: String,
    pub kind: MessageKind,
    pub openid: String,
    pub template_id: Option<String>,
    pub page: Option<String>,
    /// Filled fields of the template: neutral words.
    pub data: Vec<(String, String)>,
    /// Text of a customer-service message, sealed.
    pub sealed: Option<Vec<u8>>,
    /// The same key again is the same message.
    pub key: String,
    /// May be sent again when nobody knows whether it was.
    pub is_harmless_twice: bool,
    pub state: MessageState,
    /// A grant is set aside for it.
    pub holds_grant: bool,
    pub attempts: u32,
    pub msg_id: Option<String>,
    pub class: Option<Class>,
    pub code: Option<i64>,
    /// The platform's words, or the rule that was broken.
    pub reason: Option<String>,
    pub rid: Option<String>,
    pub not_before: Timestamp,
    pub expires_at: Timestamp,
    /// While `Sending`: when the sender is taken for dead.
    pub leased_until: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Which messages are asked for; unset fields do not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    pub app: Option<String>,
    pub state: Option<MessageState>,
}
