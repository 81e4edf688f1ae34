//! Traces in memory.

use async_trait::async_trait;
use consultation::consultation::ConsultationRepository;
use consultation::notification::NotificationRepository;
use consultation::trace::{TraceRepository, Traces};
use domain::StoreError;
use domain::audit::AuditRepository;
use domain::outbox::OutboxRepository;
use im::{ConversationRepository, Message};

use super::MemoryUnit;
use super::tables::unique;

#[async_trait]
impl TraceRepository for MemoryUnit {
    async fn insert(&mut self, traces: &Traces) -> Result<(), StoreError> {
        ConversationRepository::insert_all(self, &traces.conversations, &traces.members).await?;
        self.write(|tables| {
            let is_there = |new: &Message| {
                tables.messages.values().any(|m| (m.conversation_id, m.seq) == (new.conversation_id, new.seq))
            };
            if traces.messages.iter().any(is_there) {
                return Err(unique("message_seq"));
            }
            for message in &traces.messages {
                tables.head += 1;
                let position = tables.head;
                tables.messages.insert(position, Message { position, ..message.clone() });
                if let Some(conversation) = tables.conversations.get_mut(&message.conversation_id) {
                    conversation.last_position = position;
                }
            }
            Ok(())
        })?;
        ConsultationRepository::append_events(self, &traces.events).await?;
        NotificationRepository::insert_all(self, &traces.notifications).await?;
        OutboxRepository::append_all(self, &traces.jobs).await?;
        AuditRepository::append_all(self, &traces.audits).await
    }
}
