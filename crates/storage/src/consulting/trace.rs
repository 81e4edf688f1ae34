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
use crate::im::{conversation, message};
use crate::outbox::row as job;
use crate::store::SeaUnit;

#[async_trait]
impl TraceRepository for SeaUnit {
    async fn insert(&mut self, traces: &Traces) -> Result<(), StoreError> {
        let mut inserts = Inserts::new(self, traces.messages.len()).await?;
        let (conversations, messages) = placed(traces);
        inserts.add_placed::<conversation::Entity>(
            conversations.iter().map(conversation::row),
            conversation::Column::LastPosition,
        )?;
        inserts.add_placed::<message::Entity>(messages.into_iter().map(message::row), message::Column::Position)?;
        inserts.add::<conversation::member::Entity>(traces.members.iter().map(conversation::member_row), "")?;
        inserts.add::<event::Entity>(traces.events.iter().map(event::row), "")?;
        inserts.add::<notification::Entity>(traces.notifications.iter().map(notification::row), "")?;
        inserts.add::<job::Entity>(traces.jobs.iter().map(job::row), job::UNLESS_KNOWN)?;
        inserts.add::<audit::Entity>(traces.audits.iter().map(audit::row), "")?;
        inserts.run(self).await
    }
}

/// Counts the messages, which is where they go in the log of what is written here, and notes of each conversation which
/// was its last.
fn placed(traces: &Traces) -> (Vec<Conversation>, Vec<Message>) {
    let (mut conversations, mut messages) = (traces.conversations.clone(), traces.messages.clone());
    let mut newest: HashMap<ConversationId, i64> = HashMap::with_capacity(conversations.len());
    for (message, place) in messages.iter_mut().zip(1..) {
        message.position = place;
        newest.insert(message.conversation_id, place);
    }
    for conversation in &mut conversations {
        conversation.last_position = newest.get(&conversation.id).copied().unwrap_or_default();
    }
    (conversations, messages)
}
