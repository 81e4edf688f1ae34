//! One episode of consulting, its transitions' records and how they are stored.

use async_trait::async_trait;
use domain::doctor::Doctor;
use domain::id::{ConsultationEventId, ConsultationId, ConversationId, DoctorId, PatientId, RelationId, ReportId};
use domain::money::Fen;
use domain::page::{Page, PageRequest};
use domain::{StoreError, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Where a consultation stands. The digit is the wire form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// "0": started, no doctor's reply yet.
    #[serde(rename = "0")]
    New,
    /// "1": the doctor has replied.
    #[serde(rename = "1")]
    Replying,
    /// "2": over.
    #[serde(rename = "2")]
    Ended,
}

impl Status {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "0",
            Self::Replying => "1",
            Self::Ended => "2",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::New, Self::Replying, Self::Ended].into_iter().find(|s| s.as_str() == text)
    }
}

/// How the doctor is consulted. The original call has no type, so `Normal` is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConsultationType {
    #[default]
    Normal,
    Phone,
}

impl ConsultationType {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Phone => "phone",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Normal, Self::Phone].into_iter().find(|t| t.as_str() == text)
    }

    /// Whether the doctor offers this type: `Normal` unless switched off, `Phone` only if switched on.
    pub fn is_offered_by(self, doctor: &Doctor) -> bool {
        match self {
            Self::Normal => doctor.is_normal_open.unwrap_or(true),
            Self::Phone => doctor.is_phone_open.unwrap_or(false),
        }
    }

    /// What the doctor asks for this type at present.
    pub const fn price_of(self, doctor: &Doctor) -> Option<Fen> {
        match self {
            Self::Normal => doctor.normal_price,
            Self::Phone => doctor.phone_price,
        }
    }
}

/// Why a consultation is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The doctor ended it before replying.
    Declined,
    /// The doctor ended it after replying.
    Completed,
    /// The patient ended it before the doctor replied.
    Cancelled,
    /// The patient ended it after the doctor replied.
    CompletedByPatient,
    ExpiredNoReply,
    IdleTimeout,
    MaxDuration,
    Blocked,
    DoctorUnavailable,
    Voided,
    /// One of the two closed their account.
    AccountClosed,
    /// An import found a newer open one of the same pair.
    Superseded,
    /// Imported as ended; LeanCloud did not keep why.
    Imported,
}

impl EndReason {
    pub const ALL: [Self; 13] = [
        Self::Declined,
        Self::Completed,
        Self::Cancelled,
        Self::CompletedByPatient,
        Self::ExpiredNoReply,
        Self::IdleTimeout,
        Self::MaxDuration,
        Self::Blocked,
        Self::DoctorUnavailable,
        Self::Voided,
        Self::AccountClosed,
        Self::Superseded,
        Self::Imported,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::CompletedByPatient => "completed_by_patient",
            Self::ExpiredNoReply => "expired_no_reply",
            Self::IdleTimeout => "idle_timeout",
            Self::MaxDuration => "max_duration",
            Self::Blocked => "blocked",
            Self::DoctorUnavailable => "doctor_unavailable",
            Self::Voided => "voided",
            Self::AccountClosed => "account_closed",
            Self::Superseded => "superseded",
            Self::Imported => "imported",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }
}

/// A doctor and a patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    pub doctor: DoctorId,
    pub patient: PatientId,
}

/// One consultation.
#[derive(Debug, Clone, PartialEq)]
pub struct Consultation {
    pub id: ConsultationId,
    pub pair: Pair,
    pub relation_id: RelationId,
    pub dialog_id: Option<ConversationId>,
    pub status: Status,
    pub is_invalid: bool,
    pub end_reason: Option<EndReason>,
    /// What the doctor or administrator wrote when ending it.
    pub end_note: Option<String>,
    pub kind: ConsultationType,
    /// Price when it was started.
    pub price: Option<Fen>,
    pub latest_report_id: Option<ReportId>,
    pub started_at: Timestamp,
    pub first_reply_at: Option<Timestamp>,
    pub last_message_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// While `New`: when it expires without a reply.
    pub no_reply_deadline: Option<Timestamp>,
    /// While `Replying`: when it ends for silence.
    pub idle_deadline: Option<Timestamp>,
    /// Both sides were warned that the current deadline is near.
    pub is_warned: bool,
    /// The opening instant that the last off-hours reply named: one reply per closed period.
    pub off_hours_reply_until: Option<Timestamp>,
    /// Number of the patient's messages, for the optional limit.
    pub patient_message_count: i64,
    pub extra: Map<String, Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows by one with every transition; a write names the version it read.
    pub version: i64,
}

