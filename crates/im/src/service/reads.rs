//! Saying how far one has read.

use domain::Actor;
use domain::id::ConversationId;
use domain::{FieldError, Timestamp};
use serde_json::json;

use super::context::{ImContext, Seat, client_ids, seat};
use crate::conversation::{Member, ReadMove};
use crate::error::ImError;
use crate::log::{EventKind, NewEvent};
use crate::unit::ImUnit;

/// Where a member stands after reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadState {
    pub read_seq: i64,
    pub unread_count: i64,
}

/// The use case of reading.
#[derive(Clone)]
pub struct Reads {
    context: ImContext,
}

impl Reads {
    pub const fn new(context: ImContext) -> Self {
        Self { context }
    }

    /// Moves the caller on to `seq`, never back and never beyond the newest message.
    ///
    /// # Errors
    /// [`ImError::ConversationNotFound`] for somebody who is not in it; [`ImError::Invalid`] naming `seq`.
    pub async fn read(&self, actor: &Actor, id: ConversationId, seq: i64) -> Result<ReadState, ImError> {
        let ids = client_ids(actor)?;
        if seq < 0 {
            return Err(FieldError::new("seq", "is a sequence number").into());
        }
        // Most reads are news, but a client that repeats itself costs no transaction.
        let Seat { conversation, member, .. } = seat(&mut *self.context.store.read(), &ids, id).await?;
        if seq <= member.read_seq {
            return Ok(state(&member, conversation.last_seq));
        }
        let mut unit = self.context.store.begin().await?;
        unit.conversations().find_locked(id).await?.ok_or(ImError::ConversationNotFound)?;
        let Seat { conversation, members, member } = seat(&mut *unit, &ids, id).await?;
        let to =
            ReadMove { conversation_id: id, client_id: member.client_id.clone(), seq: seq.min(conversation.last_seq) };
        let Some(moved) = unit.conversations().mark_read(&[to]).await?.pop() else {
            return Ok(state(&member, conversation.last_seq));
        };
        let now = self.context.clock.now();
        if members.iter().any(|m| m.review_at.is_some()) {
            review_unless_viewing(&mut *unit, &moved, now).await?;
        }
        let state = state(&moved, conversation.last_seq);
        unit.log().append_events(&[event(&moved, state, now)]).await?;
        unit.commit().await?;
        self.context.log.moved();
        Ok(state)
    }
}

/// What was read may not be told again: whether the next message is told is decided anew. Who has the conversation
/// open in front sees the next message anyway.
async fn review_unless_viewing(unit: &mut dyn ImUnit, reader: &Member, now: Timestamp) -> Result<(), ImError> {
    let id = reader.conversation_id;
    if !unit.presence().is_viewing(&reader.client_id, id, now).await? {
        unit.conversations().reset_review(&[id]).await?;
    }
    Ok(())
}

const fn state(member: &Member, last_seq: i64) -> ReadState {
    ReadState { read_seq: member.read_seq, unread_count: member.unread_count(last_seq) }
}

fn event(member: &Member, state: ReadState, at: Timestamp) -> NewEvent {
    let ReadState { read_seq, unread_count } = state;
    NewEvent {
        conversation_id: Some(member.conversation_id),
        client_id: None,
        kind: EventKind::Read,
        payload: json!({ "clientId": member.client_id, "seq": read_seq, "unreadCount": unread_count }),
        at,
    }
}
