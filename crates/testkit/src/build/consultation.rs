//! Building consultations.

use consultation::consultation::Pair;
use consultation::{Consultation, ConsultationType, EndReason, Status};
use domain::Timestamp;
use domain::time::span;
use serde_json::Map;

use super::{consultation_id, dialog_id, relation_id};
use crate::clock::MONDAY_MORNING;

/// See [`consultation()`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `done`"]
pub struct ConsultationBuilder(Consultation);

/// A new consultation of the pair in `relation_id(n)`, started at [`MONDAY_MORNING`], expiring after 48 hours.
pub fn consultation(n: u32, pair: Pair) -> ConsultationBuilder {
    ConsultationBuilder(Consultation {
        id: consultation_id(n),
        pair,
        relation_id: relation_id(n),
        dialog_id: Some(dialog_id(n)),
        status: Status::New,
        is_invalid: false,
        end_reason: None,
        end_note: None,
        kind: ConsultationType::Normal,
        price: None,
        latest_report_id: None,
        started_at: MONDAY_MORNING,
        first_reply_at: None,
        last_message_at: None,
        ended_at: None,
        no_reply_deadline: Some(MONDAY_MORNING + span::hours(48)),
        idle_deadline: None,
        is_warned: false,
        off_hours_reply_until: None,
        patient_message_count: 0,
        extra: Map::new(),
        created_at: MONDAY_MORNING,
        updated_at: MONDAY_MORNING,
        version: 1,
    })
}

impl ConsultationBuilder {
    pub fn done(self) -> Consultation {
        self.0
    }

    /// Answered by the doctor at `at`; ends for silence 48 hours later.
    pub fn replied(mut self, at: Timestamp) -> Self {
        self.0.status = Status::Replying;
        self.0.first_reply_at = Some(at);
        self.0.last_message_at = Some(at);
        self.0.no_reply_deadline = None;
        self.0.idle_deadline = Some(at + span::hours(48));
        self
    }

    /// Over since `at`.
    pub fn ended(mut self, reason: EndReason, at: Timestamp) -> Self {
        self.0.status = Status::Ended;
        self.0.end_reason = Some(reason);
        self.0.ended_at = Some(at);
        self.0.no_reply_deadline = None;
        self.0.idle_deadline = None;
        self
    }

    pub fn invalid(mut self) -> Self {
        self.0.is_invalid = true;
        self
    }

    pub fn kind(mut self, kind: ConsultationType) -> Self {
        self.0.kind = kind;
        self
    }

    pub fn warned(mut self) -> Self {
        self.0.is_warned = true;
        self
    }

    /// The deadline that counts in its status.
    pub fn deadline(mut self, at: Timestamp) -> Self {
        match self.0.status {
            Status::New => self.0.no_reply_deadline = Some(at),
            Status::Replying => self.0.idle_deadline = Some(at),
            Status::Ended => {}
        }
        self
    }

    /// Started and made at `at`; the deadlines stay.
    pub fn started_at(mut self, at: Timestamp) -> Self {
        self.0.started_at = at;
        self.0.created_at = at;
        self.0.updated_at = at;
        self
    }
}
