//! Looking at chats: lists with everything a row shows, one chat, and who the customer is.

use std::collections::HashMap;

use domain::doctor::Doctor;
use domain::id::{AgentId, ConversationId, DoctorId, FileId, PatientId};
use domain::page::{Cursor, Page, PageRequest};
use domain::patient::Patient;
use domain::{Actor, ObjectId};

use super::Desk;
use super::accept::require_staff;
use crate::conversation::{ConversationSummary, MemberKind};
use crate::desk::assign;
use crate::desk::chat::{Chat, ChatStatus};
use crate::desk::episode::Episode;
use crate::desk::error::DeskError;
use crate::desk::ports::{ChatCounts, ChatFilter, ChatView};
use crate::message::Message;

/// Episodes of a profile.
const MAX_EPISODES: u32 = 20;
/// Waiting chats that are listed.
const MAX_WAITING: u32 = 500;

/// Who a chat is with.
#[derive(Debug, Clone, PartialEq)]
pub enum Customer {
    Patient(Box<Patient>),
    Doctor(Box<Doctor>),
    /// The record is not there any more.
    Unknown,
}

impl Customer {
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Patient(patient) => patient.name.as_deref(),
            Self::Doctor(doctor) => doctor.name.as_deref(),
            Self::Unknown => None,
        }
    }

    pub const fn icon(&self) -> Option<FileId> {
        match self {
            Self::Patient(patient) => patient.icon,
            Self::Doctor(doctor) => doctor.icon,
            Self::Unknown => None,
        }
    }

    pub fn title(&self) -> Option<&str> {
        match self {
            Self::Doctor(doctor) => doctor.title.as_deref(),
            Self::Patient(_) | Self::Unknown => None,
        }
    }

    pub fn hospital(&self) -> Option<&str> {
        match self {
            Self::Doctor(doctor) => doctor.hospital.as_deref(),
            Self::Patient(_) | Self::Unknown => None,
        }
    }
}

/// A chat with everything that a list shows of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRow {
    pub chat: Chat,
    pub customer: Customer,
    pub agent_name: Option<String>,
    pub queue_position: Option<u64>,
    pub last_seq: i64,
    /// What the customer wrote that the desk has not read.
    pub unread_count: i64,
    pub read_seq: i64,
    pub customer_read_seq: i64,
    pub customer_delivered_seq: i64,
    pub last_message: Option<Message>,
    pub has_draft: bool,
    pub rating: Option<u8>,
}

/// A customer as the desk sees them.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    pub chat: Chat,
    pub customer: Customer,
    /// Newest first.
    pub episodes: Vec<Episode>,
}

impl Profile {
    /// The customer's id, if they are a patient.
    pub fn patient(&self) -> Option<PatientId> {
        self.id_of(MemberKind::Patient).map(PatientId)
    }

    /// The customer's id, if they are a doctor.
    pub fn doctor(&self) -> Option<DoctorId> {
        self.id_of(MemberKind::Doctor).map(DoctorId)
    }

    fn id_of(&self, kind: MemberKind) -> Option<ObjectId> {
        if self.chat.customer_kind == kind { self.chat.customer_id.parse().ok() } else { None }
    }
}

/// One page of the queue as it is served. Who was served since the page before leaves no gap, though some come twice.
fn part_of_queue(ordered: &[&Chat], page: PageRequest) -> Page<Chat> {
    let place = |chat: &Chat| (chat.queued_at, chat.conversation_id.0);
    let start = page.after.map_or(0, |last| {
        let known = ordered.iter().position(|chat| chat.conversation_id.0 == last.id).map(|at| at + 1);
        let later = || ordered.iter().position(|chat| place(chat) > (Some(last.at), last.id));
        known.or_else(later).unwrap_or(ordered.len())
    });
    let rows = ordered.iter().skip(start).take(page.limit as usize + 1).map(|chat| (*chat).clone()).collect();
    Page::from_rows(rows, page.limit, |chat| Cursor {
        at: chat.queued_at.unwrap_or(chat.updated_at),
        id: chat.conversation_id.0,
    })
}

