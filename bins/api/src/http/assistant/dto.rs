//! The assistant on the wire.

use chrono_tz::Tz;
use domain::Timestamp;
use im::MemberKind;
use im::desk::Assistant;
use im::desk::service::{self, CustomerChat};
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object};

use crate::http::conversations::dto::ConversationView;
use crate::http::files::links::{FileRef, Links};
use crate::http::values::{Id, Instant};
use crate::http::words::ChatStatus;

/// As whom somebody talks to the assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum CustomerRole {
    Patient,
    Doctor,
}

impl CustomerRole {
    pub const fn member_kind(self) -> MemberKind {
        match self {
            Self::Patient => MemberKind::Patient,
            Self::Doctor => MemberKind::Doctor,
        }
    }
}

impl From<CustomerRole> for service::CustomerRole {
    fn from(role: CustomerRole) -> Self {
        match role {
            CustomerRole::Patient => Self::Patient,
            CustomerRole::Doctor => Self::Doctor,
        }
    }
}

/// The official assistant.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct AssistantView {
    /// Its id, which is its client id in conversations.
    pub object_id: Id,
    /// Name.
    pub name: String,
    /// Picture.
    pub icon: Option<FileRef>,
    /// What it says first.
    pub welcome_text: String,
    /// Whether it takes messages at all.
    pub is_enabled: bool,
    /// Whether this is within its hours.
    pub is_open: bool,
    /// When it opens next, while it is closed.
    pub next_open_at: Option<Instant>,
}

/// Opening the conversation.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct OpenAssistantRequest {
    /// As whom; needed only by somebody who is both patient and doctor.
    #[oai(rename = "as")]
    pub role: Option<CustomerRole>,
}

/// A rating.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateAssistantRequest {
    /// As whom; needed only by somebody who is both patient and doctor.
    #[oai(rename = "as")]
    pub role: Option<CustomerRole>,
    /// From 1, bad, to 5, very good.
    #[oai(validator(minimum(value = "1"), maximum(value = "5")))]
    pub score: u8,
    /// In words.
    #[oai(validator(max_length = 500))]
    pub comment: Option<String>,
}

/// The own chat with the assistant.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct CustomerChatView {
    /// The conversation.
    pub conversation_id: Id,
    /// Where it stands.
    pub status: ChatStatus,
    /// Place in the queue, from 1, while waiting.
    pub queue_position: Option<u64>,
    /// Who answers.
    pub agent_name: Option<String>,
    /// Whether the last service can be rated now.
    pub can_rate: bool,
    /// The rating given.
    pub rating: Option<u8>,
}

/// The conversation with the assistant.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct AssistantConversationView {
    /// The conversation.
    pub conversation: ConversationView,
    /// Where the chat in it stands.
    pub chat: CustomerChatView,
}

/// Answer of opening the conversation.
#[derive(ApiResponse)]
pub enum OpenedAnswer {
    /// It was there.
    #[oai(status = 200)]
    Known(Json<AssistantConversationView>),
    /// It is new.
    #[oai(status = 201)]
    Opened(Json<AssistantConversationView>),
}

impl OpenedAnswer {
    pub fn of(is_new: bool, conversation: ConversationView, chat: CustomerChatView) -> Self {
        let view = Json(AssistantConversationView { conversation, chat });
        if is_new { Self::Opened(view) } else { Self::Known(view) }
    }
}

impl AssistantView {
    pub fn of(assistant: &Assistant, now: Timestamp, home: Tz, links: Links<'_>) -> Self {
        let hours = assistant.hours(now, home);
        Self {
            object_id: assistant.id.into(),
            name: assistant.name.clone(),
            icon: assistant.icon.map(|icon| links.file(icon)),
            welcome_text: assistant.welcome_text.clone(),
            is_enabled: assistant.is_enabled,
            is_open: hours.is_open(),
            next_open_at: hours.next_open().map(Instant),
        }
    }
}

impl From<CustomerChat> for CustomerChatView {
    fn from(chat: CustomerChat) -> Self {
        Self {
            conversation_id: chat.conversation_id.into(),
            status: chat.status.into(),
            queue_position: chat.queue_position,
            agent_name: chat.agent_name,
            can_rate: chat.can_rate,
            rating: chat.rating,
        }
    }
}
