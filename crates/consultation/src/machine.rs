//! The state machine of a consultation: what each event does to it, as pure functions.
//!
//! [`start`] is row 1 of the table, [`apply`] all others. Both answer a [`Transition`]: the consultation as it is
//! to be written and what goes with it in the same transaction. Nothing is written here and no port is called;
//! an illegal event is an error, and then nothing may be written.
//!
//! ```text
//!           doctor replies             the doctor ends, the patient ends, silence, block, void …
//!  "0" New ───────────────▶ "1" Replying ───────────────▶ "2" Ended
//!     └──────────────────────────────────────────────────▶ │  │
//!                                  ▲        reopened        │
//!                                  └────────────────────────┘
//! ```
//!
//! A consultation marked invalid is closed whatever its status says (an import may bring such rows).
//!
//! Deadlines: `no_reply_deadline` is set exactly while "0", `idle_deadline` exactly while "1", where every message
//! of either party moves it. When a deadline is set or moved, the parties have not been warned of it. Reopening
//! starts a full idle time. Sweeps may come early, late, twice or from two workers: an event whose deadline, with
//! its grace, has not passed does nothing, and so does one that a closed consultation no longer needs.

use domain::doctor::Doctor;
use domain::id::{ConsultationEventId, ConsultationId, ConversationId, RelationId, ReportId};
use domain::{Timestamp, text};
use im::SystemNotice;
use serde_json::Map;

use crate::consultation::{Consultation, ConsultationEvent, ConsultationType, EndReason, Pair, Status};
use crate::error::ConsultationError;
use crate::notification::{Cause, Side};
use crate::policy::{ConsultationPolicy, WhenDoctorClosed};

/// Most characters of the reason a doctor or administrator gives.
pub const MAX_REASON_CHARS: usize = 500;

/// Something that happens to a consultation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The patient writes.
    PatientMessage,
    /// The doctor, in person, writes.
    DoctorMessage { is_certified: bool },
    /// The system itself writes: always possible, also after the end.
    SystemMessage,
    /// An auto-reply or the assistant writes. Never counts as the doctor's reply.
    AutomaticMessage,
    /// The doctor ends it; a reason is required before the first reply.
    EndByDoctor { reason: Option<String> },
    /// The patient ends it.
    EndByPatient,
    /// Sweep: the doctor has not replied in time.
    ExpireNoReply,
    /// Sweep: nobody has written for too long.
    IdleTimeout,
    /// Sweep: the hard limit on the length, if there is one.
    MaxDuration,
    /// Sweep: a deadline is near.
    WarnOfDeadline,
    /// The doctor takes it up again.
    Reopen(ReopenFacts),
    /// The doctor blocks the patient.
    Block,
    /// The doctor lifts the block: the patient may start anew, nothing comes back.
    Unblock,
    /// The doctor is no longer certified.
    LoseCertification,
    /// An administrator declares it void.
    Void { reason: String },
    /// One of the two closed their account.
    CloseAccount(Side),
    /// The doctor stops taking consultations: running ones stay.
    TurnConsultingOff,
}

/// What besides the consultation itself decides whether it can be reopened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReopenFacts {
    pub is_certified: bool,
    pub is_blocked: bool,
    /// The pair has another consultation that is open.
    pub has_newer_open: bool,
}

/// The stable word of a transition in the history of a consultation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    Initiated,
    Replied,
    EndedByDoctor,
    EndedByPatient,
    ExpiredNoReply,
    IdleTimeout,
    MaxDuration,
    /// The patient wrote more than allowed before the doctor replied.
    MessageLimit,
    Warned,
    Reopened,
    Blocked,
    DoctorUnavailable,
    Voided,
    AccountClosed,
}

