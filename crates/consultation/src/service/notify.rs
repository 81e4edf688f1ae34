//! Planning notifications: decide, keep the decision with its reason, queue the job if somebody is to be told.

use domain::Timestamp;
use domain::doctor::Doctor;
use domain::id::{ConversationId, JobId, NotificationId};
use domain::outbox::NewJob;
use domain::patient::Patient;
use serde_json::json;

use super::context::Context;
use super::deliveries::DELIVER_NOTIFICATION;
use crate::consultation::Consultation;
use crate::decision::{self, Case, Decision, RecipientState};
use crate::error::ConsultationError;
use crate::notification::{Cause, Channel, Notification, NotificationState, Reason, Recipient, Side};
use crate::unit::ConsultationUnit;
use domain::office_hours::Schedule;

/// The ways a doctor can be reached, best first.
pub(super) fn channels_of_doctor(doctor: &Doctor, by_wechat: bool) -> Vec<Channel> {
    let wechat = by_wechat.then_some(Channel::Wechat);
    let sms = doctor.phone.as_ref().map(|_| Channel::Sms);
    wechat.into_iter().chain(sms).collect()
}

/// The ways a patient can be reached, best first.
pub(super) fn channels_of_patient(patient: &Patient, by_wechat: bool) -> Vec<Channel> {
    let wechat = by_wechat.then_some(Channel::Wechat);
    let sms = patient.phone.as_ref().map(|_| Channel::Sms);
    wechat.into_iter().chain(sms).collect()
}

/// Everything a decision about a consultation looks at.
pub(super) struct Facts<'a> {
    pub(super) consultation: Option<&'a Consultation>,
    /// Answers of the desk concern none.
    pub(super) doctor: Option<&'a Doctor>,
    /// Whether the relation of the pair is blocked.
    pub(super) is_blocked: bool,
    pub(super) state: RecipientState,
}

impl Facts<'_> {
    /// The decision as of now.
    pub(super) fn decide(&self, context: &Context, recipient: Recipient, cause: Cause) -> Decision {
        if cause == Cause::AssistantAnswer {
            return decision::about_answer(&self.state);
        }
        let Some(doctor) = self.doctor else { return Decision::Suppress(Reason::NotNotifiable) };
        let schedule = Schedule::of(doctor, context.policy.timezone);
        let situation = Case {
            cause,
            consultation: self.consultation,
            is_blocked: self.is_blocked,
            doctor,
            schedule: &schedule,
            recipient: &self.state,
        };
        decision::decide(context.clock.now(), recipient, &situation)
    }
}

/// Decides about one recipient, on what is committed or written by this unit.
pub(super) async fn decide(
    context: &Context,
    unit: &mut dyn ConsultationUnit,
    consultation: Option<&Consultation>,
    recipient: Recipient,
    cause: Cause,
) -> Result<Decision, ConsultationError> {
    let by_wechat = !unit.notifications().reachable_by_wechat(&[recipient], None).await?.is_empty();
    let (doctor, channels) = match recipient {
        Recipient::Doctor(id) => {
            let doctor = unit.doctors().find(id).await?.ok_or(ConsultationError::DoctorNotFound(id))?;
            let channels = channels_of_doctor(&doctor, by_wechat);
            (doctor, channels)
        }
        Recipient::Patient(id) => {
            let patient = unit.patients().find(id).await?.ok_or(ConsultationError::PatientNotFound(id))?;
            let doctor = consultation.map(|c| c.pair.doctor).ok_or(ConsultationError::Conflict)?;
            let doctor = unit.doctors().find(doctor).await?.ok_or(ConsultationError::DoctorNotFound(doctor))?;
            (doctor, channels_of_patient(&patient, by_wechat))
        }
    };
    let mut state = RecipientState { channels, ..RecipientState::default() };
    let mut is_blocked = false;
    if let Some(c) = consultation {
        let now = context.clock.now();
        let attention = unit.presence().attention(seat_of(c, recipient).as_slice(), now).await?.pop();
        let attention = attention.unwrap_or_default();
        let since = attention.run_since(now).max(now - context.policy.cool_down);
        let told = unit.notifications().last_notified(recipient, c.id, since).await?;
        (state.is_viewing, state.was_notified_in_cool_down) = (attention.is_viewing, told.is_some());
        is_blocked = unit.relations().find(c.relation_id).await?.is_some_and(|r| r.is_blocked);
    }
    Ok(Facts { consultation, doctor: Some(&doctor), is_blocked, state }.decide(context, recipient, cause))
}

/// The recipient's place in the dialog, if there is one.
pub(super) fn seat_of(consultation: &Consultation, recipient: Recipient) -> Option<(ConversationId, String)> {
    consultation.dialog_id.map(|dialog| (dialog, recipient.client_id()))
}

/// Decides about one recipient and keeps the decision; queues a job if it is to leave now or later. The verdict of a
/// review is about no consultation.
pub(super) async fn plan(
    context: &Context,
    unit: &mut dyn ConsultationUnit,
    consultation: Option<&Consultation>,
    recipient: Recipient,
    cause: Cause,
) -> Result<(), ConsultationError> {
    let decision = decide(context, unit, consultation, recipient, cause).await?;
    let (notification, job) = rows(context, recipient, consultation, cause, &decision);
    unit.notifications().insert_all(&[notification]).await?;
    unit.outbox().append_all(job.as_slice()).await?;
    Ok(())
}

/// The rows of a decision: the notification always, a job when it is to leave.
pub(super) fn rows(
    context: &Context,
    recipient: Recipient,
    consultation: Option<&Consultation>,
    cause: Cause,
    decision: &Decision,
) -> (Notification, Option<NewJob>) {
    let now = context.clock.now();
    let (state, reason, channel, due_at) = match *decision {
        Decision::Send { channel, reason } => (NotificationState::Queued, reason, Some(channel), now),
        Decision::Defer { until, reason } => (NotificationState::Queued, reason, None, until),
        Decision::Suppress(reason) => (NotificationState::Suppressed, reason, None, now),
    };
    let notification = Notification {
        id: NotificationId(context.ids.next()),
        recipient,
        consultation_id: consultation.map(|c| c.id),
        cause,
        state,
        reason,
        channel,
        due_at,
        created_at: now,
        updated_at: now,
    };
    count(&notification);
    if reason == Reason::HoursInvalid {
        let doctor = consultation.map(|c| c.pair.doctor.to_string()).unwrap_or_default();
        tracing::error!(doctor.id = doctor, "the office hours of a doctor cannot be read; messages leave at any time");
    }
    let is_queued = state == NotificationState::Queued;
    let job = is_queued.then(|| job(context, notification.id, due_at, now));
    (notification, job)
}

/// Counts a decision with its reason.
pub(super) fn count(notification: &Notification) {
    let to = match notification.recipient.side() {
        Side::Doctor => "doctor",
        Side::Patient => "patient",
    };
    let (state, reason) = (notification.state.as_str(), notification.reason.as_str());
    metrics::counter!("notification_decisions_total", "to" => to, "state" => state, "reason" => reason).increment(1);
}

fn job(context: &Context, id: NotificationId, run_at: Timestamp, now: Timestamp) -> NewJob {
    NewJob {
        id: JobId(context.ids.next()),
        kind: DELIVER_NOTIFICATION,
        payload: json!({ "notificationId": id }),
        run_at,
        idempotency_key: format!("notification:{id}"),
        created_at: now,
    }
}
