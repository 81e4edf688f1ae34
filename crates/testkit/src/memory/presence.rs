//! Presence in memory.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use domain::id::ConversationId;
use domain::{StoreError, Timestamp};
use im::Member;
use im::presence::{Attention, Presence, PresenceRepository};

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
            let is_late = |node: &str| tables.nodes.get(node).is_some_and(|until| *until < now);
            let left = tables.presence.values().filter(|p| is_late(&p.node)).filter_map(|p| p.viewing).collect();
            look_away(tables, &left);
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
            let left = tables.presence.values().filter(|p| p.node == node).filter_map(|p| p.viewing).collect();
            look_away(tables, &left);
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

    async fn attention(
        &mut self,
        seats: &[(ConversationId, String)],
        now: Timestamp,
    ) -> Result<Vec<Attention>, StoreError> {
        let mut found = Vec::with_capacity(seats.len());
        for (conversation, client_id) in seats {
            let is_viewing = self.is_viewing(client_id, *conversation, now).await?;
            let tables = self.tables()?;
            let member = tables.members.get(&(*conversation, client_id.clone()));
            let next = member.and_then(|member| {
                let is_next = |m: &&im::Message| m.conversation_id == *conversation && m.seq == member.read_seq + 1;
                tables.messages.values().find(is_next)
            });
            found.push(Attention { is_viewing, unread_since: next.map(|message| message.created_at) });
        }
        Ok(found)
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

/// Whether somebody is to be told of the next message of these conversations is decided anew.
fn look_away(tables: &mut Tables, left: &BTreeSet<ConversationId>) {
    let is_owned = |m: &&mut Member| left.contains(&m.conversation_id) && m.review_at.is_some();
    for member in tables.members.values_mut().filter(is_owned) {
        member.review_at = Some(Timestamp::EPOCH);
    }
}
