//! Notifications: every decision whether somebody is told, with its reason, and the port they leave by.

use std::collections::HashSet;

use async_trait::async_trait;
use domain::id::{ConsultationId, ConversationId, DoctorId, NotificationId, PatientId};
use domain::page::{Page, PageRequest};
use domain::{StoreError, Timestamp};
use futures_util::stream::{self, StreamExt};

use crate::consultation::Pair;

/// Who is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recipient {
    Doctor(DoctorId),
    Patient(PatientId),
}

impl Recipient {
    /// Under which they are in conversations.
    pub fn client_id(self) -> String {
        match self {
            Self::Doctor(id) => id.to_string(),
            Self::Patient(id) => id.to_string(),
        }
    }

    pub const fn side(self) -> Side {
        match self {
            Self::Doctor(_) => Side::Doctor,
            Self::Patient(_) => Side::Patient,
        }
    }
}

/// One of the two parties of a consultation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    Doctor,
    Patient,
}

impl Side {
    /// Who that is in a pair.
    pub const fn of(self, pair: Pair) -> Recipient {
        match self {
            Self::Doctor => Recipient::Doctor(pair.doctor),
            Self::Patient => Recipient::Patient(pair.patient),
        }
    }
}

/// What happened that somebody may have to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A patient started a consultation.
    Initiated,
    /// The patient called initiate while one was open.
    RepeatInitiate,
    PatientMessage,
    DoctorMessage,
    /// A message of the recipient's own.
    OwnMessage,
    /// A system, automatic or assistant message.
    SystemMessage,
    Ended,
    Reopened,
    /// A deadline is near.
    AboutToExpire,
    /// Unread and unanswered for too long.
    Escalation,
    /// The desk answered in the conversation with the assistant.
    AssistantAnswer,
    CertificationApproved,
    CertificationRejected,
    CertificationRevoked,
}

impl Cause {
    pub const ALL: [Self; 14] = [
        Self::Initiated,
        Self::RepeatInitiate,
        Self::PatientMessage,
        Self::DoctorMessage,
        Self::OwnMessage,
        Self::SystemMessage,
        Self::Ended,
        Self::Reopened,
        Self::AboutToExpire,
        Self::Escalation,
        Self::AssistantAnswer,
        Self::CertificationApproved,
        Self::CertificationRejected,
        Self::CertificationRevoked,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::RepeatInitiate => "repeat_initiate",
            Self::PatientMessage => "patient_message",
            Self::DoctorMessage => "doctor_message",
            Self::OwnMessage => "own_message",
            Self::SystemMessage => "system_message",
            Self::Ended => "ended",
            Self::Reopened => "reopened",
            Self::AboutToExpire => "about_to_expire",
            Self::Escalation => "escalation",
            Self::AssistantAnswer => "assistant_answer",
            Self::CertificationApproved => "certification_approved",
            Self::CertificationRejected => "certification_rejected",
            Self::CertificationRevoked => "certification_revoked",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == text)
    }
}

/// The way a notification leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    Wechat,
    Sms,
}

impl Channel {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wechat => "wechat",
            Self::Sms => "sms",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Wechat, Self::Sms].into_iter().find(|c| c.as_str() == text)
    }
}

/// Why a decision came out as it did. The words are stored, counted and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    ConsultationClosed,
    RelationBlocked,
    DoctorNotAuthenticated,
    ConsultingOff,
    TypeOff,
    NotNotifiable,
    OnlineViewing,
    Coalesced,
    OutsideWindow,
    NoChannel,
    /// Sent, and the doctor's hours could not be read.
    HoursInvalid,
    /// Sent, and the doctor has set no hours.
    HoursUnset,
    /// Sent, inside the hours.
    InsideWindow,
    /// Sent; hours do not matter for this recipient or cause.
    Always,
}

impl Reason {
    pub const ALL: [Self; 14] = [
        Self::ConsultationClosed,
        Self::RelationBlocked,
        Self::DoctorNotAuthenticated,
        Self::ConsultingOff,
        Self::TypeOff,
        Self::NotNotifiable,
        Self::OnlineViewing,
        Self::Coalesced,
        Self::OutsideWindow,
        Self::NoChannel,
        Self::HoursInvalid,
        Self::HoursUnset,
        Self::InsideWindow,
        Self::Always,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConsultationClosed => "CONSULTATION_CLOSED",
            Self::RelationBlocked => "RELATION_BLOCKED",
            Self::DoctorNotAuthenticated => "DOCTOR_NOT_AUTHENTICATED",
            Self::ConsultingOff => "CONSULTING_OFF",
            Self::TypeOff => "TYPE_OFF",
            Self::NotNotifiable => "NOT_NOTIFIABLE",
            Self::OnlineViewing => "ONLINE_VIEWING",
            Self::Coalesced => "COALESCED",
            Self::OutsideWindow => "OUTSIDE_WINDOW",
            Self::NoChannel => "NO_CHANNEL",
            Self::HoursInvalid => "HOURS_INVALID",
            Self::HoursUnset => "HOURS_UNSET",
            Self::InsideWindow => "INSIDE_WINDOW",
            Self::Always => "ALWAYS",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }
}

/// Where a notification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotificationState {
    /// Waiting for its job: now, or at the next opening.
    Queued,
    Sent,
    /// Decided against, at once or when its time came.
    Suppressed,
    /// Its consultation closed while it was queued.
    Cancelled,
    /// Every channel refused.
    Failed,
}

