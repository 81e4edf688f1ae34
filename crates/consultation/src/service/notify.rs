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
use crate::relation::Relation;
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
pub(super) struct Facts {
    pub(super) consultation: Option<Consultation>,
    pub(super) doctor: Doctor,
    pub(super) relation: Option<Relation>,
    pub(super) state: RecipientState,
}

/// Loads what a decision looks at, as committed or written by this unit.
pub(super) async fn facts(
    context: &Context,
    unit: &mut dyn ConsultationUnit,
    consultation: Option<Consultation>,
    recipient: Recipient,
    except: Option<NotificationId>,
) -> Result<Facts, ConsultationError> {
    let (doctor_id, channels) = match recipient {
        Recipient::Doctor(id) => (Some(id), Vec::new()),
        Recipient::Patient(id) => {
            let patient = unit.patients().find(id).await?.ok_or(ConsultationError::PatientNotFound(id))?;
            (consultation.as_ref().map(|c| c.pair.doctor), channels_of_patient(&patient))
        }
    };
    let doctor_id = doctor_id.ok_or(ConsultationError::Conflict)?;
    let doctor = unit.doctors().find(doctor_id).await?.ok_or(ConsultationError::DoctorNotFound(doctor_id))?;
    let channels = if matches!(recipient, Recipient::Doctor(_)) { channels_of_doctor(&doctor) } else { channels };
    let (relation, is_viewing, was_notified) = match &consultation {
        None => (None, false, false),
        Some(c) => {
            let seat = seat(context, unit, c, recipient).await?;
            let since = seat.unread_since.max(context.clock.now() - context.policy.cool_down);
            let told = unit.notifications().last_notified(recipient, c.id, since, except).await?;
            (unit.relations().find(c.relation_id).await?, seat.is_viewing, told.is_some())
        }
    };
    let state = RecipientState { is_viewing, was_notified_in_cool_down: was_notified, channels };
    Ok(Facts { consultation, doctor, relation, state })
}

/// Where a recipient stands in the dialog.
struct Seat {
    /// Has it open in front, on any device.
    is_viewing: bool,
    /// When the first message was written that is not read: what was told earlier was told of another run.
    unread_since: Timestamp,
}

async fn seat(
    context: &Context,
    unit: &mut dyn ConsultationUnit,
    consultation: &Consultation,
    recipient: Recipient,
) -> Result<Seat, ConsultationError> {
    let client_id = match recipient {
        Recipient::Doctor(id) => id.to_string(),
        Recipient::Patient(id) => id.to_string(),
    };
    let now = context.clock.now();
    let absent = Seat { is_viewing: false, unread_since: Timestamp::from_millis(0) };
    let Some(dialog) = consultation.dialog_id else { return Ok(absent) };
    let members = unit.conversations().members(dialog).await?;
    let Some(member) = members.into_iter().find(|m| m.client_id == client_id) else { return Ok(absent) };
    let is_viewing = unit.presence().is_viewing(&client_id, dialog, now).await?;
    let next_unread = unit.messages().find_seq(dialog, member.read_seq + 1).await?;
    Ok(Seat { is_viewing, unread_since: next_unread.map_or(now, |message| message.created_at) })
}

impl Facts {
    /// The decision as of now.
    pub(super) fn decide(&self, context: &Context, recipient: Recipient, cause: Cause) -> Decision {
        let schedule = Schedule::of(&self.doctor, context.policy.timezone);
        let facts = Case {
            cause,
            consultation: self.consultation.as_ref(),
            is_blocked: self.relation.as_ref().is_some_and(|r| r.is_blocked),
            doctor: &self.doctor,
            schedule: &schedule,
            recipient: &self.state,
        };
        decision::decide(context.clock.now(), recipient, &facts)
    }
}

/// Decides about telling somebody of the verdict of a review, which is about no consultation, and keeps the decision;
/// queues a job if it is to leave now or later.
pub(super) async fn plan(
    context: &Context,
    unit: &mut dyn ConsultationUnit,
    recipient: Recipient,
    cause: Cause,
) -> Result<(), ConsultationError> {
    let facts = facts(context, unit, None, recipient, None).await?;
    let decision = facts.decide(context, recipient, cause);
    let (notification, job) = rows(context, recipient, None, cause, &decision);
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
