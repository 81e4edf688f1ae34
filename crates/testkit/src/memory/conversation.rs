//! Conversations and their members in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::id::ConversationId;
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};
use im::conversation::{ConversationSummary, ReadMove};
use im::{Conversation, ConversationRepository, Member};

use super::MemoryUnit;
use super::tables::{Tables, all_of, insert_new, newest_first};

fn members_of(tables: &Tables, id: ConversationId) -> Vec<Member> {
    tables.members.values().filter(|m| m.conversation_id == id).cloned().collect()
}

fn summary(tables: &Tables, conversation: &Conversation) -> ConversationSummary {
    let Conversation { id, last_seq, .. } = *conversation;
    let last_message = tables.messages.values().find(|m| m.conversation_id == id && m.seq == last_seq);
    ConversationSummary {
        conversation: conversation.clone(),
        members: members_of(tables, id),
        last_message: last_message.cloned(),
    }
}

fn cursor_of(conversation: &Conversation) -> Cursor {
    Cursor { at: conversation.updated_at, id: conversation.id.0 }
}

/// Of several moves of one member the farthest, none beyond the newest message.
fn farthest(tables: &Tables, moves: &[ReadMove]) -> Vec<ReadMove> {
    let mut farthest: BTreeMap<(ConversationId, String), i64> = BTreeMap::new();
    for to in moves {
        let Some(conversation) = tables.conversations.get(&to.conversation_id) else { continue };
        let seq = farthest.entry((to.conversation_id, to.client_id.clone())).or_default();
        *seq = to.seq.min(conversation.last_seq).max(*seq);
    }
    farthest
        .into_iter()
        .map(|((conversation_id, client_id), seq)| ReadMove { conversation_id, client_id, seq })
        .collect()
}

/// Moves a member on; answers it when it moved.
fn read(tables: &mut Tables, to: &ReadMove) -> Option<Member> {
    let key = (to.conversation_id, to.client_id.clone());
    let messages = tables.messages.values().filter(|m| m.conversation_id == to.conversation_id && m.seq > to.seq);
    let (own, others): (Vec<_>, Vec<_>) = messages.partition(|m| m.sender.as_ref() == Some(&to.client_id));
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let own_after_read = count(own.len());
    let recalled_after_read = count(others.iter().filter(|m| m.is_recalled()).count());
    let member = tables.members.get_mut(&key).filter(|m| m.read_seq < to.seq)?;
    member.read_seq = to.seq;
    member.delivered_seq = member.delivered_seq.max(to.seq);
    member.own_after_read = own_after_read;
    member.recalled_after_read = recalled_after_read;
    Some(member.clone())
}

#[async_trait]
impl ConversationRepository for MemoryUnit {
    async fn find(&mut self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        Ok(self.tables()?.conversations.get(&id).cloned())
    }

    async fn find_locked(&mut self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        Ok(self.tables()?.conversations.get(&id).cloned())
    }

    async fn members(&mut self, id: ConversationId) -> Result<Vec<Member>, StoreError> {
        Ok(members_of(&*self.tables()?, id))
    }

    async fn members_of_all(&mut self, ids: &[ConversationId]) -> Result<Vec<Member>, StoreError> {
        let tables = self.tables()?;
        Ok(tables.members.values().filter(|m| ids.contains(&m.conversation_id)).cloned().collect())
    }

    async fn list(
        &mut self,
        client_ids: &[String],
        page: PageRequest,
    ) -> Result<Page<ConversationSummary>, StoreError> {
        let tables = self.tables()?;
        let is_in = |c: &&Conversation| {
            tables.members.values().any(|m| m.conversation_id == c.id && client_ids.contains(&m.client_id))
        };
        let conversations = newest_first(tables.conversations.values().filter(is_in), page, cursor_of);
        Ok(conversations.map(|c| summary(&tables, &c)))
    }

    async fn summaries(&mut self, ids: &[ConversationId]) -> Result<Vec<ConversationSummary>, StoreError> {
        let tables = self.tables()?;
        Ok(all_of(&tables.conversations, ids).iter().map(|conversation| summary(&tables, conversation)).collect())
    }

    async fn insert_all(&mut self, conversations: &[Conversation], members: &[Member]) -> Result<(), StoreError> {
        self.write(|tables| {
            for conversation in conversations {
                insert_new(&mut tables.conversations, conversation.id, conversation.clone(), "conversation_pkey")?;
            }
            for member in members {
                let key = (member.conversation_id, member.client_id.clone());
                insert_new(&mut tables.members, key, member.clone(), "conversation_member_pkey")?;
            }
            Ok(())
        })
    }

    async fn add_members(&mut self, members: &[Member]) -> Result<(), StoreError> {
        self.write(|tables| {
            for member in members {
                let Some(conversation) = tables.conversations.get(&member.conversation_id) else { continue };
                let seq = conversation.last_seq;
                let key = (member.conversation_id, member.client_id.clone());
                let new = Member { read_seq: seq, delivered_seq: seq, ..member.clone() };
                tables.members.entry(key).or_insert(new);
            }
            Ok(())
        })
    }

    async fn remove_member(&mut self, id: ConversationId, client_id: &str) -> Result<bool, StoreError> {
        self.write(|tables| Ok(tables.members.remove(&(id, client_id.to_owned())).is_some()))
    }

    async fn mark_read(&mut self, moves: &[ReadMove]) -> Result<Vec<Member>, StoreError> {
        self.write(|tables| Ok(farthest(tables, moves).iter().filter_map(|to| read(tables, to)).collect()))
    }

    async fn mark_delivered(&mut self, moves: &[ReadMove]) -> Result<(), StoreError> {
        self.write(|tables| {
            for to in farthest(tables, moves) {
                if let Some(member) = tables.members.get_mut(&(to.conversation_id, to.client_id.clone())) {
                    member.delivered_seq = member.delivered_seq.max(to.seq);
                }
            }
            Ok(())
        })
    }

    async fn set_review(&mut self, id: ConversationId, client_id: &str, at: Timestamp) -> Result<(), StoreError> {
        self.write(|tables| {
            let member = tables.members.get_mut(&(id, client_id.to_owned())).filter(|m| m.review_at.is_some());
            if let Some(member) = member {
                member.review_at = Some(at);
            }
            Ok(())
        })
    }

    async fn reset_review(&mut self, ids: &[ConversationId]) -> Result<(), StoreError> {
        self.write(|tables| {
            let is_owned = |m: &&mut Member| ids.contains(&m.conversation_id) && m.review_at.is_some();
            for member in tables.members.values_mut().filter(is_owned) {
                member.review_at = Some(Timestamp::from_millis(0));
            }
            Ok(())
        })
    }
}
