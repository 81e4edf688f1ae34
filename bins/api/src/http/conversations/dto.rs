//! Conversations and their members on the wire.

use im::Member;
use im::service::{ConversationEntry, ReadState};
use poem_openapi::Object;

use crate::http::files::links::Links;
use crate::http::messages::dto::MessageView;
use crate::http::values::{Id, Instant};
use crate::http::words::{ConversationKind, MemberKind};

/// A conversation as the caller sees it.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ConversationView {
    /// Id of the conversation.
    pub id: Id,
    /// What it is about.
    pub kind: ConversationKind,
    /// The consultation this is the dialog of.
    pub consultation_id: Option<Id>,
    /// Its name.
    pub name: Option<String>,
    /// `seq` of its newest message, 0 when there is none.
    pub last_seq: i64,
    /// How many messages the caller has not read, without own and recalled ones. Exact; 0 for those who only oversee.
    pub unread_count: i64,
    /// Everybody in it, with how far each has got.
    pub members: Vec<MemberView>,
    /// Its newest message.
    pub last_message: Option<MessageView>,
    /// When it began.
    pub created_at: Instant,
    /// When something was last written.
    pub updated_at: Instant,
}

/// Somebody in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct MemberView {
    /// The id of the patient or doctor, or another client's own.
    pub client_id: String,
    /// What kind of client it is.
    pub kind: MemberKind,
    /// Has read everything up to this `seq`.
    pub read_seq: i64,
    /// Has everything up to this `seq` on a device.
    pub delivered_seq: i64,
    /// When it came in.
    pub joined_at: Instant,
}

/// How far the caller has read.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct MarkReadRequest {
    /// Everything up to this message was read.
    #[oai(validator(minimum(value = "0")))]
    pub seq: i64,
}

/// Where the caller stands now.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct ReadView {
    /// Read up to this message: never less than before, and never beyond the newest.
    pub read_seq: i64,
    /// Messages that are left.
    pub unread_count: i64,
}

impl ConversationView {
    pub fn of(entry: ConversationEntry, links: Links<'_>) -> Self {
        let unread_count = entry.unread_count();
        let ConversationEntry { conversation, members, last_message, .. } = entry;
        Self {
            id: conversation.id.into(),
            kind: conversation.kind.into(),
            consultation_id: conversation.consultation_id.map(Id::from),
            name: conversation.name,
            last_seq: conversation.last_seq,
            unread_count,
            members: members.into_iter().map(MemberView::from).collect(),
            last_message: last_message.map(|message| MessageView::of(message, links)),
            created_at: Instant(conversation.created_at),
            updated_at: Instant(conversation.updated_at),
        }
    }
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self {
            client_id: member.client_id,
            kind: member.kind.into(),
            read_seq: member.read_seq,
            delivered_seq: member.delivered_seq,
            joined_at: Instant(member.joined_at),
        }
    }
}

impl From<ReadState> for ReadView {
    fn from(state: ReadState) -> Self {
        Self { read_seq: state.read_seq, unread_count: state.unread_count }
    }
}
