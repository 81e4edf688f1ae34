//! The assistant and its desk in memory.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::doctor::DoctorRepository;
use domain::id::{AgentId, AssistantId, CannedReplyId, ConversationId, EpisodeId};
use domain::outbox::OutboxRepository;
use domain::page::{Cursor, Page, PageRequest};
use domain::patient::PatientRepository;
use domain::{StoreError, Timestamp};
use im::ImUnit;
use im::desk::canned::{CannedReply, CannedScope};
use im::desk::entry::DeskEntry;
use im::desk::episode::Episode;
use im::desk::ports::{
    AssistantRepository, CannedReplyRepository, ChatCounts, ChatFilter, ChatRepository, ChatView, DeskAgentRepository,
    Draft, DraftRepository, EntryRepository, EpisodeRepository,
};
use im::desk::{Assistant, Chat, ChatStatus, DeskAgent, DeskStatus, DeskStore, DeskUnit};

use super::tables::{Tables, holds, insert_new, newest_first, unique};
use super::{MemoryStore, MemoryUnit};

/// A chat with what the store keeps beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRow {
    pub chat: Chat,
    pub next_action_at: Option<Timestamp>,
}

/// The rows of the desk.
#[derive(Debug, Clone, Default)]
pub struct DeskTables {
    pub assistants: BTreeMap<AssistantId, Assistant>,
    pub chats: BTreeMap<ConversationId, ChatRow>,
    pub agents: BTreeMap<AgentId, DeskAgent>,
    pub episodes: BTreeMap<EpisodeId, Episode>,
    pub entries: Vec<DeskEntry>,
    pub canned_replies: BTreeMap<CannedReplyId, CannedReply>,
    pub drafts: BTreeMap<(AgentId, ConversationId), Draft>,
}

fn write(tables: &mut Tables, chat: &Chat, next_action_at: Option<Timestamp>) -> Result<(), StoreError> {
    let row = tables.desk.chats.get_mut(&chat.conversation_id).filter(|row| row.chat.version == chat.version);
    let row = row.ok_or(StoreError::Conflict)?;
    *row = ChatRow { chat: Chat { version: chat.version + 1, ..chat.clone() }, next_action_at };
    Ok(())
}

fn agent(tables: &mut Tables, id: AgentId) -> Result<&mut DeskAgent, StoreError> {
    tables.desk.agents.get_mut(&id).ok_or(StoreError::Conflict)
}

fn is_offered_to(chat: &Chat, agent: AgentId) -> bool {
    chat.detail.offer.as_ref().is_some_and(|offer| offer.to == agent)
}

fn names(tables: &Tables, chat: &Chat) -> Vec<String> {
    let patient = chat.customer_id.parse().ok().and_then(|id| tables.patients.get(&id));
    let doctor = chat.customer_id.parse().ok().and_then(|id| tables.doctors.get(&id));
    let names = [
        patient.and_then(|patient| patient.name.clone()),
        doctor.and_then(|doctor| doctor.name.clone()),
        doctor.and_then(|doctor| doctor.hospital.clone()),
        chat.detail.remark.clone(),
    ];
    names.into_iter().flatten().chain(chat.detail.tags.iter().cloned()).collect()
}

#[async_trait]
impl AssistantRepository for MemoryUnit {
    async fn find(&mut self, id: AssistantId) -> Result<Option<Assistant>, StoreError> {
        Ok(self.tables()?.desk.assistants.get(&id).cloned())
    }

    async fn ensure(&mut self, assistant: &Assistant) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.desk.assistants.entry(assistant.id).or_insert_with(|| assistant.clone());
            Ok(())
        })
    }

    async fn update(&mut self, assistant: &Assistant) -> Result<(), StoreError> {
        self.write(|tables| {
            let row = tables.desk.assistants.get_mut(&assistant.id).filter(|row| row.version == assistant.version);
            *row.ok_or(StoreError::Conflict)? = Assistant { version: assistant.version + 1, ..assistant.clone() };
            Ok(())
        })
    }
}

#[async_trait]
impl ChatRepository for MemoryUnit {
    async fn find(&mut self, id: ConversationId) -> Result<Option<Chat>, StoreError> {
        Ok(self.tables()?.desk.chats.get(&id).map(|row| row.chat.clone()))
    }

    async fn find_locked(&mut self, id: ConversationId) -> Result<Option<Chat>, StoreError> {
        ChatRepository::find(self, id).await
    }

    async fn find_by_customer(&mut self, customer_id: &str) -> Result<Option<Chat>, StoreError> {
        let tables = self.tables()?;
        let found = tables.desk.chats.values().find(|row| row.chat.customer_id == customer_id);
        Ok(found.map(|row| row.chat.clone()))
    }

