//! Consultations, their trail and their dialog on the wire.

use consultation::Consultation;
use consultation::consultation::ConsultationEvent;
use consultation::notification::{Notification, Recipient};
use consultation::service::Initiated;
use domain::money::Fen;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Enum, Object};

use crate::http::values::{Id, Instant};
use crate::http::words::{
    ConsultationStatus, ConsultationType, EndReason, NotificationCause, NotificationChannel, NotificationReason,
    NotificationState,
};

/// Who consults whom.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct InitiateConsultationRequest {
    /// The doctor.
    pub doctor_id: Id,
    /// The patient.
    pub patient_id: Id,
    /// How the doctor is consulted; `normal` unless said.
    #[oai(rename = "type")]
    pub kind: Option<ConsultationType>,
}

/// The consultation that was started, or the open one that was there.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct InitiatedView {
    /// Id of the consultation.
    pub consultation_id: Id,
    /// True when an open consultation was there before.
    pub is_old: bool,
    /// Where it stands.
    pub status: ConsultationStatus,
    /// When it was started; a repeat does not move it.
    pub start_at: Instant,
}

/// Answer of starting a consultation.
#[derive(ApiResponse)]
pub enum InitiatedAnswer {
    /// An open consultation of the two was there before.
    #[oai(status = 200)]
    Existing(Json<InitiatedView>),
    /// The consultation was started.
    #[oai(status = 201)]
    Started(Json<InitiatedView>),
}

/// One consultation.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ConsultationView {
    /// Id of the consultation.
    pub object_id: Id,
    /// The doctor.
    pub id_doctor: Id,
    /// The patient.
    pub id_patient: Id,
    /// Their relation.
    pub id_relation: Id,
    /// The conversation of this consultation.
    pub id_dialog: Option<Id>,
    /// Where it stands.
    pub status: ConsultationStatus,
    /// True when it ended without having counted: expired, blocked, voided.
    pub is_invalid: bool,
    /// How the doctor is consulted.
    #[oai(rename = "type")]
    pub kind: ConsultationType,
    /// Price when it was started, in fen (1/100 yuan).
    pub price: Option<i64>,
    /// The patient's newest report.
    pub latest_report_id: Option<Id>,
    /// When it was started.
    pub started_at: Instant,
    /// When the doctor first replied.
    pub first_reply_at: Option<Instant>,
    /// When somebody last wrote.
    pub last_message_at: Option<Instant>,
    /// When it ended.
    pub ended_at: Option<Instant>,
    /// Why it ended.
    pub end_reason: Option<EndReason>,
    /// What was written on ending it.
    pub end_note: Option<String>,
    /// When it expires unless the doctor replies.
    pub no_reply_deadline: Option<Instant>,
    /// When it ends unless somebody writes.
    pub idle_deadline: Option<Instant>,
}

/// Ending a consultation.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndConsultationRequest {
    /// Why. A doctor who has not replied yet must say it.
    #[oai(validator(max_length = 500))]
    pub reason: Option<String>,
}

/// A transition of a consultation as it happened.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ConsultationEventView {
    /// Id of the event.
    pub object_id: Id,
    /// Stable word of the event.
    pub event: String,
    /// Who caused it: kind and id, e.g. `user:5db2…`, or `system`.
    pub actor: String,
    /// Status before.
    pub from_status: Option<ConsultationStatus>,
    /// Status after.
    pub to_status: ConsultationStatus,
    /// Why it ended, if it did.
    pub end_reason: Option<EndReason>,
    /// What was written.
    pub note: Option<String>,
    /// When.
    pub at: Instant,
}

/// Which side is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum RecipientKind {
    Doctor,
    Patient,
}

/// A decision whether somebody is told, with its reason and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct NotificationView {
    /// Id of the notification.
    pub object_id: Id,
    /// The consultation it is about, if it is about one.
    pub consultation_id: Option<Id>,
    /// Which side is told.
    pub recipient: RecipientKind,
    /// Id of the doctor or patient.
    pub recipient_id: Id,
    /// What it is about.
    pub cause: NotificationCause,
    /// What has become of it.
    pub state: NotificationState,
    /// Why it was decided so.
    pub reason: NotificationReason,
    /// The way it leaves or left.
    pub channel: Option<NotificationChannel>,
    /// When it is to leave, or left.
    pub due_at: Instant,
    /// When it was decided.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl From<Initiated> for InitiatedAnswer {
    fn from(initiated: Initiated) -> Self {
        let view = InitiatedView {
            consultation_id: initiated.consultation_id.into(),
            is_old: initiated.is_old,
            status: initiated.status.into(),
            start_at: Instant(initiated.started_at),
        };
        if initiated.is_old { Self::Existing(Json(view)) } else { Self::Started(Json(view)) }
    }
}

impl From<Consultation> for ConsultationView {
    fn from(consultation: Consultation) -> Self {
        Self {
            object_id: consultation.id.into(),
            id_doctor: consultation.pair.doctor.into(),
            id_patient: consultation.pair.patient.into(),
            id_relation: consultation.relation_id.into(),
            id_dialog: consultation.dialog_id.map(Id::from),
            status: consultation.status.into(),
            is_invalid: consultation.is_invalid,
            kind: consultation.kind.into(),
            price: consultation.price.map(Fen::as_fen),
            latest_report_id: consultation.latest_report_id.map(Id::from),
            started_at: Instant(consultation.started_at),
            first_reply_at: consultation.first_reply_at.map(Instant),
            last_message_at: consultation.last_message_at.map(Instant),
            ended_at: consultation.ended_at.map(Instant),
            end_reason: consultation.end_reason.map(EndReason::from),
            end_note: consultation.end_note,
            no_reply_deadline: consultation.no_reply_deadline.map(Instant),
            idle_deadline: consultation.idle_deadline.map(Instant),
        }
    }
}

impl From<ConsultationEvent> for ConsultationEventView {
    fn from(event: ConsultationEvent) -> Self {
        Self {
            object_id: event.id.into(),
            event: event.event,
            actor: event.actor,
            from_status: event.from_status.map(ConsultationStatus::from),
            to_status: event.to_status.into(),
            end_reason: event.end_reason.map(EndReason::from),
            note: event.note,
            at: Instant(event.at),
        }
    }
}

impl From<Notification> for NotificationView {
    fn from(notification: Notification) -> Self {
        let (recipient, recipient_id) = match notification.recipient {
            Recipient::Doctor(id) => (RecipientKind::Doctor, id.into()),
            Recipient::Patient(id) => (RecipientKind::Patient, id.into()),
        };
        Self {
            object_id: notification.id.into(),
            consultation_id: notification.consultation_id.map(Id::from),
            recipient,
            recipient_id,
            cause: notification.cause.into(),
            state: notification.state.into(),
            reason: notification.reason.into(),
            channel: notification.channel.map(NotificationChannel::from),
            due_at: Instant(notification.due_at),
            created_at: Instant(notification.created_at),
            updated_at: Instant(notification.updated_at),
        }
    }
}
