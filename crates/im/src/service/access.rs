//! Who may read a conversation: its members, and trusted callers whose look is audited.

use domain::Actor;
use domain::actor::AccessError;
use domain::id::ConversationId;
use serde_json::json;

use super::context::{ImContext, Seat, seat};
use crate::conversation::{Conversation, Member};
use crate::error::ImError;
use crate::unit::ImUnit;

/// As whom somebody reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reader {
    /// Reads the conversations one of these clients is in.
    Member(Vec<String>),
    /// Reads any, and leaves a trace.
    Overseer,
}

/// A conversation that somebody may read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Readable {
    pub(super) conversation: Conversation,
    pub(super) members: Vec<Member>,
    /// The reader, unless it is an overseer.
    pub(super) own: Option<Member>,
}

impl Reader {
    /// # Errors
    /// [`AccessError`] for callers who read no conversation, without telling whether there is one.
    pub(super) fn of(actor: &Actor) -> Result<Self, AccessError> {
        if actor.is_trusted() {
            return Ok(Self::Overseer);
        }
        let ids = client_ids_of(actor);
        actor.require_visible(!ids.is_empty())?;
        Ok(Self::Member(ids))
    }

    /// Finds the conversation; another's does not exist for a member.
    ///
    /// # Errors
    /// [`ImError::ConversationNotFound`].
    pub(super) async fn find(&self, unit: &mut dyn ImUnit, id: ConversationId) -> Result<Readable, ImError> {
        match self {
            Self::Member(ids) => {
                let Seat { conversation, members, member } = seat(unit, ids, id).await?;
                Ok(Readable { conversation, members, own: Some(member) })
            }
            Self::Overseer => {
                let conversation = unit.conversations().find(id).await?.ok_or(ImError::ConversationNotFound)?;
                let members = unit.conversations().members(id).await?;
                Ok(Readable { conversation, members, own: None })
            }
        }
    }

    /// Keeps the look of somebody who is not in the conversation.
    ///
    /// # Errors
    /// [`ImError::Store`]: what cannot be audited is not answered.
    pub(super) async fn audit(
        &self,
        context: &ImContext,
        actor: &Actor,
        action: &'static str,
        id: ConversationId,
    ) -> Result<(), ImError> {
        if matches!(self, Self::Member(_)) {
            return Ok(());
        }
        let mut unit = context.store.begin().await?;
        let event = context.audit(actor, action, format!("conversation:{id}"), json!({}));
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        Ok(())
    }
}

/// The client ids a caller speaks as: a person may be a patient, a doctor, or both.
pub(super) fn client_ids_of(actor: &Actor) -> Vec<String> {
    if let Actor::Client(client) = actor {
        return client.ids.to_vec();
    }
    let patient = actor.patient().map(|id| id.to_string());
    patient.into_iter().chain(actor.doctor().map(|id| id.to_string())).collect()
}
