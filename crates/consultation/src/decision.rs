//! Whom to notify, and when.

use chrono_tz::Tz;
use domain::Timestamp;
use domain::doctor::Doctor;
use im::SystemNotice;

use crate::consultation::Consultation;
use crate::notification::{Cause, Channel, Reason, Recipient};
use crate::office_hours::{Hours, Schedule, hours_at};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Send { channel: Channel, reason: Reason },
    Defer { until: Timestamp, reason: Reason },
    Suppress(Reason),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientState {
    pub is_viewing: bool,
    pub was_notified_in_cool_down: bool,
    pub channels: Vec<Channel>,
}

pub struct Case<'a> {
    pub cause: Cause,
    pub consultation: Option<&'a Consultation>,
    pub is_blocked: bool,
    pub doctor: &'a Doctor,
    pub schedule: &'a Schedule,
    pub recipient: &'a RecipientState,
}

pub fn decide(now: Timestamp, recipient: Recipient, case: &Case<'_>) -> Decision {
    let Some(&channel) = case.recipient.channels.first() else { return Decision::Suppress(Reason::NoChannel) };
    if case.consultation.is_some_and(|c| !c.is_open()) && case.cause != Cause::Ended {
        return Decision::Suppress(Reason::ConsultationClosed);
    }
    if matches!(recipient, Recipient::Patient(_)) {
        return Decision::Send { channel, reason: Reason::Always };
    }
    match hours_at(now, case.schedule) {
        Hours::Closed { next_open: until } => Decision::Defer { until, reason: Reason::OutsideWindow },
        _ => Decision::Send { channel, reason: Reason::InsideWindow },
    }
}

pub fn off_hours_notice(doctor: &Doctor, zone: Tz, until: Timestamp) -> SystemNotice {
    let _ = (doctor, zone);
    SystemNotice::new("consultation.off_hours", format!("医生将于 {until} 开诊后回复"))
}