impl Consultation {
    /// Open and valid: at most one such row per pair.
    pub fn is_open(&self) -> bool {
        self.status != Status::Ended && !self.is_invalid
    }
}

/// A transition as it happened.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsultationEvent {
    pub id: ConsultationEventId,
    pub consultation_id: ConsultationId,
    /// Stable word of the event, e.g. `initiated`, `ended_by_doctor`.
    pub event: String,
    /// [`domain::Actor::label`] of who caused it.
    pub actor: String,
    pub from_status: Option<Status>,
    pub to_status: Status,
    pub end_reason: Option<EndReason>,
    pub note: Option<String>,
    pub at: Timestamp,
}

/// The little that answers most initiate calls: does the pair exist, is it blocked, is one open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairProbe {
    pub pair: Pair,
    pub doctor_exists: bool,
    pub patient_exists: bool,
    pub is_blocked: bool,
    pub open: Option<OpenConsultation>,
}

/// An open consultation as the initiate call answers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenConsultation {
    pub id: ConsultationId,
    pub status: Status,
    pub started_at: Timestamp,
}

/// Which consultations are asked for; unset fields do not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConsultationFilter {
    pub doctor: Option<DoctorId>,
    pub patient: Option<PatientId>,
    pub status: Option<Status>,
}

/// Which deadline a sweep looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// `New` with `no_reply_deadline` before the given instant.
    NoReply,
    /// `Replying` with `idle_deadline` before the given instant.
    Idle,
    /// Open, not yet warned, with its current deadline before the given instant.
    Unwarned,
    /// Open and started before the given instant.
    StartedBefore,
}

/// Stores consultations and their events.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ConsultationRepository: Send {
    /// One probe per pair, in the order asked. One statement.
    async fn probe(&mut self, pairs: &[Pair]) -> Result<Vec<PairProbe>, StoreError>;
    async fn find(&mut self, id: ConsultationId) -> Result<Option<Consultation>, StoreError>;
    /// Those that exist.
    async fn find_all(&mut self, ids: &[ConsultationId]) -> Result<Vec<Consultation>, StoreError>;
    /// The open, valid consultations of the pairs, at most one each.
    async fn find_open(&mut self, pairs: &[Pair]) -> Result<Vec<Consultation>, StoreError>;
    /// All open, valid consultations of a doctor.
    async fn find_open_of_doctor(&mut self, doctor: DoctorId) -> Result<Vec<Consultation>, StoreError>;
    /// All open, valid consultations of a patient.
    async fn find_open_of_patient(&mut self, patient: PatientId) -> Result<Vec<Consultation>, StoreError>;
    /// Newest first.
    async fn list(&mut self, filter: &ConsultationFilter, page: PageRequest) -> Result<Page<Consultation>, StoreError>;
    /// Inserts those whose pair has no open valid row; returns the ids that went in.
    async fn insert_open(&mut self, new: &[Consultation]) -> Result<Vec<ConsultationId>, StoreError>;
    /// Writes the consultation if its version is still the one read, and bumps it; else [`StoreError::Conflict`].
    async fn update(&mut self, consultation: &Consultation) -> Result<(), StoreError>;
    /// Points the open consultations of a patient at the newest report.
    async fn set_latest_report(
        &mut self,
        patient: PatientId,
        report: ReportId,
        now: Timestamp,
    ) -> Result<(), StoreError>;
    /// Ids past a deadline, oldest first, at most `limit`.
    async fn find_overdue(
        &mut self,
        what: Overdue,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ConsultationId>, StoreError>;
    async fn append_events(&mut self, events: &[ConsultationEvent]) -> Result<(), StoreError>;
    /// Oldest first.
    async fn events(&mut self, id: ConsultationId) -> Result<Vec<ConsultationEvent>, StoreError>;
}