impl NotificationState {
    pub const ALL: [Self; 5] = [Self::Queued, Self::Sent, Self::Suppressed, Self::Cancelled, Self::Failed];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Suppressed => "suppressed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// One decision and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Notification {
    pub id: NotificationId,
    pub recipient: Recipient,
    pub consultation_id: Option<ConsultationId>,
    pub cause: Cause,
    pub state: NotificationState,
    pub reason: Reason,
    pub channel: Option<Channel>,
    /// When it is to leave, or left.
    pub due_at: Timestamp,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Which decisions are asked for; unset fields do not restrict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NotificationFilter {
    pub consultation: Option<ConsultationId>,
    pub recipient: Option<Recipient>,
    pub state: Option<NotificationState>,
}

/// Which answers of the desk are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerSearch {
    /// Only in this conversation, where it is set.
    pub only: Option<ConversationId>,
    /// Said between these two times.
    pub said: (Timestamp, Timestamp),
    /// Whose customer was not told of an answer since.
    pub not_told_since: Timestamp,
    pub now: Timestamp,
}

/// Somebody in their conversation with the assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssistantSeat {
    pub conversation_id: ConversationId,
    pub recipient: Recipient,
}

/// Stores notifications.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait NotificationRepository: Send {
    async fn insert_all(&mut self, notifications: &[Notification]) -> Result<(), StoreError>;
    /// Those that exist.
    async fn find_all(&mut self, ids: &[NotificationId]) -> Result<Vec<Notification>, StoreError>;
    /// Writes what may change (state, reason, channel, times) of those that are still in one of the given states, so
    /// that two workers cannot settle one notification. Returns how many were.
    async fn settle(&mut self, notifications: &[Notification], from: &[NotificationState]) -> Result<u64, StoreError>;
    /// Cancels everything queued for a consultation, closing notices excepted; returns how many.
    async fn cancel_queued(&mut self, consultation: ConsultationId, now: Timestamp) -> Result<u64, StoreError>;
    /// When this recipient was last told, or queued to be told, of this consultation since `since`.
    async fn last_notified(
        &mut self,
        recipient: Recipient,
        consultation: ConsultationId,
        since: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError>;
    /// Those among the recipients to whom WeChat can carry a message: a grant is left, a service account is followed,
    /// or a message of `notification` is under way already.
    async fn reachable_by_wechat(
        &mut self,
        recipients: &[Recipient],
        notification: Option<NotificationId>,
    ) -> Result<HashSet<Recipient>, StoreError>;
    /// Open consultations of which the doctor was told between the two times, has not read everything in the dialog
    /// and has not answered since, and was not reminded by text message either; only `only` where it is set. At most
    /// `limit`.
    async fn find_unanswered(
        &mut self,
        only: Option<ConsultationId>,
        told_after: Timestamp,
        told_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ConsultationId>, StoreError>;
    /// Of those that were suppressed between the two times because their recipient had the dialog open in front: those
    /// whose recipient does not have it open any more, has not read everything in it, and was not thought of since;
    /// only `only` where it is set. At most `limit`, each with consultation and recipient.
    async fn find_unseen(
        &mut self,
        only: Option<NotificationId>,
        suppressed: (Timestamp, Timestamp),
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<NotificationId>, StoreError>;
    /// Customers of the desk with an answer of an agent that they have neither read nor written after, who do not have
    /// the conversation open in front and are not answered through WeChat, and of whom no decision was taken since.
    /// Longest unchanged first, at most `limit`.
    async fn find_unread_answers(
        &mut self,
        search: &AnswerSearch,
        limit: u32,
    ) -> Result<Vec<AssistantSeat>, StoreError>;
    /// The conversations these people have with the assistant.
    async fn assistant_conversations(&mut self, recipients: &[Recipient]) -> Result<Vec<AssistantSeat>, StoreError>;
    /// Which of these have another one beside them by which their recipient was told, or is queued to be told, of the
    /// same consultation since `since`, and when that was last.
    async fn told_otherwise(
        &mut self,
        ids: &[NotificationId],
        since: Timestamp,
    ) -> Result<Vec<(NotificationId, Timestamp)>, StoreError>;
    /// Oldest first.
    async fn list(&mut self, consultation: ConsultationId) -> Result<Vec<Notification>, StoreError>;
    /// Newest first.
    async fn list_all(
        &mut self,
        filter: &NotificationFilter,
        page: PageRequest,
    ) -> Result<Page<Notification>, StoreError>;
}

/// What is handed to a channel: neutral words only, nothing medical.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The notification's id: a second delivery under it has no effect.
    pub notification_id: NotificationId,
    pub recipient: Recipient,
    pub channel: Channel,
    pub cause: Cause,
    pub consultation_id: Option<ConsultationId>,
}

/// Nothing was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// This recipient cannot be reached by this channel; try the next one.
    #[error("the channel cannot reach this recipient")]
    Refused,
    /// Trying again later may work.
    #[error("the channel is not available")]
    Unavailable,
}

/// Deliveries on their way at the same time by one channel.
const DELIVERIES_AT_ONCE: usize = 32;

/// Hands notifications to the outside. Idempotent by [`Delivery::notification_id`].
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Notifier: Send + Sync {
    /// # Errors
    /// [`DeliveryError`] when nothing was delivered.
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError>;

    /// Delivers several and answers for each, in order; a few side by side unless the channel knows better.
    async fn deliver_all(&self, deliveries: &[Delivery]) -> Vec<Result<(), DeliveryError>> {
        let each: Vec<_> = deliveries.iter().map(|delivery| self.deliver(delivery)).collect();
        stream::iter(each).buffered(DELIVERIES_AT_ONCE).collect().await
    }
}
