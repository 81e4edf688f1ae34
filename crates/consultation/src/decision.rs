//! Whom to notify, and when: the table of the contract as one pure function.
//!
//! [`decide`] is asked when a notification is queued and again when it is to be sent, each time with the facts of
//! that moment. The first row that matches wins. The reason goes with the decision, is stored and shown.
//!
//! | # | if | result | doctor | patient | certification |
//! |---|---|---|---|---|---|
//! | 1 | the consultation is missing, invalid or ended | `CONSULTATION_CLOSED` | ✓ | ✓, closing notices exempt | |
//! | 2 | the relation is blocked | `RELATION_BLOCKED` | ✓ | ✓ | |
//! | 3 | the doctor is not certified | `DOCTOR_NOT_AUTHENTICATED` | ✓ | | |
//! | 4 | consulting is not switched on | `CONSULTING_OFF` | ✓ | | |
//! | 5 | the type is switched off | `TYPE_OFF` | ✓ | | |
//! | 6 | the cause is nothing to notify this side of | `NOT_NOTIFIABLE` | ✓ | ✓ | |
//! | 7 | the recipient has the conversation open | `ONLINE_VIEWING` | ✓ | ✓ | |
//! | 8 | told within the cool-down | `COALESCED` | ✓, escalation exempt | ✓ | |
//! | 9 | the hours are unreadable | goes on, `HOURS_INVALID` | ✓ | | |
//! | 10 | no hours are set | goes on, `HOURS_UNSET` | ✓ | | |
//! | 11 | outside the window | deferred, `OUTSIDE_WINDOW` | ✓ | | |
//! | 12 | no channel can take it | `NO_CHANNEL` | ✓ | ✓ | ✓ |
//! | 13 | otherwise | sent | ✓ | ✓ | ✓ |
//!
//! **Row 6** names repeat initiates, the recipient's own messages, and system or automatic messages. A party's own
//! acts are read as its own messages: for the doctor also a doctor's message and a reopening, for the patient also
//! a patient's message and the start of a consultation. An escalation is the doctor's alone. A warning that a
//! deadline is near is no system message in this sense: both sides are told (the line in the dialog that goes with
//! it is one, and is not notified of a second time).
//!
//! **Answers of the desk** belong to no consultation. Of them only rows 7, 8, 12 and 13 are asked, by
//! [`about_answer`], for both sides.
//!
//! **Escalation** follows a notification that brought no answer, so the cool-down of that very run does not
//! suppress it: a patient who keeps writing would otherwise keep it away for ever. It goes by SMS only.

use chrono_tz::Tz;
use domain::Timestamp;
use domain::doctor::Doctor;
use im::SystemNotice;

use crate::consultation::Consultation;
use crate::notification::{Cause, Channel, Reason, Recipient, Side};
use domain::office_hours::{Hours, Schedule, hours_at};

/// What is to be done with a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Send it now, by this channel; if that refuses, decide again without it.
    Send { channel: Channel, reason: Reason },
    /// Decide again at `until`, the doctor's next opening.
    Defer { until: Timestamp, reason: Reason },
    /// Do not send it.
    Suppress(Reason),
}

impl Decision {
    /// Why, in every case.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Send { reason, .. } | Self::Defer { reason, .. } | Self::Suppress(reason) => reason,
        }
    }
}

/// What is known of the recipient at the moment of deciding.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecipientState {
    /// Has this conversation open in front (fresh lease).
    pub is_viewing: bool,
    /// Was told, or is queued to be told, of this unread run within the cool-down, not counting the notification
    /// that is being decided.
    pub was_notified_in_cool_down: bool,
    /// Channels that can take it, in order of preference: those with a grant, an address, and allowance left
    /// today, without those that already refused this notification.
    pub channels: Vec<Channel>,
}

/// What is to be decided, and the facts it rests on.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    pub cause: Cause,
    /// `None` when it is missing, and for results of a certification, which concern none.
    pub consultation: Option<&'a Consultation>,
    /// Whether the relation of the pair is blocked.
    pub is_blocked: bool,
    pub doctor: &'a Doctor,
    /// The doctor's.
    pub schedule: &'a Schedule,
    pub recipient: &'a RecipientState,
}

/// Decides whether `recipient` is told now, later or not at all.
pub fn decide(now: Timestamp, recipient: Recipient, case: &Case<'_>) -> Decision {
    match recipient.side() {
        Side::Doctor if is_certification(case.cause) => reach(case, Reason::Always),
        Side::Doctor => for_doctor(now, case),
        Side::Patient => for_patient(case),
    }
}

/// Decides whether a customer is told that the desk has answered.
pub fn about_answer(recipient: &RecipientState) -> Decision {
    if recipient.is_viewing {
        Decision::Suppress(Reason::OnlineViewing)
    } else if recipient.was_notified_in_cool_down {
        Decision::Suppress(Reason::Coalesced)
    } else {
        by_first(recipient.channels.first(), Reason::Always)
    }
}

