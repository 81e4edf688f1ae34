//! The log in memory.

use async_trait::async_trait;
use domain::StoreError;
use im::log::{LogEntry, LogEvent, LogHead, LogRepository, NewEvent};

use super::MemoryUnit;
use super::tables::Tables;

/// All entries, ascending.
fn entries(tables: &Tables) -> Vec<LogEntry> {
    let messages = tables.messages.values().cloned().map(LogEntry::Message);
    let mut all: Vec<_> = messages.chain(tables.log_events.values().cloned().map(LogEntry::Event)).collect();
    all.sort_unstable_by_key(LogEntry::position);
    all
}

/// Whether an entry is for one of these clients.
fn concerns(tables: &Tables, client_ids: &[String], entry: &LogEntry) -> bool {
    if let LogEntry::Event(LogEvent { client_id: Some(only), .. }) = entry {
        return client_ids.contains(only);
    }
    let is_in = |id| client_ids.iter().any(|client| tables.members.contains_key(&(id, client.clone())));
    entry.conversation_id().is_some_and(is_in)
}

#[async_trait]
impl LogRepository for MemoryUnit {
    async fn head(&mut self) -> Result<LogHead, StoreError> {
        let tables = self.tables()?;
        Ok(LogHead { position: tables.head, epoch: tables.epoch.clone() })
    }

    async fn append_events(&mut self, events: &[NewEvent]) -> Result<i64, StoreError> {
        self.write(|tables| {
            for new in events {
                tables.head += 1;
                let position = tables.head;
                let NewEvent { conversation_id, client_id, kind, payload, at } = new.clone();
                if let Some(conversation) = conversation_id.and_then(|id| tables.conversations.get_mut(&id)) {
                    conversation.last_position = position;
                }
                let event = LogEvent { position, conversation_id, client_id, kind, payload, at };
                tables.log_events.insert(position, event);
            }
            Ok(tables.head)
        })
    }

    async fn entries(&mut self, after: i64, until: i64, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        let all = entries(&*self.tables()?).into_iter();
        Ok(all.filter(|e| e.position() > after && e.position() <= until).take(limit as usize).collect())
    }

    async fn entries_of(&mut self, client_ids: &[String], after: i64, limit: u32) -> Result<Vec<LogEntry>, StoreError> {
        let tables = self.tables()?;
        let later = entries(&tables).into_iter().filter(|e| e.position() > after);
        Ok(later.filter(|e| concerns(&tables, client_ids, e)).take(limit as usize).collect())
    }

    async fn renew_epoch(&mut self, epoch: &str) -> Result<(), StoreError> {
        self.write(|tables| {
            epoch.clone_into(&mut tables.epoch);
            Ok(())
        })
    }
}
