//! What new consultations leave behind, in one step.

use ::consultation::trace::{TraceRepository, Traces};
use async_trait::async_trait;
use domain::StoreError;

use super::{event, notification};
use crate::audit;
use crate::bulk::Inserts;
use crate::im::{conversation, message};
use crate::outbox::row as job;
use crate::store::SeaUnit;

#[async_trait]
impl TraceRepository for SeaUnit {
    async fn insert(&mut self, traces: &Traces) -> Result<(), StoreError> {
        let mut inserts = Inserts::new(self.backend);
        inserts.add::<conversation::Entity>(traces.conversations.iter().map(conversation::row), "")?;
        inserts.add::<conversation::member::Entity>(traces.members.iter().map(conversation::member_row), "")?;
        inserts.add::<message::Entity>(traces.messages.iter().cloned().map(message::row), "")?;
        inserts.add::<event::Entity>(traces.events.iter().map(event::row), "")?;
        inserts.add::<notification::Entity>(traces.notifications.iter().map(notification::row), "")?;
        inserts.add::<job::Entity>(traces.jobs.iter().map(job::row), job::UNLESS_KNOWN)?;
        inserts.add::<audit::Entity>(traces.audits.iter().map(audit::row), "")?;
        inserts.run(self).await
    }
}