impl Step {
    pub const ALL: [Self; 14] = [
        Self::Initiated,
        Self::Replied,
        Self::EndedByDoctor,
        Self::EndedByPatient,
        Self::ExpiredNoReply,
        Self::IdleTimeout,
        Self::MaxDuration,
        Self::MessageLimit,
        Self::Warned,
        Self::Reopened,
        Self::Blocked,
        Self::DoctorUnavailable,
        Self::Voided,
        Self::AccountClosed,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initiated => "initiated",
            Self::Replied => "replied",
            Self::EndedByDoctor => "ended_by_doctor",
            Self::EndedByPatient => "ended_by_patient",
            Self::ExpiredNoReply => "expired_no_reply",
            Self::IdleTimeout => "idle_timeout",
            Self::MaxDuration => "max_duration",
            Self::MessageLimit => "message_limit",
            Self::Warned => "warned",
            Self::Reopened => "reopened",
            Self::Blocked => "blocked",
            Self::DoctorUnavailable => "doctor_unavailable",
            Self::Voided => "voided",
            Self::AccountClosed => "account_closed",
        }
    }
}

/// What an event leads to.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The consultation as it is to be written; the store bumps the version.
    pub next: Consultation,
    /// False: `next` is what it was, and there is no row to write.
    pub changed: bool,
    /// Status before; `None` for a new consultation.
    pub from_status: Option<Status>,
    /// The word for the history; `None` when the event is not worth a line there.
    pub step: Option<Step>,
    /// What the person who caused it gave as reason.
    pub note: Option<String>,
    pub effects: Effects,
}

/// What goes with a transition, in the same transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// What becomes of the message, if the event is one.
    pub message: Option<MessageFate>,
    /// To be appended to the dialog, after the message.
    pub notice: Option<SystemNotice>,
    /// Who may have to be told, and of what: each to be put to [`crate::decision::decide`].
    pub notify: Vec<(Side, Cause)>,
    /// Whatever is queued for this consultation is cancelled, closing notices excepted. To be done before
    /// queueing [`Effects::notify`].
    pub cancels_queued: bool,
    /// An administrator has to look after this consultation.
    pub needs_admin_task: bool,
}

/// What becomes of a message that somebody sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFate {
    Append,
    /// Not stored: this very message ended the consultation. Commit the transition, then answer
    /// [`ConsultationError::Ended`].
    Refuse,
}

impl Transition {
    /// The row for the consultation's history, if there is one. `actor` is how history names who caused it.
    pub fn record(&self, id: ConsultationEventId, actor: String, now: Timestamp) -> Option<ConsultationEvent> {
        self.step.map(|step| ConsultationEvent {
            id,
            consultation_id: self.next.id,
            event: step.as_str().to_owned(),
            actor,
            from_status: self.from_status,
            to_status: self.next.status,
            end_reason: self.next.end_reason,
            note: self.note.clone(),
            at: now,
        })
    }

    /// The event happens and the consultation stays as it is.
    fn unchanged(current: &Consultation) -> Self {
        Self {
            next: current.clone(),
            changed: false,
            from_status: Some(current.status),
            step: None,
            note: None,
            effects: Effects::default(),
        }
    }

    /// The consultation changes; `step` is what history calls it.
    fn to(current: &Consultation, next: Consultation, step: impl Into<Option<Step>>, now: Timestamp) -> Self {
        Self {
            next: Consultation { updated_at: now, ..next },
            changed: true,
            from_status: Some(current.status),
            step: step.into(),
            note: None,
            effects: Effects::default(),
        }
    }

    fn with_message(mut self, fate: MessageFate) -> Self {
        self.effects.message = Some(fate);
        self
    }

    fn with_notice(mut self, event: &str, text: &str) -> Self {
        self.effects.notice = Some(SystemNotice::new(event, text));
        self
    }

    fn telling(mut self, sides: &[Side], cause: Cause) -> Self {
        self.effects.notify.extend(sides.iter().map(|side| (*side, cause)));
        self
    }
}

/// What a new consultation is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewConsultation {
    pub id: ConsultationId,
    pub pair: Pair,
    pub relation_id: RelationId,
    pub dialog_id: ConversationId,
    pub kind: ConsultationType,
    pub latest_report_id: Option<ReportId>,
}