fn for_doctor(now: Timestamp, case: &Case<'_>) -> Decision {
    let doctor = case.doctor;
    let Some(consultation) = case.consultation.filter(|consultation| consultation.is_open()) else {
        return Decision::Suppress(Reason::ConsultationClosed);
    };
    let suppressed_for = if case.is_blocked {
        Some(Reason::RelationBlocked)
    } else if !doctor.is_certified() {
        Some(Reason::DoctorNotAuthenticated)
    } else if doctor.start_consultation != Some(true) {
        Some(Reason::ConsultingOff)
    } else if !consultation.kind.is_offered_by(doctor) {
        Some(Reason::TypeOff)
    } else {
        not_now(Side::Doctor, case)
    };
    if let Some(reason) = suppressed_for {
        return Decision::Suppress(reason);
    }
    match hours_at(now, case.schedule) {
        Hours::Invalid => reach(case, Reason::HoursInvalid),
        Hours::Unset => reach(case, Reason::HoursUnset),
        Hours::Closed { next_open } => Decision::Defer { until: next_open, reason: Reason::OutsideWindow },
        Hours::Open => reach(case, Reason::InsideWindow),
    }
}

fn for_patient(case: &Case<'_>) -> Decision {
    let is_open = case.consultation.is_some_and(Consultation::is_open);
    let suppressed_for = if !is_open && case.cause != Cause::Ended {
        Some(Reason::ConsultationClosed)
    } else if case.is_blocked {
        Some(Reason::RelationBlocked)
    } else {
        not_now(Side::Patient, case)
    };
    suppressed_for.map_or_else(|| reach(case, Reason::Always), Decision::Suppress)
}

/// Rows 6, 7 and 8, which both sides share.
fn not_now(side: Side, case: &Case<'_>) -> Option<Reason> {
    if !is_notifiable(side, case.cause) {
        Some(Reason::NotNotifiable)
    } else if case.recipient.is_viewing {
        Some(Reason::OnlineViewing)
    } else if case.recipient.was_notified_in_cool_down && case.cause != Cause::Escalation {
        Some(Reason::Coalesced)
    } else {
        None
    }
}

/// Rows 12 and 13: the first channel that can take it.
fn reach(case: &Case<'_>, reason: Reason) -> Decision {
    let suits = |channel: &&Channel| case.cause != Cause::Escalation || **channel == Channel::Sms;
    by_first(case.recipient.channels.iter().find(suits), reason)
}

fn by_first(channel: Option<&Channel>, reason: Reason) -> Decision {
    match channel {
        Some(channel) => Decision::Send { channel: *channel, reason },
        None => Decision::Suppress(Reason::NoChannel),
    }
}

/// Row 6, the other way round.
const fn is_notifiable(side: Side, cause: Cause) -> bool {
    match cause {
        Cause::RepeatInitiate | Cause::OwnMessage | Cause::SystemMessage | Cause::AssistantAnswer => false,
        Cause::Initiated | Cause::PatientMessage | Cause::Escalation => matches!(side, Side::Doctor),
        Cause::DoctorMessage | Cause::Reopened => matches!(side, Side::Patient),
        Cause::CertificationApproved | Cause::CertificationRejected | Cause::CertificationRevoked => {
            matches!(side, Side::Doctor)
        }
        Cause::Ended | Cause::AboutToExpire => true,
    }
}

const fn is_certification(cause: Cause) -> bool {
    matches!(cause, Cause::CertificationApproved | Cause::CertificationRejected | Cause::CertificationRevoked)
}

/// The reply a patient gets when what they did has to wait until `until`, the doctor's next opening: one per closed
/// period. When it is some, the caller appends it to the dialog and sets
/// [`Consultation::off_hours_reply_until`] to `until`.
///
/// A closed period is known by the opening that ends it. So a doctor who changes the hours meanwhile makes the next
/// message be answered anew: the opening named before is no longer true.
pub fn off_hours_reply(
    consultation: &Consultation,
    cause: Cause,
    until: Timestamp,
    doctor: &Doctor,
    home: Tz,
) -> Option<SystemNotice> {
    let is_the_patients = matches!(cause, Cause::Initiated | Cause::PatientMessage);
    let is_told = consultation.off_hours_reply_until == Some(until);
    (is_the_patients && !is_told && consultation.is_open()).then(|| off_hours_notice(doctor, home, until))
}

/// What the dialog says while the doctor is closed: the next opening, in the doctor's local time. `home` is the
/// deployment's zone.
pub fn off_hours_notice(doctor: &Doctor, home: Tz, until: Timestamp) -> SystemNotice {
    let opening = Schedule::of(doctor, home).describe(until);
    let text = format!("现在不是医生的接诊时间，医生将在下次接诊时收到提醒。下次接诊时间：{opening}。");
    SystemNotice::new("consultation.off_hours", text)
}

#[cfg(test)]
mod tests;
