//! One time somebody was served, from the first message to the close: what reports are made of.

use std::time::Duration;

use domain::Timestamp;
use domain::id::{AgentId, ConversationId, EpisodeId};

use super::chat::CloseReason;
use crate::conversation::MemberKind;

pub const MAX_COMMENT_CHARS: usize = 500;

/// An episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    pub id: EpisodeId,
    pub conversation_id: ConversationId,
    pub customer_kind: MemberKind,
    /// Counts the customer's episodes from 1.
    pub number: i64,
    pub opened_at: Timestamp,
    /// When an agent had it for the first time.
    pub assigned_at: Option<Timestamp>,
    pub first_reply_at: Option<Timestamp>,
    pub closed_at: Option<Timestamp>,
    pub close_reason: Option<CloseReason>,
    /// Who had it last.
    pub agent: Option<AgentId>,
    /// Answers of agents.
    pub reply_count: i64,
    /// 1 to 5.
    pub rating: Option<u8>,
    pub comment: Option<String>,
    pub rated_at: Option<Timestamp>,
}

impl Episode {
    pub fn new(id: EpisodeId, conversation_id: ConversationId, kind: MemberKind, number: i64, now: Timestamp) -> Self {
        Self {
            id,
            conversation_id,
            customer_kind: kind,
            number,
            opened_at: now,
            assigned_at: None,
            first_reply_at: None,
            closed_at: None,
            close_reason: None,
            agent: None,
            reply_count: 0,
            rating: None,
            comment: None,
            rated_at: None,
        }
    }

    /// From the first message to the first agent.
    pub fn wait(&self) -> Option<Duration> {
        self.assigned_at.map(|at| at.since(self.opened_at))
    }

    /// From the first message to the first answer.
    pub fn first_response(&self) -> Option<Duration> {
        self.first_reply_at.map(|at| at.since(self.opened_at))
    }

    /// From the first agent to the close.
    pub fn handling(&self) -> Option<Duration> {
        Some(self.closed_at?.since(self.assigned_at?))
    }
}