    async fn insert(&mut self, chat: &Chat) -> Result<(), StoreError> {
        self.write(|tables| {
            if tables.desk.chats.values().any(|row| row.chat.customer_id == chat.customer_id) {
                return Err(unique("desk_chat_customer"));
            }
            let row = ChatRow { chat: chat.clone(), next_action_at: None };
            insert_new(&mut tables.desk.chats, chat.conversation_id, row, "desk_chat_pkey")
        })
    }

    async fn update(&mut self, chat: &Chat, next_action_at: Option<Timestamp>) -> Result<(), StoreError> {
        self.write(|tables| write(tables, chat, next_action_at))
    }

    async fn let_go(&mut self, chat: &Chat, from: AgentId) -> Result<(), StoreError> {
        self.write(|tables| {
            if agent(tables, from)?.load == 0 {
                return Err(StoreError::Conflict);
            }
            write(tables, chat, None)?;
            agent(tables, from)?.load -= 1;
            Ok(())
        })
    }

    async fn claim(
        &mut self,
        chat: &Chat,
        next_action_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|tables| {
            let row = tables.desk.chats.get(&chat.conversation_id).map(|row| &row.chat);
            let is_free = row.is_some_and(|row| row.version == chat.version && row.agent.is_none());
            let found = chat.agent.and_then(|id| tables.desk.agents.get_mut(&id));
            let Some(agent) = found.filter(|agent| is_free && agent.is_there(now) && agent.has_room()) else {
                return Ok(false);
            };
            agent.load += 1;
            agent.last_assigned_at = Some(now);
            write(tables, chat, next_action_at)?;
            Ok(true)
        })
    }

    async fn lock_queue(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn queue(&mut self, limit: u32) -> Result<Vec<Chat>, StoreError> {
        let tables = self.tables()?;
        let waiting = tables.desk.chats.values().map(|row| &row.chat).filter(|chat| chat.queued_at.is_some());
        let mut queue: Vec<Chat> = waiting.cloned().collect();
        queue.sort_by_key(|chat| (chat.queued_at, chat.conversation_id));
        queue.truncate(limit as usize);
        Ok(queue)
    }

    async fn list(&mut self, filter: &ChatFilter, page: PageRequest) -> Result<Page<Chat>, StoreError> {
        let tables = self.tables()?;
        let is_in_view = |chat: &&Chat| match filter.view {
            ChatView::Mine(agent) => chat.agent == Some(agent) || is_offered_to(chat, agent),
            ChatView::Waiting => chat.queued_at.is_some(),
            ChatView::All => true,
            ChatView::Closed => chat.status == ChatStatus::Closed,
        };
        let matches = |chat: &&Chat| {
            let text = filter.text.as_deref();
            text.is_none_or(|part| names(&tables, chat).iter().any(|name| holds(Some(name), part)))
        };
        let chats = tables.desk.chats.values().map(|row| &row.chat).filter(is_in_view);
        let chats = chats.filter(|chat| filter.customer.is_none_or(|kind| chat.customer_kind == kind)).filter(matches);
        Ok(newest_first(chats, page, |chat| Cursor { at: chat.updated_at, id: chat.conversation_id.0 }))
    }

    async fn counts(&mut self, agent: AgentId, assistant: &str) -> Result<ChatCounts, StoreError> {
        let tables = self.tables()?;
        let count =
            |rule: &dyn Fn(&Chat) -> bool| tables.desk.chats.values().filter(|row| rule(&row.chat)).count() as u64;
        let mine = tables.desk.chats.values().filter(|row| row.chat.agent == Some(agent));
        let unread = mine.map(|row| {
            let id = row.chat.conversation_id;
            let last_seq = tables.conversations.get(&id).map_or(0, |conversation| conversation.last_seq);
            tables.members.get(&(id, assistant.to_owned())).map_or(0, |member| member.unread_count(last_seq))
        });
        Ok(ChatCounts {
            mine: count(&|chat| chat.agent == Some(agent)),
            offered: count(&|chat| is_offered_to(chat, agent)),
            waiting: count(&|chat| chat.queued_at.is_some()),
            all: count(&|_| true),
            closed: count(&|chat| chat.status == ChatStatus::Closed),
            mine_unread: u64::try_from(unread.sum::<i64>()).unwrap_or_default(),
        })
    }

    async fn list_due(&mut self, now: Timestamp, limit: u32) -> Result<Vec<ConversationId>, StoreError> {
        let tables = self.tables()?;
        let due = |row: &ChatRow| row.next_action_at.filter(|at| *at <= now).map(|at| (at, row.chat.conversation_id));
        let mut found: Vec<_> = tables.desk.chats.values().filter_map(due).collect();
        found.sort_unstable();
        found.truncate(limit as usize);
        Ok(found.into_iter().map(|(_, id)| id).collect())
    }

    async fn list_orphaned(&mut self, now: Timestamp, limit: u32) -> Result<Vec<ConversationId>, StoreError> {
        let tables = self.tables()?;
        let is_there = |id: AgentId| tables.desk.agents.get(&id).is_some_and(|agent| agent.is_there(now));
        let chats = tables.desk.chats.values().map(|row| &row.chat);
        let orphaned = chats.filter(|chat| chat.agent.is_some_and(|agent| !is_there(agent)));
        Ok(orphaned.map(|chat| chat.conversation_id).take(limit as usize).collect())
    }
}

