//! The use cases of instant messaging.

mod access;
mod context;
mod conversations;
mod history;
mod messages;
mod reads;
mod recalls;
mod search;
mod sync;

pub use context::{ImContext, client_ids, listener_ids};
pub use conversations::{ConversationEntry, Conversations};
pub use history::{History, MAX_PAGE, MessagePage};
pub(crate) use history::{check_limit, cut};
pub(crate) use messages::check_client_message_id;
pub use messages::{Ack, MAX_CLIENT_MESSAGE_ID_BYTES, MessageQueue, Messages, SendRequest, Told, lane_of};
pub use reads::{ReadState, Reads};
pub use recalls::Recalls;
pub use search::{Found, MAX_QUERY_CHARS, Search, SearchRequest};
pub use sync::{LogSync, SyncRequest, Synced};
