//! Presence in memory.

use std::time::Duration;

use async_trait::async_trait;
use domain::id::ConversationId;
use domain::{StoreError, Timestamp};
use im::presence::{Presence, PresenceRepository};

use super::MemoryUnit;
use super::tables::Tables;

/// The sockets of nodes that are alive.
fn alive(tables: &Tables, now: Timestamp) -> impl Iterator<Item = &Presence> {
    tables.presence.values().filter(move |p| tables.nodes.get(&p.node).is_some_and(|until| *until >= now))
}

#[async_trait]
impl PresenceRepository for MemoryUnit {
    async fn renew(&mut self, node: &str, now: Timestamp, lease: Duration) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.nodes.insert(node.to_owned(), now + lease);
            let nodes = &mut tables.nodes;
            tables.presence.retain(|_, p| nodes.get(&p.node).is_none_or(|until| *until >= now));
            nodes.retain(|_, until| *until >= now);
            Ok(())
        })
    }

    async fn put(&mut self, sockets: &[Presence]) -> Result<(), StoreError> {
        self.write(|tables| {
            for socket in sockets {
                let key = (socket.node.clone(), socket.socket, socket.client_id.clone());
                tables.presence.insert(key, socket.clone());
            }
            Ok(())
        })
    }

    async fn remove(&mut self, node: &str, sockets: &[u64]) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.presence.retain(|_, p| p.node != node || !sockets.contains(&p.socket));
            Ok(())
        })
    }

    async fn remove_node(&mut self, node: &str) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.presence.retain(|_, p| p.node != node);
            tables.nodes.remove(node);
            Ok(())
        })
    }

    async fn is_viewing(
        &mut self,
        client_id: &str,
        conversation: ConversationId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let tables = self.tables()?;
        Ok(alive(&tables, now).any(|p| p.client_id == client_id && p.viewing == Some(conversation)))
    }

    async fn connected(&mut self, client_ids: &[String], now: Timestamp) -> Result<Vec<String>, StoreError> {
        let tables = self.tables()?;
        let mut connected: Vec<_> = alive(&tables, now).map(|p| p.client_id.clone()).collect();
        connected.retain(|client| client_ids.contains(client));
        connected.sort_unstable();
        connected.dedup();
        Ok(connected)
    }
}
