//! Answers kept ready, on the wire.

use domain::id::FileId;
use im::desk::canned::{CannedReply, CannedReplyPatch};
use im::desk::service::NewCannedReply;
use poem_openapi::Object;
use poem_openapi::types::MaybeUndefined;

use crate::http::values::{Id, Instant, patch};
use crate::http::words::CannedScope;

/// An answer kept ready.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct CannedReplyView {
    /// Id of the answer.
    pub object_id: Id,
    /// What it is called.
    pub title: String,
    /// What can be typed for it.
    pub shortcut: Option<String>,
    /// What it says, with variables.
    pub text: String,
    /// What it says in the chat it was asked for.
    pub rendered: Option<String>,
    /// Files that go with it.
    pub file_ids: Vec<Id>,
    /// Who sees it.
    pub scope: CannedScope,
    /// The group that sees it.
    pub group: Option<String>,
    /// Who made it.
    pub owner_id: Id,
    /// The title in pinyin.
    pub pinyin: String,
    /// The first letters of the title in pinyin.
    pub initials: String,
    /// When it last changed.
    pub updated_at: Instant,
}

/// An answer to be kept ready.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateCannedReplyRequest {
    /// What it is called.
    #[oai(validator(min_length = 1, max_length = 60))]
    pub title: String,
    /// What can be typed for it.
    #[oai(validator(min_length = 1, max_length = 30))]
    pub shortcut: Option<String>,
    /// What it says.
    #[oai(validator(min_length = 1, max_length = 5000))]
    pub text: String,
    /// Files that go with it, uploaded by the staff.
    #[oai(validator(max_items = 9))]
    pub file_ids: Option<Vec<Id>>,
    /// Who sees it.
    pub scope: CannedScope,
    /// The group that sees it, of scope `group`.
    #[oai(validator(min_length = 1, max_length = 30))]
    pub group: Option<String>,
}

/// A change of an answer.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct CannedReplyChangePatch {
    /// What it is called.
    #[oai(validator(min_length = 1, max_length = 60))]
    pub title: Option<String>,
    /// What can be typed for it.
    #[oai(validator(max_length = 30))]
    pub shortcut: MaybeUndefined<String>,
    /// What it says.
    #[oai(validator(min_length = 1, max_length = 5000))]
    pub text: Option<String>,
    /// Files that go with it.
    #[oai(validator(max_items = 9))]
    pub file_ids: Option<Vec<Id>>,
}

fn files(ids: Vec<Id>) -> Vec<FileId> {
    ids.into_iter().map(|id| FileId(id.0)).collect()
}

impl CannedReplyView {
    pub fn of(reply: CannedReply, rendered: Option<String>) -> Self {
        Self {
            object_id: reply.id.into(),
            title: reply.title,
            shortcut: reply.shortcut,
            text: reply.text,
            rendered,
            file_ids: reply.files.into_iter().map(Id::from).collect(),
            scope: reply.scope.into(),
            group: reply.group,
            owner_id: reply.owner.into(),
            pinyin: reply.pinyin,
            initials: reply.initials,
            updated_at: Instant(reply.updated_at),
        }
    }
}

impl From<CreateCannedReplyRequest> for NewCannedReply {
    fn from(sent: CreateCannedReplyRequest) -> Self {
        Self {
            scope: sent.scope.into(),
            group: sent.group,
            title: sent.title,
            shortcut: sent.shortcut,
            text: sent.text,
            files: sent.file_ids.map(files).unwrap_or_default(),
        }
    }
}

impl From<CannedReplyChangePatch> for CannedReplyPatch {
    fn from(sent: CannedReplyChangePatch) -> Self {
        Self {
            title: sent.title,
            shortcut: patch(sent.shortcut, |v| v),
            text: sent.text,
            files: sent.file_ids.map(files),
        }
    }
}
