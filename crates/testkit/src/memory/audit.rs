//! The audit log in memory.

use async_trait::async_trait;
use domain::StoreError;
use domain::audit::{AuditEvent, AuditFilter, AuditRecord, AuditRepository};
use domain::page::{Cursor, Page, PageRequest};

use super::MemoryUnit;
use super::tables::{insert_new, newest_first};

fn record(event: &AuditEvent) -> AuditRecord {
    AuditRecord {
        id: event.id,
        actor: event.actor.clone(),
        action: event.action.to_owned(),
        subject: event.subject.clone(),
        detail: event.detail.clone(),
        at: event.at,
    }
}

#[async_trait]
impl AuditRepository for MemoryUnit {
    async fn append_all(&mut self, events: &[AuditEvent]) -> Result<(), StoreError> {
        self.write(|tables| {
            events.iter().try_for_each(|e| insert_new(&mut tables.audit, e.id, record(e), "audit_event_pkey"))
        })
    }

    async fn list(&mut self, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditRecord>, StoreError> {
        let tables = self.tables()?;
        let allows = |wanted: &Option<String>, value: &str| wanted.as_deref().is_none_or(|w| w == value);
        let is_match = |r: &&AuditRecord| {
            allows(&filter.actor, &r.actor) && allows(&filter.action, &r.action) && allows(&filter.subject, &r.subject)
        };
        let cursor_of = |r: &AuditRecord| Cursor { at: r.at, id: r.id.0 };
        Ok(newest_first(tables.audit.values().filter(is_match), page, cursor_of))
    }
}