#[async_trait]
impl DeskAgentRepository for MemoryUnit {
    async fn find(&mut self, id: AgentId) -> Result<Option<DeskAgent>, StoreError> {
        Ok(self.tables()?.desk.agents.get(&id).cloned())
    }

    async fn list(&mut self) -> Result<Vec<DeskAgent>, StoreError> {
        let tables = self.tables()?;
        let mut agents: Vec<_> = tables.desk.agents.values().filter(|agent| agent.is_enabled).cloned().collect();
        agents.sort_by(|a, b| a.display_name.cmp(&b.display_name).then(a.id.cmp(&b.id)));
        Ok(agents)
    }

    async fn list_there(&mut self, now: Timestamp) -> Result<Vec<DeskAgent>, StoreError> {
        Ok(self.tables()?.desk.agents.values().filter(|agent| agent.is_there(now)).cloned().collect())
    }

    async fn ensure(&mut self, id: AgentId, capacity: u32) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.desk.agents.entry(id).or_insert_with(|| DeskAgent::new(id, capacity));
            Ok(())
        })
    }

    async fn set_status(&mut self, id: AgentId, status: DeskStatus, lease_until: Timestamp) -> Result<(), StoreError> {
        self.write(|tables| {
            let row = agent(tables, id)?;
            (row.status, row.lease_until) = (status, Some(lease_until));
            Ok(())
        })
    }

    async fn renew(&mut self, id: AgentId, lease_until: Timestamp) -> Result<bool, StoreError> {
        self.write(|tables| {
            let Some(row) = tables.desk.agents.get_mut(&id).filter(|row| row.status != DeskStatus::Offline) else {
                return Ok(false);
            };
            row.lease_until = Some(lease_until);
            Ok(true)
        })
    }

    async fn set_profile(&mut self, profile: &DeskAgent) -> Result<(), StoreError> {
        self.write(|tables| {
            let row = agent(tables, profile.id)?;
            row.capacity = profile.capacity;
            row.skills.clone_from(&profile.skills);
            row.groups.clone_from(&profile.groups);
            row.timezone.clone_from(&profile.timezone);
            row.weekly_hours.clone_from(&profile.weekly_hours);
            row.hour_exceptions.clone_from(&profile.hour_exceptions);
            Ok(())
        })
    }
}

#[async_trait]
impl EpisodeRepository for MemoryUnit {
    async fn find(&mut self, id: EpisodeId) -> Result<Option<Episode>, StoreError> {
        Ok(self.tables()?.desk.episodes.get(&id).cloned())
    }

    async fn insert(&mut self, episode: &Episode) -> Result<(), StoreError> {
        self.write(|tables| {
            let is_same =
                |other: &Episode| other.conversation_id == episode.conversation_id && other.number == episode.number;
            if tables.desk.episodes.values().any(is_same) {
                return Err(unique("desk_episode_number"));
            }
            insert_new(&mut tables.desk.episodes, episode.id, episode.clone(), "desk_episode_pkey")
        })
    }

    async fn update(&mut self, episode: &Episode) -> Result<(), StoreError> {
        self.write(|tables| {
            *tables.desk.episodes.get_mut(&episode.id).ok_or(StoreError::Conflict)? = episode.clone();
            Ok(())
        })
    }

    async fn list(&mut self, id: ConversationId, limit: u32) -> Result<Vec<Episode>, StoreError> {
        let tables = self.tables()?;
        let of = tables.desk.episodes.values().filter(|episode| episode.conversation_id == id);
        let mut found: Vec<_> = of.cloned().collect();
        found.sort_by_key(|episode| std::cmp::Reverse(episode.number));
        found.truncate(limit as usize);
        Ok(found)
    }

    async fn list_opened(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        agent: Option<AgentId>,
        limit: u32,
    ) -> Result<Vec<Episode>, StoreError> {
        let tables = self.tables()?;
        let is_in = |episode: &&Episode| {
            (from..to).contains(&episode.opened_at) && agent.is_none_or(|agent| episode.agent == Some(agent))
        };
        let mut found: Vec<_> = tables.desk.episodes.values().filter(is_in).cloned().collect();
        found.sort_by_key(|episode| (episode.opened_at, episode.id));
        found.truncate(limit as usize);
        Ok(found)
    }
}

