//! Planning notifications: decide, keep the decision with its reason, queue the job if somebody is to be told.

use domain::Timestamp;
use domain::doctor::Doctor;
use domain::id::{JobId, NotificationId};
use domain::outbox::NewJob;
use domain::patient::Patient;
use serde_json::json;

use super::context::Context;
use super::deliveries::DELIVER_NOTIFICATION;
use crate::consultation::Consultation;
use crate::decision::{self, Case, Decision, RecipientState};
use crate::error::ConsultationError;
use crate::notification::{Cause, Channel, Notification, NotificationState, Recipient};
use crate::office_hours::Schedule;
use crate::unit::ConsultationUnit;

/// The ways a doctor can be reached, best first.
pub(super) fn channels_of_doctor(doctor: &Doctor) -> Vec<Channel> {
    let wechat = doctor.openid.as_ref().map(|_| Channel::Wechat);
    let sms = doctor.phone.as_ref().map(|_| Channel::Sms);
    wechat.into_iter().chain(sms).collect()
}

/// The ways a patient can be reached, best first.
pub(super) fn channels_of_patient(patient: &Patient) -> Vec<Channel> {
    let wechat = (!patient.openids.is_empty()).then_some(Channel::Wechat);
    let sms = patient.phone.as_ref().map(|_| Channel::Sms);
    wechat.into_iter().chain(sms).collect()
}

/// Everything a decision about a consultation looks at.
pub(super) struct Facts<'a> {
    pub(super) consultation: Option<&'a Consultation>,
    pub(super) doctor: &'a Doctor,
    /// Whether the relation of the pair is blocked.
    pub(super) is_blocked: bool,
    pub(super) state: RecipientState,
}

impl Facts<'_> {
    /// The decision as of now.
    pub(super) fn decide(&self, context: &Context, recipient: Recipient, cause: Cause) -> Decision {
        let schedule = Schedule::of(self.doctor, context.policy.timezone);
        let facts = Case {
            cause,
            consultation: self.consultation,
            is_blocked: self.is_blocked,
            doctor: self.doctor,
            schedule: &schedule,
            recipient: &self.state,
        };
        decision::decide(context.clock.now(), recipient, &facts)
    }
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
    let (doctor, channels) = match recipient {
        Recipient::Doctor(id) => {
            let doctor = unit.doctors().find(id).await?.ok_or(ConsultationError::DoctorNotFound(id))?;
            let channels = channels_of_doctor(&doctor);
            (doctor, channels)
        }
        Recipient::Patient(id) => {
            let patient = unit.patients().find(id).await?.ok_or(ConsultationError::PatientNotFound(id))?;
            let doctor = consultation.map(|c| c.pair.doctor).ok_or(ConsultationError::Conflict)?;
            let doctor = unit.doctors().find(doctor).await?.ok_or(ConsultationError::DoctorNotFound(doctor))?;
            (doctor, channels_of_patient(&patient))
        }
    };
    let (mut is_blocked, mut was_notified) = (false, false);
    if let Some(c) = consultation {
        let since = context.clock.now() - context.policy.cool_down;
        was_notified = unit.notifications().last_notified(recipient, c.id, since).await?.is_some();
        is_blocked = unit.relations().find(c.relation_id).await?.is_some_and(|r| r.is_blocked);
    }
    let state = RecipientState { is_viewing: false, was_notified_in_cool_down: was_notified, channels };
    let decision = Facts { consultation, doctor: &doctor, is_blocked, state }.decide(context, recipient, cause);
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
    let is_queued = state == NotificationState::Queued;
    let job = is_queued.then(|| job(context, notification.id, due_at, now));
    (notification, job)
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
