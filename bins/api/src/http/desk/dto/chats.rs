//! Chats at the desk on the wire.

use std::collections::HashMap;

use chrono::{Datelike, NaiveDate};
use consultation::service::DeskConsultation;
use domain::Timestamp;
use domain::id::AgentId;
use im::desk::chat::Offer;
use im::desk::entry::DeskEntry;
use im::desk::episode::Episode;
use im::desk::ports::{ChatCounts, Draft};
use im::desk::service::{ChatPatch, ChatRow, Customer, Profile};
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object};
use serde_json::Value;

use crate::http::files::links::{FileRef, Links};
use crate::http::messages::dto::MessageView;
use crate::http::values::{Date, Id, Instant, patch};
use crate::http::words::{
    AssignReason, CertificationState, ChatCloseReason, ChatStatus, ChatTurn, ConsultationStatus, DeskEntryKind, Gender,
    MemberKind, SlaKind,
};

/// Which chats are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum ChatViewName {
    Mine,
    Waiting,
    All,
    Closed,
}

/// How many chats there are in each view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct DeskCountsView {
    /// Chats the caller has.
    pub mine: u64,
    /// Chats offered to the caller.
    pub offered: u64,
    /// Chats that wait.
    pub waiting: u64,
    /// All chats.
    pub all: u64,
    /// Closed chats.
    pub closed: u64,
    /// Unread messages in the caller's chats.
    pub mine_unread: u64,
}

/// Who a chat is with.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct DeskCustomerView {
    /// The id of the patient or doctor.
    pub client_id: String,
    /// Patient or doctor.
    pub kind: MemberKind,
    /// Name.
    pub name: Option<String>,
    /// Picture.
    pub icon: Option<FileRef>,
    /// Professional title of a doctor.
    pub title: Option<String>,
    /// Hospital of a doctor.
    pub hospital: Option<String>,
}

/// A chat that one agent asks another to take.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct OfferView {
    /// Who has it.
    pub from_agent_id: Id,
    /// Who is asked.
    pub to_agent_id: Id,
    /// What was written with it.
    pub note: String,
    /// It ends by itself then.
    pub until: Instant,
}

/// A chat as the desk sees it.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct DeskChatView {
    /// The conversation.
    pub conversation_id: Id,
    /// Who it is with.
    pub customer: DeskCustomerView,
    /// Where it stands.
    pub status: ChatStatus,
    /// Whose turn it is, when it is assigned.
    pub turn: Option<ChatTurn>,
    /// 0 is usual, 3 most urgent.
    pub priority: u8,
    /// Only agents of this group are given it.
    pub group: Option<String>,
    /// Only agents who have all of these are given it.
    pub skills: Vec<String>,
    /// Who has it.
    pub agent_id: Option<Id>,
    /// Name of who has it.
    pub agent_name: Option<String>,
    /// Why this agent has it.
    pub assign_reason: Option<AssignReason>,
    /// Since when.
    pub assigned_at: Option<Instant>,
    /// Since when it waits.
    pub queued_at: Option<Instant>,
    /// Place in the queue, from 1.
    pub queue_position: Option<u64>,
    /// Since when the customer waits for an answer.
    pub waiting_since: Option<Instant>,
    /// When the next aim is due; stands still outside the hours.
    pub sla_due_at: Option<Instant>,
    /// Which aim that is.
    pub sla_kind: Option<SlaKind>,
    /// Whether the aim was missed.
    pub is_overdue: bool,
    /// It is offered to somebody.
    pub offer: Option<OfferView>,
    /// What the customer wrote that the desk has not read.
    pub unread_count: i64,
    /// `seq` of the newest message.
    pub last_seq: i64,
    /// The desk has read up to here.
    pub read_seq: i64,
    /// The customer has read up to here.
    pub customer_read_seq: i64,
    /// The customer has everything up to here on a device.
    pub customer_delivered_seq: i64,
    /// The newest message.
    pub last_message: Option<MessageView>,
    /// Whether the caller has a draft for it.
    pub has_draft: bool,
    /// What the desk calls the customer.
    pub tags: Vec<String>,
    /// What the desk keeps in mind about the customer.
    pub remark: Option<String>,
    /// Whether the customer is kept from writing.
    pub is_blocked: bool,
    /// When the customer was warned that it will be closed.
    pub warned_at: Option<Instant>,
    /// When it was closed.
    pub closed_at: Option<Instant>,
    /// Why it was closed.
    pub close_reason: Option<ChatCloseReason>,
    /// What the customer thought of the last service.
    pub rating: Option<u8>,
    /// When it last changed.
    pub updated_at: Instant,
    /// Grows with every change.
    pub version: i64,
}