/// Whether this doctor may receive a new consultation. To be asked only when the pair has none that is open:
/// a patient is never locked out of a running dialog.
///
/// # Errors
/// The first that holds of [`ConsultationError::RelationBlocked`], [`ConsultationError::DoctorNotAuthenticated`],
/// [`ConsultationError::TypeNotOpen`] and, where the policy says so, [`ConsultationError::DoctorClosed`].
pub fn admit(
    doctor: &Doctor,
    is_blocked: bool,
    kind: ConsultationType,
    policy: &ConsultationPolicy,
) -> Result<(), ConsultationError> {
    let refuses_closed = policy.when_doctor_closed == WhenDoctorClosed::Refuse;
    if is_blocked {
        Err(ConsultationError::RelationBlocked)
    } else if !doctor.is_certified() {
        Err(ConsultationError::DoctorNotAuthenticated)
    } else if !kind.is_offered_by(doctor) {
        Err(ConsultationError::TypeNotOpen)
    } else if refuses_closed && doctor.start_consultation != Some(true) {
        Err(ConsultationError::DoctorClosed)
    } else {
        Ok(())
    }
}

/// Row 1 of the table where no consultation of the pair is open: a new one, status "0".
///
/// # Errors
/// Those of [`admit`].
pub fn start(
    new: NewConsultation,
    doctor: &Doctor,
    is_blocked: bool,
    policy: &ConsultationPolicy,
    now: Timestamp,
) -> Result<Transition, ConsultationError> {
    admit(doctor, is_blocked, new.kind, policy)?;
    let consultation = Consultation {
        id: new.id,
        pair: new.pair,
        relation_id: new.relation_id,
        dialog_id: Some(new.dialog_id),
        status: Status::New,
        is_invalid: false,
        end_reason: None,
        end_note: None,
        kind: new.kind,
        price: new.kind.price_of(doctor),
        latest_report_id: new.latest_report_id,
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
    };
    let transition = Transition {
        next: consultation,
        changed: true,
        from_status: None,
        step: Some(Step::Initiated),
        note: None,
        effects: Effects::default(),
    };
    Ok(transition
        .with_notice("consultation.started", "咨询已开始，请描述您的情况，等待医生回复。")
        .telling(&[Side::Doctor], Cause::Initiated))
}

/// Rows 2 to 15 of the table: what `event` does to `current` at `now`.
///
/// An event that finds its work done (ending what has ended, a sweep that comes early or twice) is no error:
/// [`Transition::changed`] is false.
///
/// # Errors
/// The event is not legal in this state: [`ConsultationError::Ended`], [`ConsultationError::MessageLimit`],
/// [`ConsultationError::DoctorNotAuthenticated`], [`ConsultationError::RelationBlocked`] or
/// [`ConsultationError::WrongStatus`]; or its reason is missing or too long: [`ConsultationError::Invalid`].
pub fn apply(
    current: &Consultation,
    event: &Event,
    policy: &ConsultationPolicy,
    now: Timestamp,
) -> Result<Transition, ConsultationError> {
    let now_in = Situation { current, policy, now };
    match event {
        Event::PatientMessage => now_in.patient_message(),
        Event::DoctorMessage { is_certified } => now_in.doctor_message(*is_certified),
        Event::SystemMessage => Ok(Transition::unchanged(current).with_message(MessageFate::Append)),
        Event::AutomaticMessage if current.is_open() => {
            Ok(Transition::unchanged(current).with_message(MessageFate::Append))
        }
        Event::AutomaticMessage => Err(ConsultationError::Ended),
        Event::EndByDoctor { reason } => now_in.end_by_doctor(reason.as_deref()),
        Event::EndByPatient => Ok(now_in.end_by_patient()),
        Event::ExpireNoReply => Ok(now_in.expire_no_reply()),
        Event::IdleTimeout => Ok(now_in.idle_timeout()),
        Event::MaxDuration => Ok(now_in.max_duration()),
        Event::WarnOfDeadline => Ok(now_in.warn_of_deadline()),
        Event::Reopen(facts) => now_in.reopen(*facts),
        Event::Block => Ok(now_in.block()),
        Event::LoseCertification => Ok(now_in.lose_certification()),
        Event::Void { reason } => now_in.void(reason),
        Event::CloseAccount(who) => Ok(now_in.close_account(*who)),
        Event::Unblock | Event::TurnConsultingOff => Ok(Transition::unchanged(current)),
    }
}