#[async_trait]
impl EntryRepository for MemoryUnit {
    async fn append_all(&mut self, entries: &[DeskEntry]) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.desk.entries.extend_from_slice(entries);
            Ok(())
        })
    }

    async fn list(&mut self, id: ConversationId, page: PageRequest) -> Result<Page<DeskEntry>, StoreError> {
        let tables = self.tables()?;
        let of = tables.desk.entries.iter().filter(|entry| entry.conversation_id == id);
        Ok(newest_first(of, page, |entry| Cursor { at: entry.at, id: entry.id.0 }))
    }
}

#[async_trait]
impl CannedReplyRepository for MemoryUnit {
    async fn find(&mut self, id: CannedReplyId) -> Result<Option<CannedReply>, StoreError> {
        Ok(self.tables()?.desk.canned_replies.get(&id).cloned())
    }

    async fn list(&mut self, agent: AgentId, groups: &[String]) -> Result<Vec<CannedReply>, StoreError> {
        let tables = self.tables()?;
        let is_seen = |reply: &&CannedReply| match reply.scope {
            CannedScope::Personal => reply.owner == agent,
            CannedScope::Group => reply.group.as_ref().is_some_and(|group| groups.contains(group)),
            CannedScope::All => true,
        };
        let mut found: Vec<_> = tables.desk.canned_replies.values().filter(is_seen).cloned().collect();
        found.sort_by(|a, b| a.title.cmp(&b.title).then(a.id.cmp(&b.id)));
        Ok(found)
    }

    async fn insert(&mut self, reply: &CannedReply) -> Result<(), StoreError> {
        self.write(|tables| insert_new(&mut tables.desk.canned_replies, reply.id, reply.clone(), "canned_reply_pkey"))
    }

    async fn update(&mut self, reply: &CannedReply) -> Result<(), StoreError> {
        self.write(|tables| {
            let row = tables.desk.canned_replies.get_mut(&reply.id).filter(|row| row.version == reply.version);
            *row.ok_or(StoreError::Conflict)? = CannedReply { version: reply.version + 1, ..reply.clone() };
            Ok(())
        })
    }

    async fn delete(&mut self, id: CannedReplyId) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.desk.canned_replies.remove(&id);
            Ok(())
        })
    }
}

#[async_trait]
impl DraftRepository for MemoryUnit {
    async fn find(&mut self, agent: AgentId, id: ConversationId) -> Result<Option<Draft>, StoreError> {
        Ok(self.tables()?.desk.drafts.get(&(agent, id)).cloned())
    }

    async fn list(&mut self, agent: AgentId) -> Result<Vec<Draft>, StoreError> {
        let tables = self.tables()?;
        let mut found: Vec<_> = tables.desk.drafts.values().filter(|draft| draft.agent == agent).cloned().collect();
        found.sort_by_key(|draft| (std::cmp::Reverse(draft.updated_at), draft.conversation_id));
        Ok(found)
    }

    async fn put(&mut self, draft: &Draft) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.desk.drafts.insert((draft.agent, draft.conversation_id), draft.clone());
            Ok(())
        })
    }

    async fn delete(&mut self, agent: AgentId, id: ConversationId) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.desk.drafts.remove(&(agent, id));
            Ok(())
        })
    }
}

#[async_trait]
impl DeskUnit for MemoryUnit {
    fn im(&mut self) -> &mut dyn ImUnit {
        self
    }
    fn assistants(&mut self) -> &mut dyn AssistantRepository {
        self
    }
    fn chats(&mut self) -> &mut dyn ChatRepository {
        self
    }
    fn agents(&mut self) -> &mut dyn DeskAgentRepository {
        self
    }
    fn episodes(&mut self) -> &mut dyn EpisodeRepository {
        self
    }
    fn entries(&mut self) -> &mut dyn EntryRepository {
        self
    }
    fn canned_replies(&mut self) -> &mut dyn CannedReplyRepository {
        self
    }
    fn drafts(&mut self) -> &mut dyn DraftRepository {
        self
    }
    fn patients(&mut self) -> &mut dyn PatientRepository {
        self
    }
    fn doctors(&mut self) -> &mut dyn DoctorRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn OutboxRepository {
        self
    }
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.finish()
    }
}

#[async_trait]
impl DeskStore for MemoryStore {
    async fn begin(&self) -> Result<Box<dyn DeskUnit>, StoreError> {
        Ok(Box::new(self.unit().await))
    }

    fn read(&self) -> Box<dyn DeskUnit> {
        Box::new(self.reading())
    }
}
