//! Traces in memory.

use async_trait::async_trait;
use consultation::consultation::ConsultationRepository;
use consultation::notification::NotificationRepository;
use consultation::trace::{TraceRepository, Traces};
use domain::StoreError;
use domain::audit::AuditRepository;
use domain::outbox::OutboxRepository;
use im::ConversationRepository;

use super::MemoryUnit;
use super::tables::insert_new;

#[async_trait]
impl TraceRepository for MemoryUnit {
    async fn insert(&mut self, traces: &Traces) -> Result<(), StoreError> {
        ConversationRepository::insert_all(self, &traces.conversations, &traces.members).await?;
        self.write(|tables| {
            let rows = &mut tables.messages;
            traces.messages.iter().try_for_each(|m| insert_new(rows, m.id, m.clone(), "message_pkey"))
        })?;
        self.append_events(&traces.events).await?;
        NotificationRepository::insert_all(self, &traces.notifications).await?;
        OutboxRepository::append_all(self, &traces.jobs).await?;
        AuditRepository::append_all(self, &traces.audits).await
    }
}