/// The consultation an event meets. One method per row.
#[derive(Clone, Copy)]
struct Situation<'a> {
    current: &'a Consultation,
    policy: &'a ConsultationPolicy,
    now: Timestamp,
}

/// Whether the end leaves a valid consultation behind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Validity {
    Valid,
    Invalid,
}

impl Situation<'_> {
    /// The status that rules: invalid is ended.
    fn status(self) -> Status {
        if self.current.is_open() { self.current.status } else { Status::Ended }
    }

    fn unchanged(self) -> Transition {
        Transition::unchanged(self.current)
    }

    /// Row 2, and row 9 for the number of messages: one too many is refused while "1"; while "0" it ends
    /// the consultation as a missing reply does.
    fn patient_message(self) -> Result<Transition, ConsultationError> {
        let Self { current, policy, now } = self;
        let is_one_too_many = policy.max_patient_messages.is_some_and(|max| current.patient_message_count >= max);
        match self.status() {
            Status::Ended => Err(ConsultationError::Ended),
            Status::Replying if is_one_too_many => Err(ConsultationError::MessageLimit),
            Status::New if is_one_too_many => Ok(self
                .end(Step::MessageLimit, EndReason::ExpiredNoReply, Validity::Invalid)
                .telling(&[Side::Doctor, Side::Patient], Cause::Ended)
                .with_message(MessageFate::Refuse)),
            Status::New | Status::Replying => {
                let mut next = self.after_message();
                next.patient_message_count = current.patient_message_count.saturating_add(1);
                Ok(Transition::to(current, next, None, now)
                    .with_message(MessageFate::Append)
                    .telling(&[Side::Doctor], Cause::PatientMessage))
            }
        }
    }

    /// Row 3. Only a certified doctor may send (row 12).
    fn doctor_message(self, is_certified: bool) -> Result<Transition, ConsultationError> {
        let Self { current, now, .. } = self;
        let transition = match self.status() {
            Status::Ended => return Err(ConsultationError::Ended),
            _ if !is_certified => return Err(ConsultationError::DoctorNotAuthenticated),
            Status::New => {
                let next = Consultation { first_reply_at: Some(now), ..self.replying() };
                let next = Consultation { last_message_at: Some(now), ..next };
                Transition::to(current, next, Step::Replied, now).with_notice("consultation.replied", "医生已接诊。")
            }
            Status::Replying => Transition::to(current, self.after_message(), None, now),
        };
        Ok(transition.with_message(MessageFate::Append).telling(&[Side::Patient], Cause::DoctorMessage))
    }

    /// Row 5.
    fn end_by_doctor(self, reason: Option<&str>) -> Result<Transition, ConsultationError> {
        let (end_reason, note) = match self.status() {
            Status::Ended => return Ok(self.unchanged()),
            Status::New => {
                let reason = text::required("reason", reason.unwrap_or_default(), MAX_REASON_CHARS)?;
                (EndReason::Declined, Some(reason))
            }
            Status::Replying => {
                let reason = text::bounded("reason", reason.unwrap_or_default(), MAX_REASON_CHARS)?;
                (EndReason::Completed, Some(reason).filter(|reason| !reason.is_empty()))
            }
        };
        let mut ended =
            self.end(Step::EndedByDoctor, end_reason, Validity::Valid).telling(&[Side::Patient], Cause::Ended);
        ended.next.end_note.clone_from(&note);
        ended.note = note;
        Ok(ended)
    }

    /// Row 6.
    fn end_by_patient(self) -> Transition {
        let reason = match self.status() {
            Status::Ended => return self.unchanged(),
            Status::New => EndReason::Cancelled,
            Status::Replying => EndReason::CompletedByPatient,
        };
        self.end(Step::EndedByPatient, reason, Validity::Valid).telling(&[Side::Doctor], Cause::Ended)
    }

    /// Row 7.
    fn expire_no_reply(self) -> Transition {
        match self.status() {
            Status::New if self.is_overdue(self.current.no_reply_deadline) => {
                self.end_for_both(Step::ExpiredNoReply, EndReason::ExpiredNoReply, Validity::Invalid)
            }
            _ => self.unchanged(),
        }
    }

    /// Row 8.
    fn idle_timeout(self) -> Transition {
        match self.status() {
            Status::Replying if self.is_overdue(self.current.idle_deadline) => {
                self.end_for_both(Step::IdleTimeout, EndReason::IdleTimeout, Validity::Valid)
            }
            _ => self.unchanged(),
        }
    }

    /// Row 9, the duration.
    fn max_duration(self) -> Transition {
        let limit = self.policy.max_duration.map(|length| self.current.started_at + length);
        match self.status() {
            _ if !self.is_overdue(limit) => self.unchanged(),
            Status::New => self.end_for_both(Step::MaxDuration, EndReason::ExpiredNoReply, Validity::Invalid),
            Status::Replying => self.end_for_both(Step::MaxDuration, EndReason::MaxDuration, Validity::Valid),
            Status::Ended => self.unchanged(),
        }
    }

    /// Both sides are warned once of each deadline, from `warn_before` ahead of it until the sweep may act.
    fn warn_of_deadline(self) -> Transition {
        let Self { current, policy, now } = self;
        let (deadline, text) = match self.status() {
            Status::New => (current.no_reply_deadline, "医生尚未回复，本次咨询即将到期。"),
            Status::Replying => (current.idle_deadline, "双方较长时间没有新消息，本次咨询即将自动结束。"),
            Status::Ended => (None, ""),
        };
        let is_near = deadline.is_some_and(|at| now >= at - policy.warn_before) && !self.is_overdue(deadline);
        if current.is_warned || !is_near {
            return self.unchanged();
        }
        Transition::to(current, Consultation { is_warned: true, ..current.clone() }, Step::Warned, now)
            .with_notice("consultation.about_to_expire", text)
            .telling(&[Side::Doctor, Side::Patient], Cause::AboutToExpire)
    }

    /// Row 10.
    fn reopen(self, facts: ReopenFacts) -> Result<Transition, ConsultationError> {
        let Self { current, policy, now } = self;
        let ended_orderly = matches!(
            current.end_reason,
            Some(EndReason::Completed | EndReason::CompletedByPatient | EndReason::IdleTimeout)
        );
        let is_recent = current.ended_at.is_some_and(|at| now <= at + policy.reopen_within);
        let is_ended = current.status == Status::Ended && !current.is_invalid;
        if !(is_ended && ended_orderly && is_recent) || facts.has_newer_open {
            let (status, end_reason) = (current.status, current.end_reason);
            return Err(ConsultationError::WrongStatus { status, end_reason, attempted: "reopened" });
        }
        if facts.is_blocked {
            return Err(ConsultationError::RelationBlocked);
        }
        if !facts.is_certified {
            return Err(ConsultationError::DoctorNotAuthenticated);
        }
        let next = Consultation { ended_at: None, end_reason: None, end_note: None, ..self.replying() };
        Ok(Transition::to(current, next, Step::Reopened, now)
            .with_notice("consultation.reopened", "医生已重新开启本次咨询。")
            .telling(&[Side::Patient], Cause::Reopened))
    }

    /// Row 11.
    fn block(self) -> Transition {
        match self.status() {
            Status::New => self.end_for_both(Step::Blocked, EndReason::Blocked, Validity::Invalid),
            Status::Replying => self.end_for_both(Step::Blocked, EndReason::Blocked, Validity::Valid),
            Status::Ended => self.unchanged(),
        }
    }

    /// Row 12.
    fn lose_certification(self) -> Transition {
        match self.status() {
            Status::New => self.end_for_both(Step::DoctorUnavailable, EndReason::DoctorUnavailable, Validity::Invalid),
            Status::Replying => {
                let mut unchanged = self.unchanged();
                unchanged.effects.needs_admin_task = true;
                unchanged
            }
            Status::Ended => self.unchanged(),
        }
    }

    /// Row 13. One that has ended keeps how and when it ended.
    fn void(self, reason: &str) -> Result<Transition, ConsultationError> {
        let Self { current, now, .. } = self;
        let reason = text::required("reason", reason, MAX_REASON_CHARS)?;
        let mut voided = match current.status {
            _ if current.is_invalid => return Ok(self.unchanged()),
            Status::New | Status::Replying => {
                let mut ended = self.end_for_both(Step::Voided, EndReason::Voided, Validity::Invalid);
                ended.next.end_note = Some(reason.clone());
                ended
            }
            Status::Ended => {
                let next = Consultation { is_invalid: true, ..current.clone() };
                Transition::to(current, next, Step::Voided, now)
            }
        };
        voided.note = Some(reason);
        Ok(voided.with_notice("consultation.voided", "本次咨询已由平台作废。"))
    }

    /// Who is gone is not told. What the doctor never answered did not count.
    fn close_account(self, who: Side) -> Transition {
        let (validity, other) = match (self.status(), who) {
            (Status::Ended, _) => return self.unchanged(),
            (Status::New, Side::Doctor) => (Validity::Invalid, Side::Patient),
            (Status::Replying, Side::Doctor) => (Validity::Valid, Side::Patient),
            (Status::New | Status::Replying, Side::Patient) => (Validity::Valid, Side::Doctor),
        };
        self.end(Step::AccountClosed, EndReason::AccountClosed, validity).telling(&[other], Cause::Ended)
    }

    /// Whether a sweep may act on this deadline.
    fn is_overdue(self, deadline: Option<Timestamp>) -> bool {
        deadline.is_some_and(|at| self.now >= at + self.policy.sweep_grace)
    }

    /// The consultation after a message of either party.
    fn after_message(self) -> Consultation {
        let next = match self.status() {
            Status::Replying => self.replying(),
            Status::New | Status::Ended => self.current.clone(),
        };
        Consultation { last_message_at: Some(self.now), ..next }
    }

    /// In status "1" with its whole idle time ahead.
    fn replying(self) -> Consultation {
        Consultation {
            status: Status::Replying,
            no_reply_deadline: None,
            idle_deadline: Some(self.now + self.policy.idle_after),
            is_warned: false,
            ..self.current.clone()
        }
    }

    fn end(self, step: Step, reason: EndReason, validity: Validity) -> Transition {
        let next = Consultation {
            status: Status::Ended,
            is_invalid: validity == Validity::Invalid,
            end_reason: Some(reason),
            ended_at: Some(self.now),
            no_reply_deadline: None,
            idle_deadline: None,
            is_warned: false,
            ..self.current.clone()
        };
        let mut ended =
            Transition::to(self.current, next, step, self.now).with_notice("consultation.ended", ended_text(reason));
        ended.effects.cancels_queued = true;
        ended
    }

    /// An end that neither side brought about by ending it.
    fn end_for_both(self, step: Step, reason: EndReason, validity: Validity) -> Transition {
        self.end(step, reason, validity).telling(&[Side::Doctor, Side::Patient], Cause::Ended)
    }
}

/// What the dialog says of an end. A block is not named to the patient.
const fn ended_text(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Declined => "医生暂时无法接诊，本次咨询已结束。",
        EndReason::Completed => "医生已结束本次咨询。",
        EndReason::Cancelled => "患者已取消本次咨询。",
        EndReason::CompletedByPatient => "患者已结束本次咨询。",
        EndReason::ExpiredNoReply => "医生未能及时回复，本次咨询已自动结束，可以重新发起咨询。",
        EndReason::IdleTimeout => "双方长时间没有新消息，本次咨询已自动结束。",
        EndReason::MaxDuration => "本次咨询已达到最长时限，已自动结束。",
        EndReason::DoctorUnavailable => "医生暂时无法提供咨询，本次咨询已结束。",
        EndReason::Voided => "本次咨询已由平台作废。",
        EndReason::AccountClosed => "对方已停止使用本服务，本次咨询已结束。",
        EndReason::Blocked | EndReason::Superseded | EndReason::Imported => "本次咨询已结束。",
    }
}

#[cfg(test)]
mod tests;
