//! What new consultations leave behind, in one step.

use std::collections::HashMap;

use ::consultation::trace::{TraceRepository, Traces};
use ::im::{Conversation, Message};
use async_trait::async_trait;
use domain::StoreError;
use domain::id::ConversationId;

use super::{event, notification};
use crate::audit;
use crate::bulk::Inserts;
use crate::im::{conversation, log, message};
use crate::outbox::row as job;
use crate::store::SeaUnit;

#[async_trait]
impl TraceRepository for SeaUnit {
    async fn insert(&mut self, traces: &Traces) -> Result<(), StoreError> {
        let mut inserts = Inserts::new(self.backend);
        let (conversations, messages) = in_the_log(self, traces).await?;
        inserts.add::<conversation::Entity>(conversations.iter().map(conversation::row), "")?;
        inserts.add::<conversation::member::Entity>(traces.members.iter().map(conversation::member_row), "")?;
        inserts.add::<message::Entity>(messages.into_iter().map(message::row), "")?;
        inserts.add::<event::Entity>(traces.events.iter().map(event::row), "")?;
        inserts.add::<notification::Entity>(traces.notifications.iter().map(notification::row), "")?;
        inserts.add::<job::Entity>(traces.jobs.iter().map(job::row), job::UNLESS_KNOWN)?;
        inserts.add::<audit::Entity>(traces.audits.iter().map(audit::row), "")?;
        inserts.run(self).await
    }
}

/// Gives the messages their places in the log, the last lock of the unit.
async fn in_the_log(unit: &SeaUnit, traces: &Traces) -> Result<(Vec<Conversation>, Vec<Message>), StoreError> {
    let (mut conversations, mut messages) = (traces.conversations.clone(), traces.messages.clone());
    if messages.is_empty() {
        return Ok((conversations, messages));
    }
    let count = i64::try_from(messages.len()).map_err(StoreError::backend)?;
    let first = log::advance(unit, count).await? - count + 1;
    let mut newest: HashMap<ConversationId, i64> = HashMap::with_capacity(conversations.len());
    for (message, position) in messages.iter_mut().zip(first..) {
        message.position = position;
        newest.insert(message.conversation_id, position);
    }
    for conversation in &mut conversations {
        conversation.last_position = newest.get(&conversation.id).copied().unwrap_or_default();
    }
    Ok((conversations, messages))
}