/// A change of what the desk keeps about a customer.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChatChangePatch {
    /// What the desk calls the customer; each at most 30 characters.
    #[oai(validator(max_items = 20))]
    pub tags: Option<Vec<String>>,
    /// What the desk keeps in mind about the customer.
    #[oai(validator(max_length = 500))]
    pub remark: MaybeUndefined<String>,
    /// Whether the customer is kept from writing.
    pub is_blocked: Option<bool>,
    /// 0 is usual, 3 most urgent.
    #[oai(validator(maximum(value = "3")))]
    pub priority: Option<u8>,
    /// What an agent must be able to do to be given it.
    #[oai(validator(max_items = 20))]
    pub skills: Option<Vec<String>>,
}

/// Putting a chat back.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseRequest {
    /// For whoever has it next.
    #[oai(validator(max_length = 2000))]
    pub note: Option<String>,
}

/// Handing a chat over: to exactly one of an agent and a group.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransferRequest {
    /// The agent who is asked.
    pub agent_id: Option<Id>,
    /// The group whose queue it goes to.
    #[oai(validator(min_length = 1, max_length = 30))]
    pub group: Option<String>,
    /// For whoever has it next.
    #[oai(validator(min_length = 1, max_length = 2000))]
    pub note: String,
}

/// A note.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct NoteRequest {
    /// What it says.
    #[oai(validator(min_length = 1, max_length = 2000))]
    pub text: String,
}

/// A note or an event between the messages of a chat.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct DeskEntryView {
    /// Id of the entry.
    pub object_id: Id,
    /// What it tells.
    pub kind: DeskEntryKind,
    /// Whose doing it was; absent when the desk did it by itself.
    pub agent_id: Option<Id>,
    /// Their name.
    pub agent_name: Option<String>,
    /// It stands after this message.
    pub after_seq: i64,
    /// Of a note what it says, of a transfer its note, of a takeover the reason.
    pub text: Option<String>,
    /// Small facts, by its kind.
    pub data: Value,
    /// When.
    pub at: Instant,
}

/// A draft.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct DraftRequest {
    /// What was written so far.
    #[oai(validator(max_length = 10000))]
    pub text: String,
    /// Whether it is to become a note.
    pub is_note: bool,
}

/// A draft as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct DraftView {
    /// The conversation it is for.
    pub conversation_id: Id,
    /// What was written so far.
    pub text: String,
    /// Whether it is to become a note.
    pub is_note: bool,
    /// When it last changed.
    pub updated_at: Instant,
}

/// One time a customer was served.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct EpisodeView {
    /// Id of the episode.
    pub object_id: Id,
    /// Counts the customer's episodes from 1.
    pub number: i64,
    /// When the customer first wrote.
    pub opened_at: Instant,
    /// When an agent first had it.
    pub assigned_at: Option<Instant>,
    /// When an agent first answered.
    pub first_reply_at: Option<Instant>,
    /// When it ended.
    pub closed_at: Option<Instant>,
    /// Who had it last.
    pub agent_id: Option<Id>,
    /// Their name.
    pub agent_name: Option<String>,
    /// Why it ended.
    pub close_reason: Option<ChatCloseReason>,
    /// What the customer thought of it, 1 to 5.
    pub rating: Option<u8>,
    /// In their words.
    pub comment: Option<String>,
}

/// A consultation as the desk sees it: that it was, not what was said.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct DeskConsultationView {
    /// Id of the consultation.
    pub object_id: Id,
    /// Name of the doctor.
    pub doctor_name: Option<String>,
    /// Name of the patient.
    pub patient_name: Option<String>,
    /// Where it stands.
    pub status: ConsultationStatus,
    /// When it was started.
    pub started_at: Instant,
    /// When it ended.
    pub ended_at: Option<Instant>,
}

