//! The desk: agents answering for the assistant.

pub mod acts;
pub mod agents;
pub mod canned;
pub mod chats;
pub mod dto;
pub mod reports;

/// All operations of the desk.
pub type DeskApis =
    (agents::DeskAgentsApi, chats::DeskChatsApi, acts::DeskActsApi, canned::CannedRepliesApi, reports::DeskReportsApi);

pub const fn apis() -> DeskApis {
    (agents::DeskAgentsApi, chats::DeskChatsApi, acts::DeskActsApi, canned::CannedRepliesApi, reports::DeskReportsApi)
}