impl Desk {
    /// How many chats there are in each view of the caller.
    ///
    /// # Errors
    /// [`DeskError::Access`] for anybody but staff.
    pub async fn counts(&self, actor: &Actor) -> Result<ChatCounts, DeskError> {
        let agent = require_staff(actor)?;
        Ok(self.store.read().chats().counts(agent, &self.assistant.to_string()).await?)
    }

    /// Chats: the waiting ones in the order they are served in, all others with the newest change first.
    ///
    /// # Errors
    /// [`DeskError::Access`] for anybody but staff.
    pub async fn list(
        &self,
        actor: &Actor,
        filter: &ChatFilter,
        page: PageRequest,
    ) -> Result<Page<ChatRow>, DeskError> {
        let agent = require_staff(actor)?;
        let mut unit = self.store.read();
        let found = match filter.view {
            ChatView::Waiting if filter.text.is_none() => {
                let assistant = self.assistant(&mut *unit).await?;
                let queue = unit.chats().queue(MAX_WAITING).await?;
                let ordered = assign::in_order(&queue, &assistant.settings, self.clock.now()).into_iter();
                let wanted = ordered.filter(|chat| filter.customer.is_none_or(|kind| chat.customer_kind == kind));
                part_of_queue(&wanted.collect::<Vec<_>>(), page)
            }
            _ => unit.chats().list(filter, page).await?,
        };
        let next = found.next;
        Ok(Page { items: self.rows(agent, found.items).await?, next })
    }

    /// One chat.
    ///
    /// # Errors
    /// [`DeskError::ChatNotFound`].
    pub async fn get(&self, actor: &Actor, id: ConversationId) -> Result<ChatRow, DeskError> {
        let agent = require_staff(actor)?;
        let chat = self.store.read().chats().find(id).await?.ok_or(DeskError::ChatNotFound)?;
        self.row(agent, chat).await
    }

    /// A chat as a list shows it, after it was changed.
    ///
    /// # Errors
    /// [`DeskError::Store`].
    pub async fn row_of(&self, actor: &Actor, chat: Chat) -> Result<ChatRow, DeskError> {
        self.row(require_staff(actor)?, chat).await
    }

    async fn row(&self, agent: AgentId, chat: Chat) -> Result<ChatRow, DeskError> {
        // The store may hold it in a newer state than the caller.
        let found = self.store.read().chats().find(chat.conversation_id).await?.unwrap_or(chat);
        self.rows(agent, vec![found]).await?.pop().ok_or(DeskError::ChatNotFound)
    }

    /// The customer of a chat, as the desk may see them. Audited when another agent has the chat.
    ///
    /// # Errors
    /// [`DeskError::ChatNotFound`].
    pub async fn profile(&self, actor: &Actor, id: ConversationId) -> Result<Profile, DeskError> {
        let chat = self.readable(actor, id).await?;
        let episodes = self.store.read().episodes().list(id, MAX_EPISODES).await?;
        Ok(Profile { customer: self.customer(&chat).await?, chat, episodes })
    }

    pub(super) async fn customer(&self, chat: &Chat) -> Result<Customer, DeskError> {
        let mut found = self.customers(std::slice::from_ref(chat)).await?;
        Ok(found.remove(&chat.customer_id).unwrap_or(Customer::Unknown))
    }

    async fn customers(&self, chats: &[Chat]) -> Result<HashMap<String, Customer>, DeskError> {
        let of = |kind: MemberKind| chats.iter().filter(move |chat| chat.customer_kind == kind);
        let patients: Vec<_> = of(MemberKind::Patient).filter_map(|chat| chat.customer_id.parse().ok()).collect();
        let doctors: Vec<_> = of(MemberKind::Doctor).filter_map(|chat| chat.customer_id.parse().ok()).collect();
        let mut unit = self.store.read();
        let mut customers = HashMap::with_capacity(chats.len());
        for patient in unit.patients().find_all(&patients).await? {
            customers.insert(patient.id.to_string(), Customer::Patient(Box::new(patient)));
        }
        for doctor in unit.doctors().find_all(&doctors).await? {
            customers.insert(doctor.id.to_string(), Customer::Doctor(Box::new(doctor)));
        }
        Ok(customers)
    }

