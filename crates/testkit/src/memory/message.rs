//! Messages in memory.

use std::collections::BTreeSet;

use async_trait::async_trait;
use domain::id::{ConversationId, MessageId};
use domain::{StoreError, Timestamp};
use im::message::{HistoryPage, KnownMessage, MessageSearch};
use im::{Appended, Message, MessageKind, MessageRepository, NewMessage};

use super::MemoryUnit;
use super::tables::{Tables, holds, unique};

/// What becomes of a message, decided on the rows as they were before its batch.
fn fate(tables: &Tables, new: &NewMessage) -> Option<Appended> {
    if !tables.conversations.contains_key(&new.conversation_id) {
        return Some(Appended::NoConversation);
    }
    let sender = new.sender.as_ref()?;
    if let Some(known) = known(tables, new) {
        return Some(Appended::Known(known));
    }
    let Some(member) = tables.members.get(&(new.conversation_id, sender.clone())) else {
        return Some(Appended::NotMember);
    };
    let is_due = member.review_at.is_some_and(|at| at <= new.created_at);
    (is_due && !new.is_agreed).then_some(Appended::AskOwner)
}

/// The sender's message of the same name.
fn known(tables: &Tables, new: &NewMessage) -> Option<KnownMessage> {
    let name = new.client_message_id.as_ref()?;
    let is_same = |m: &&Message| {
        m.conversation_id == new.conversation_id && m.sender == new.sender && m.client_message_id.as_ref() == Some(name)
    };
    tables.messages.values().find(is_same).map(|m| KnownMessage {
        id: m.id,
        seq: m.seq,
        kind: m.kind.clone(),
        content: m.content.clone(),
        created_at: m.created_at,
    })
}

/// Gives the message the next numbers of its conversation and of the log.
fn store(tables: &mut Tables, new: &NewMessage) -> Result<Appended, StoreError> {
    let conversation = tables.conversations.get_mut(&new.conversation_id).ok_or(StoreError::Conflict)?;
    tables.head += 1;
    let position = tables.head;
    conversation.last_seq += 1;
    conversation.last_position = position;
    conversation.last_message_at = Some(new.created_at);
    conversation.updated_at = new.created_at;
    let seq = conversation.last_seq;
    tables.messages.insert(position, new.stored(position, seq));
    let sender = new.sender.as_ref().map(|sender| (new.conversation_id, sender.clone()));
    if let Some(member) = sender.and_then(|key| tables.members.get_mut(&key)) {
        member.own_after_read += 1;
    }
    Ok(Appended::Stored { position, seq })
}

/// The names of a batch must differ.
fn check_names(messages: &[NewMessage]) -> Result<(), StoreError> {
    let mut names = BTreeSet::new();
    let name = |m: &NewMessage| Some((m.conversation_id, m.sender.clone()?, m.client_message_id.clone()?));
    let differ = messages.iter().filter_map(name).all(|name| names.insert(name));
    if differ { Ok(()) } else { Err(unique("message_name")) }
}

fn text_of(message: &Message) -> Option<String> {
    message.content.to_value().get("text")?.as_str().map(str::to_owned)
}

#[async_trait]
impl MessageRepository for MemoryUnit {
    async fn append(&mut self, messages: &[NewMessage]) -> Result<Vec<Appended>, StoreError> {
        self.write(|tables| {
            check_names(messages)?;
            let fates: Vec<_> = messages.iter().map(|new| fate(tables, new)).collect();
            let settle = |(new, fate): (&NewMessage, Option<Appended>)| fate.map_or_else(|| store(tables, new), Ok);
            messages.iter().zip(fates).map(settle).collect()
        })
    }

    async fn history(&mut self, id: ConversationId, page: HistoryPage, limit: u32) -> Result<Vec<Message>, StoreError> {
        let tables = self.tables()?;
        let mut found: Vec<_> = tables.messages.values().filter(|m| m.conversation_id == id).cloned().collect();
        found.sort_by_key(|m| m.seq);
        match page {
            HistoryPage::After(seq) => {
                found.retain(|m| m.seq > seq);
                found.truncate(limit as usize);
            }
            HistoryPage::Before(seq) => {
                found.retain(|m| m.seq < seq);
                found.drain(..found.len().saturating_sub(limit as usize));
            }
        }
        Ok(found)
    }

    async fn find(&mut self, conversation: ConversationId, id: MessageId) -> Result<Option<Message>, StoreError> {
        let tables = self.tables()?;
        Ok(tables.messages.values().find(|m| m.conversation_id == conversation && m.id == id).cloned())
    }

    async fn find_named(
        &mut self,
        conversation: ConversationId,
        sender: &str,
        client_message_id: &str,
    ) -> Result<Option<Message>, StoreError> {
        let tables = self.tables()?;
        let is_meant = |m: &&Message| {
            m.conversation_id == conversation
                && m.sender.as_deref() == Some(sender)
                && m.client_message_id.as_deref() == Some(client_message_id)
        };
        Ok(tables.messages.values().find(is_meant).cloned())
    }

    async fn find_seq(&mut self, conversation: ConversationId, seq: i64) -> Result<Option<Message>, StoreError> {
        let tables = self.tables()?;
        Ok(tables.messages.values().find(|m| m.conversation_id == conversation && m.seq == seq).cloned())
    }

    async fn recall(&mut self, message: &Message, at: Timestamp) -> Result<(), StoreError> {
        self.write(|tables| {
            let stored = tables.messages.get_mut(&message.position).filter(|m| !m.is_recalled());
            stored.ok_or(StoreError::Conflict)?.recalled_at = Some(at);
            let counts_it = |m: &&mut im::Member| {
                m.conversation_id == message.conversation_id
                    && message.sender.as_ref() != Some(&m.client_id)
                    && m.read_seq < message.seq
            };
            for member in tables.members.values_mut().filter(counts_it) {
                member.recalled_after_read += 1;
            }
            Ok(())
        })
    }

    async fn search(&mut self, search: &MessageSearch) -> Result<Vec<Message>, StoreError> {
        let tables = self.tables()?;
        let is_in = |id: ConversationId| {
            tables.members.values().any(|m| m.conversation_id == id && search.client_ids.contains(&m.client_id))
        };
        let is_match = |m: &&Message| {
            m.kind == MessageKind::Text
                && !m.is_recalled()
                && search.before.is_none_or(|before| m.position < before)
                && search.conversation_id.is_none_or(|id| id == m.conversation_id)
                && is_in(m.conversation_id)
                && holds(text_of(m).as_deref(), &search.text)
        };
        let newest_first = tables.messages.values().rev();
        Ok(newest_first.filter(is_match).take(search.limit as usize).cloned().collect())
    }
}
