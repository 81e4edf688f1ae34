//! What is passed on without being stored: who writes, who looks, what has arrived.

use domain::id::ConversationId;
use serde::{Deserialize, Serialize};

use crate::protocol::{ReceiptFrame, ServerFrame, TypingFrame, ViewingFrame};

/// Something about a member that the other members may learn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ephemeral {
    pub conversation_id: ConversationId,
    /// The client ids of the person it is about, one of which must be a member.
    pub client_ids: Vec<String>,
    #[serde(flatten)]
    pub kind: EphemeralKind,
}

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum EphemeralKind {
    Typing,
    Delivered { seq: i64 },
    Viewing { viewing: bool },
}

impl Ephemeral {
    /// The frame for the others, of the member with this client id.
    pub(super) fn frame(&self, client_id: &str) -> ServerFrame {
        let (conversation_id, client_id) = (self.conversation_id, client_id.to_owned());
        match self.kind {
            EphemeralKind::Typing => ServerFrame::Typing(TypingFrame { conversation_id, client_id }),
            EphemeralKind::Delivered { seq } => {
                ServerFrame::Receipt(ReceiptFrame { conversation_id, client_id, delivered_seq: seq })
            }
            EphemeralKind::Viewing { viewing } => {
                ServerFrame::Presence(ViewingFrame { conversation_id, client_id, viewing })
            }
        }
    }
}