    async fn rows(&self, agent: AgentId, chats: Vec<Chat>) -> Result<Vec<ChatRow>, DeskError> {
        let ids: Vec<ConversationId> = chats.iter().map(|chat| chat.conversation_id).collect();
        let mut customers = self.customers(&chats).await?;
        let mut unit = self.store.read();
        let summaries = unit.im().conversations().summaries(&ids).await?;
        let mut summaries: HashMap<_, _> = summaries.into_iter().map(|s| (s.conversation.id, s)).collect();
        let names = self.agent_names().await?;
        let drafts = unit.drafts().list(agent).await?;
        let is_waiting = chats.iter().any(|chat| chat.status == ChatStatus::Queued);
        let positions = if is_waiting { self.queue_positions().await? } else { HashMap::new() };
        let mut rows = Vec::with_capacity(chats.len());
        for chat in chats {
            let summary = summaries.remove(&chat.conversation_id);
            let queue_position = positions.get(&chat.conversation_id).copied();
            rows.push(ChatRow {
                customer: customers.remove(&chat.customer_id).unwrap_or(Customer::Unknown),
                agent_name: chat.agent.and_then(|agent| names.get(&agent).cloned()),
                queue_position,
                has_draft: drafts.iter().any(|draft| draft.conversation_id == chat.conversation_id),
                ..self.seats(chat, summary.as_ref())
            });
        }
        Ok(rows)
    }

    /// What the conversation itself shows of a chat.
    fn seats(&self, chat: Chat, summary: Option<&ConversationSummary>) -> ChatRow {
        let assistant = self.assistant.to_string();
        let member = |client_id: &str| {
            let members = summary.iter().flat_map(|summary| &summary.members);
            members.into_iter().find(|member| member.client_id == client_id)
        };
        let last_seq = summary.map_or(0, |summary| summary.conversation.last_seq);
        let (own, other) = (member(&assistant), member(&chat.customer_id));
        ChatRow {
            last_seq,
            unread_count: own.map_or(0, |own| own.unread_count(last_seq)),
            read_seq: own.map_or(0, |own| own.read_seq),
            customer_read_seq: other.map_or(0, |other| other.read_seq),
            customer_delivered_seq: other.map_or(0, |other| other.delivered_seq),
            last_message: summary.and_then(|summary| summary.last_message.clone()),
            customer: Customer::Unknown,
            agent_name: None,
            queue_position: None,
            has_draft: false,
            rating: chat.detail.rating,
            chat,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{ObjectId, Timestamp};

    use super::*;

    fn waiting(n: u32) -> Chat {
        let at = Timestamp::from_millis(0) + Duration::from_secs(u64::from(n));
        let id = ObjectId::from_parts(1, [0; 5], n);
        let mut chat = Chat::new(id.into(), n.to_string(), MemberKind::Patient, at);
        chat.enqueue(at);
        chat
    }

    fn pages(queue: &[Chat], served_between: impl Fn(&Chat) -> bool) -> Vec<String> {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let left: Vec<&Chat> = queue.iter().filter(|chat| after.is_none() || !served_between(chat)).collect();
            let page = part_of_queue(&left, PageRequest { limit: 2, after });
            seen.extend(page.items.iter().map(|chat| chat.customer_id.clone()));
            after = page.next;
            if after.is_none() {
                return seen;
            }
        }
    }

    #[test]
    fn the_queue_is_paged_in_the_order_it_is_served_in() {
        let queue = [4, 1, 2, 3, 5].map(waiting);
        assert_eq!(pages(&queue, |_| false), ["4", "1", "2", "3", "5"], "4 is urgent");
        assert_eq!(pages(&queue, |chat| chat.customer_id == "1"), ["4", "1", "4", "2", "3", "5"], "1 was served");
        assert_eq!(part_of_queue(&[], PageRequest { limit: 2, after: None }).next, None);
    }
}
