//! Conversations, members and messages in memory.

use async_trait::async_trait;
use domain::StoreError;
use domain::id::ConversationId;
use im::{Conversation, ConversationRepository, Member, Message, NewSystemMessage};

use super::MemoryUnit;
use super::tables::{Tables, insert_new};

/// Gives the message its conversation's next number.
fn append(tables: &mut Tables, new: &NewSystemMessage) -> Result<(), StoreError> {
    let conversation = tables.conversations.get_mut(&new.conversation_id).ok_or(StoreError::Conflict)?;
    let message = conversation.append(new);
    insert_new(&mut tables.messages, new.id, message, "message_pkey")
}

#[async_trait]
impl ConversationRepository for MemoryUnit {
    async fn find(&mut self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        Ok(self.tables()?.conversations.get(&id).cloned())
    }

    async fn members(&mut self, id: ConversationId) -> Result<Vec<Member>, StoreError> {
        Ok(self.tables()?.members.values().filter(|m| m.conversation_id == id).cloned().collect())
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

    async fn append_system(&mut self, messages: &[NewSystemMessage]) -> Result<(), StoreError> {
        self.write(|tables| {
            if messages.iter().any(|m| !tables.conversations.contains_key(&m.conversation_id)) {
                return Err(StoreError::Conflict);
            }
            messages.iter().try_for_each(|m| append(tables, m))?;
            for new in messages {
                let newest = messages.iter().filter(|m| m.conversation_id == new.conversation_id);
                let newest = newest.map(|m| m.created_at).max().unwrap_or(new.created_at);
                if let Some(conversation) = tables.conversations.get_mut(&new.conversation_id) {
                    conversation.last_message_at = Some(newest);
                    conversation.updated_at = newest;
                }
            }
            Ok(())
        })
    }

    async fn messages(&mut self, id: ConversationId, after_seq: i64, limit: u32) -> Result<Vec<Message>, StoreError> {
        let tables = self.tables()?;
        let later = tables.messages.values().filter(|m| m.conversation_id == id && m.seq > after_seq);
        let mut found: Vec<_> = later.cloned().collect();
        found.sort_by_key(|m| m.seq);
        found.truncate(limit as usize);
        Ok(found)
    }
}