/// A customer as the desk may see them.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct DeskProfileView {
    /// The id of the patient or doctor.
    pub client_id: String,
    /// Patient or doctor.
    pub kind: MemberKind,
    /// Name.
    pub name: Option<String>,
    /// Gender.
    pub gender: Option<Gender>,
    /// Age in years.
    pub age: Option<u32>,
    /// Date of birth.
    pub birthday: Option<Date>,
    /// City.
    pub city: Option<String>,
    /// Phone number with its middle hidden.
    pub phone: Option<String>,
    /// Picture.
    pub icon: Option<FileRef>,
    /// Hospital of a doctor.
    pub hospital: Option<String>,
    /// Department of a doctor.
    pub department: Option<String>,
    /// Professional title of a doctor.
    pub title: Option<String>,
    /// State of certification of a doctor.
    pub certification: Option<CertificationState>,
    /// The newest sleep report of a patient.
    pub latest_report_id: Option<Id>,
    /// The latest consultations.
    pub consultations: Vec<DeskConsultationView>,
    /// The latest times the customer was served here.
    pub episodes: Vec<EpisodeView>,
    /// What the desk calls the customer.
    pub tags: Vec<String>,
    /// What the desk keeps in mind about the customer.
    pub remark: Option<String>,
    /// Whether the customer is kept from writing.
    pub is_blocked: bool,
    /// When the customer first opened the conversation.
    pub created_at: Instant,
    /// When the customer's account was closed.
    pub closed_at: Option<Instant>,
}

impl From<ChatCounts> for DeskCountsView {
    fn from(counts: ChatCounts) -> Self {
        let ChatCounts { mine, offered, waiting, all, closed, mine_unread } = counts;
        Self { mine, offered, waiting, all, closed, mine_unread }
    }
}

impl From<Offer> for OfferView {
    fn from(offer: Offer) -> Self {
        Self {
            from_agent_id: offer.from.into(),
            to_agent_id: offer.to.into(),
            note: offer.note,
            until: Instant(offer.until),
        }
    }
}

impl DeskChatView {
    pub fn of(row: ChatRow, now: Timestamp, links: Links<'_>) -> Self {
        let (sla, turn) = (row.chat.sla(), row.chat.turn());
        let ChatRow { chat, customer, .. } = row;
        let detail = chat.detail;
        Self {
            conversation_id: chat.conversation_id.into(),
            customer: DeskCustomerView {
                client_id: chat.customer_id,
                kind: chat.customer_kind.into(),
                name: customer.name().map(str::to_owned),
                icon: customer.icon().map(|icon| links.file(icon)),
                title: customer.title().map(str::to_owned),
                hospital: customer.hospital().map(str::to_owned),
            },
            status: chat.status.into(),
            turn: turn.map(ChatTurn::from),
            priority: chat.priority,
            group: detail.group,
            skills: detail.skills,
            agent_id: chat.agent.map(Id::from),
            agent_name: row.agent_name,
            assign_reason: chat.reason.map(AssignReason::from),
            assigned_at: chat.assigned_at.map(Instant),
            queued_at: chat.queued_at.map(Instant),
            queue_position: row.queue_position,
            waiting_since: detail.waiting_since.map(Instant),
            sla_due_at: sla.map(|(_, at)| Instant(at)),
            sla_kind: sla.map(|(kind, _)| kind.into()),
            is_overdue: sla.is_some_and(|(_, at)| at < now),
            offer: detail.offer.map(OfferView::from),
            unread_count: row.unread_count,
            last_seq: row.last_seq,
            read_seq: row.read_seq,
            customer_read_seq: row.customer_read_seq,
            customer_delivered_seq: row.customer_delivered_seq,
            last_message: row.last_message.map(|message| MessageView::of(message, links)),
            has_draft: row.has_draft,
            tags: detail.tags,
            remark: detail.remark,
            is_blocked: detail.is_blocked,
            warned_at: detail.warned_at.map(Instant),
            closed_at: detail.closed_at.map(Instant),
            close_reason: detail.close_reason.map(ChatCloseReason::from),
            rating: row.rating,
            updated_at: Instant(chat.updated_at),
            version: chat.version,
        }
    }
}

impl From<ChatChangePatch> for ChatPatch {
    fn from(sent: ChatChangePatch) -> Self {
        Self {
            tags: sent.tags,
            remark: patch(sent.remark, |v| v),
            is_blocked: sent.is_blocked,
            priority: sent.priority,
            skills: sent.skills,
        }
    }
}

impl DeskEntryView {
    pub fn of(entry: DeskEntry, names: &HashMap<AgentId, String>) -> Self {
        Self {
            object_id: entry.id.into(),
            kind: entry.kind.into(),
            agent_id: entry.agent.map(Id::from),
            agent_name: entry.agent.and_then(|agent| names.get(&agent).cloned()),
            after_seq: entry.after_seq,
            text: entry.text,
            data: entry.data,
            at: Instant(entry.at),
        }
    }
}

