//! The state machine of consultations: pure functions of (state, event, policy, now).

use domain::doctor::Doctor;
use domain::id::{ConsultationId, ConversationId, RelationId, ReportId};
use domain::{FieldError, Timestamp};
use im::SystemNotice;
use serde_json::Map;

use crate::consultation::{Consultation, ConsultationType, EndReason, Pair, Status};
use crate::error::ConsultationError;
use crate::notification::Cause;
use crate::policy::{ConsultationPolicy, WhenDoctorClosed};

/// What happens to a consultation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    EndByDoctor { reason: Option<String> },
    EndByPatient,
    ExpireNoReply,
    IdleTimeout,
    Warn,
    MaxDuration,
    Block,
    LoseCertification,
    Void { reason: String },
    Reopen(ReopenFacts),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReopenFacts {
    pub is_certified: bool,
    pub is_blocked: bool,
    pub has_newer_open: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Doctor,
    Patient,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    pub side: Side,
    pub cause: Cause,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    pub next: Consultation,
    pub event: &'static str,
    pub changed: bool,
    pub notice: Option<SystemNotice>,
    pub cancels_queued: bool,
    pub notify: Vec<Told>,
}

pub struct Start {
    pub id: ConsultationId,
    pub dialog_id: ConversationId,
    pub relation_id: RelationId,
    pub latest_report_id: Option<ReportId>,
    pub pair: Pair,
    pub kind: ConsultationType,
}

pub fn may_start(
    doctor: &Doctor,
    kind: ConsultationType,
    policy: &ConsultationPolicy,
) -> Result<(), ConsultationError> {
    if !doctor.is_certified() {
        return Err(ConsultationError::DoctorNotAuthenticated);
    }
    let is_open = match kind {
        ConsultationType::Normal => doctor.is_normal_open.unwrap_or(true),
        ConsultationType::Phone => doctor.is_phone_open.unwrap_or(false),
    };
    if !is_open {
        return Err(ConsultationError::TypeNotOpen);
    }
    if policy.when_doctor_closed == WhenDoctorClosed::Refuse && doctor.start_consultation != Some(true) {
        return Err(ConsultationError::DoctorClosed);
    }
    Ok(())
}

pub fn start(start: Start, doctor: &Doctor, policy: &ConsultationPolicy, now: Timestamp) -> Consultation {
    let price = match start.kind {
        ConsultationType::Normal => doctor.normal_price,
        ConsultationType::Phone => doctor.phone_price,
    };
    Consultation {
        id: start.id,
        pair: start.pair,
        relation_id: start.relation_id,
        dialog_id: Some(start.dialog_id),
        status: Status::New,
        is_invalid: false,
        end_reason: None,
        end_note: None,
        kind: start.kind,
        price,
        latest_report_id: start.latest_report_id,
        started_at: now,
        first_reply_at: None,
        last_message_at: None,
        ended_at: None,
        no_reply_deadline: Some(now + policy.no_reply_after),
        idle_deadline: None,
        is_warned: false,
        off_hours_reply_until: None,
        patient_message_count: 0,
        extra: Map::new(),
        created_at: now,
        updated_at: now,
        version: 1,
    }
}

pub fn started(consultation: &Consultation) -> Transition {
    Transition {
        next: consultation.clone(),
        event: "initiated",
        changed: true,
        notice: Some(SystemNotice::new("consultation.started", "咨询已开始")),
        cancels_queued: false,
        notify: Vec::new(),
    }
}

pub fn apply(
    current: &Consultation,
    event: &Event,
    policy: &ConsultationPolicy,
    now: Timestamp,
) -> Result<Transition, ConsultationError> {
    let mut t = Transition {
        next: current.clone(),
        event: "unchanged",
        changed: false,
        notice: None,
        cancels_queued: false,
        notify: Vec::new(),
    };
    if current.status == Status::Ended && !matches!(event, Event::Reopen(_) | Event::Void { .. }) {
        return Ok(t);
    }
    let (word, reason, invalid) = match event {
        Event::EndByDoctor { reason } => {
            if current.status == Status::New && reason.is_none() {
                return Err(FieldError::new("reason", "is needed before the first reply").into());
            }
            t.next.end_note.clone_from(reason);
            let r = if current.status == Status::New { EndReason::Declined } else { EndReason::Completed };
            ("ended_by_doctor", r, false)
        }
        Event::EndByPatient => {
            let r = if current.status == Status::New { EndReason::Cancelled } else { EndReason::CompletedByPatient };
            ("ended_by_patient", r, false)
        }
        Event::ExpireNoReply => ("expired", EndReason::ExpiredNoReply, true),
        Event::IdleTimeout => ("idle", EndReason::IdleTimeout, false),
        Event::MaxDuration => ("max_duration", EndReason::MaxDuration, current.status == Status::New),
        Event::Block => ("blocked", EndReason::Blocked, current.status == Status::New),
        Event::LoseCertification if current.status == Status::Replying => return Ok(t),
        Event::LoseCertification => ("doctor_unavailable", EndReason::DoctorUnavailable, true),
        Event::Void { reason } => {
            t.next.end_note = Some(reason.clone());
            ("voided", EndReason::Voided, true)
        }
        Event::Warn => {
            t.next.is_warned = true;
            t.changed = true;
            t.event = "warned";
            return Ok(t);
        }
        Event::Reopen(_) => {
            t.next.status = Status::Replying;
            t.next.end_reason = None;
            t.next.ended_at = None;
            t.next.idle_deadline = Some(now + policy.idle_after);
            t.changed = true;
            t.event = "reopened";
            return Ok(t);
        }
    };
    t.event = word;
    t.changed = true;
    t.cancels_queued = true;
    t.next.status = Status::Ended;
    t.next.is_invalid |= invalid;
    t.next.end_reason = Some(reason);
    t.next.ended_at = Some(now);
    t.next.updated_at = now;
    t.notice = Some(SystemNotice::new("consultation.ended", "咨询已结束"));
    t.notify = vec![Told { side: Side::Patient, cause: Cause::Ended }];
    Ok(t)
}