impl DraftView {
    pub fn nothing(conversation_id: Id, now: Timestamp) -> Self {
        Self { conversation_id, text: String::new(), is_note: false, updated_at: Instant(now) }
    }
}

impl From<Draft> for DraftView {
    fn from(draft: Draft) -> Self {
        Self {
            conversation_id: draft.conversation_id.into(),
            text: draft.text,
            is_note: draft.is_note,
            updated_at: Instant(draft.updated_at),
        }
    }
}

impl EpisodeView {
    pub fn of(episode: Episode, names: &HashMap<AgentId, String>) -> Self {
        Self {
            object_id: episode.id.into(),
            number: episode.number,
            opened_at: Instant(episode.opened_at),
            assigned_at: episode.assigned_at.map(Instant),
            first_reply_at: episode.first_reply_at.map(Instant),
            closed_at: episode.closed_at.map(Instant),
            agent_id: episode.agent.map(Id::from),
            agent_name: episode.agent.and_then(|agent| names.get(&agent).cloned()),
            close_reason: episode.close_reason.map(ChatCloseReason::from),
            rating: episode.rating,
            comment: episode.comment,
        }
    }
}

impl From<DeskConsultation> for DeskConsultationView {
    fn from(seen: DeskConsultation) -> Self {
        Self {
            object_id: seen.id.into(),
            doctor_name: seen.doctor_name,
            patient_name: seen.patient_name,
            status: seen.status.into(),
            started_at: Instant(seen.started_at),
            ended_at: seen.ended_at.map(Instant),
        }
    }
}

/// Whole years between two dates.
fn years_between(birthday: NaiveDate, today: NaiveDate) -> Option<u32> {
    let had_birthday = (today.month(), today.day()) >= (birthday.month(), birthday.day());
    u32::try_from(today.year() - birthday.year() - i32::from(!had_birthday)).ok()
}

impl DeskProfileView {
    pub fn of(
        profile: Profile,
        history: Vec<DeskConsultation>,
        names: &HashMap<AgentId, String>,
        today: NaiveDate,
        links: Links<'_>,
    ) -> Self {
        let Profile { chat, customer, episodes } = profile;
        let (name, title) = (customer.name().map(str::to_owned), customer.title().map(str::to_owned));
        let (icon, hospital) = (customer.icon(), customer.hospital().map(str::to_owned));
        let (gender, birthday, city, phone, report) = match &customer {
            Customer::Patient(patient) => {
                let phone = patient.phone.as_ref().map(domain::Phone::masked);
                (patient.gender, patient.birthday, patient.location.clone(), phone, patient.latest_report_id)
            }
            Customer::Doctor(doctor) => {
                (doctor.gender, None, None, doctor.phone.as_ref().map(domain::Phone::masked), None)
            }
            Customer::Unknown => (None, None, None, None, None),
        };
        let (department, certification) = match &customer {
            Customer::Doctor(doctor) => (doctor.department.clone(), Some(doctor.certification.into())),
            Customer::Patient(_) | Customer::Unknown => (None, None),
        };
        let closed_at = match &customer {
            Customer::Patient(patient) => patient.closed_at,
            Customer::Doctor(doctor) => doctor.closed_at,
            Customer::Unknown => None,
        };
        Self {
            client_id: chat.customer_id,
            kind: chat.customer_kind.into(),
            name,
            gender: gender.map(Gender::from),
            age: birthday.and_then(|birthday| years_between(birthday, today)),
            birthday: birthday.map(Date),
            city,
            phone,
            icon: icon.map(|icon| links.file(icon)),
            hospital,
            department,
            title,
            certification,
            latest_report_id: report.map(Id::from),
            consultations: history.into_iter().map(DeskConsultationView::from).collect(),
            episodes: episodes.into_iter().map(|episode| EpisodeView::of(episode, names)).collect(),
            tags: chat.detail.tags,
            remark: chat.detail.remark,
            is_blocked: chat.detail.is_blocked,
            created_at: Instant(chat.created_at),
            closed_at: closed_at.map(Instant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_counts_whole_years() {
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        assert_eq!(years_between(date("1980-11-28"), date("2026-11-28")), Some(46));
        assert_eq!(years_between(date("1980-11-29"), date("2026-11-28")), Some(45));
        assert_eq!(years_between(date("2024-02-29"), date("2025-02-28")), Some(0));
        assert_eq!(years_between(date("2027-01-01"), date("2026-11-28")), None);
    }
}
