//! Writing a transition: the consultation, its event, who is to be told, and the lines of the dialog.

use domain::id::ConsultationEventId;
use domain::{Actor, Timestamp};
use serde_json::json;

use super::context::Context;
use super::lines::DialogLines;
use super::notify;
use crate::consultation::Consultation;
use crate::decision::{self, Decision};
use crate::error::ConsultationError;
use crate::machine::{self, Event, Transition};
use crate::notification::{Cause, Reason, Recipient, Side};
use crate::unit::ConsultationUnit;

/// An event about to happen to a consultation.
pub(super) struct Change {
    pub(super) current: Consultation,
    pub(super) event: Event,
}

/// Who is to be told, of what, and what was decided about it.
type Told = (Recipient, Cause, Decision);

/// Applies an event inside a unit. The write names the version read, so of two racing events one gets
/// [`ConsultationError::Conflict`]. The answer's `next` carries the version as stored. What the dialog is to show is
/// added to `lines`, which the caller writes last.
pub(super) async fn run(
    context: &Context,
    unit: &mut dyn ConsultationUnit,
    actor: &Actor,
    change: Change,
    lines: &mut DialogLines,
) -> Result<Transition, ConsultationError> {
    let Change { current, event } = change;
    let mut transition = machine::apply(&current, &event, &context.policy, context.clock.now())?;
    if transition.effects.needs_admin_task {
        let subject = format!("consultation:{}", current.id);
        let task = context.audit(actor, "consultation.needs_admin", subject, json!({}));
        unit.audit().append_all(&[task]).await?;
    }
    if transition.changed {
        write(context, unit, actor.label(), &mut transition, lines).await?;
    }
    Ok(transition)
}

/// Writes a transition that changes the consultation, and what goes with it.
pub(super) async fn write(
    context: &Context,
    unit: &mut dyn ConsultationUnit,
    actor: String,
    transition: &mut Transition,
    lines: &mut DialogLines,
) -> Result<(), ConsultationError> {
    let now = context.clock.now();
    if transition.effects.cancels_queued {
        unit.notifications().cancel_queued(transition.next.id, now).await?;
    }
    let told = decide(context, unit, transition).await?;
    let off_hours = told.iter().find_map(|(_, cause, decision)| closed_until(decision).map(|until| (*cause, until)));
    let reply = match off_hours {
        Some((cause, until)) => off_hours_reply(context, unit, transition, cause, until).await?,
        None => None,
    };
    unit.consultations().update(&transition.next).await?;
    transition.next.version += 1;
    let (next, effects) = (&transition.next, &transition.effects);
    let event = transition.record(ConsultationEventId(context.ids.next()), actor, now);
    unit.consultations().append_events(event.as_slice()).await?;
    for (recipient, cause, decision) in &told {
        let (notification, job) = notify::rows(context, *recipient, Some(next), *cause, decision);
        unit.notifications().insert_all(&[notification]).await?;
        unit.outbox().append_all(job.as_slice()).await?;
    }
    if let Some(dialog) = next.dialog_id {
        for notice in effects.notice.iter().chain(&reply) {
            lines.notice(context, dialog, notice);
        }
        if event.is_some() {
            lines.moved(context, dialog, next);
        }
    }
    Ok(())
}

/// Decides about everybody who may have to be told.
async fn decide(
    context: &Context,
    unit: &mut dyn ConsultationUnit,
    transition: &Transition,
) -> Result<Vec<Told>, ConsultationError> {
    let next = &transition.next;
    let mut told = Vec::with_capacity(transition.effects.notify.len());
    for (side, cause) in &transition.effects.notify {
        let recipient = match side {
            Side::Doctor => Recipient::Doctor(next.pair.doctor),
            Side::Patient => Recipient::Patient(next.pair.patient),
        };
        told.push((recipient, *cause, notify::decide(context, unit, Some(next), recipient, *cause).await?));
    }
    Ok(told)
}

/// The doctor's next opening, where a notification has to wait for it.
const fn closed_until(decision: &Decision) -> Option<Timestamp> {
    match decision {
        Decision::Defer { until, reason: Reason::OutsideWindow } => Some(*until),
        _ => None,
    }
}

/// The one reply of a closed period, noted on the consultation.
async fn off_hours_reply(
    context: &Context,
    unit: &mut dyn ConsultationUnit,
    transition: &mut Transition,
    cause: Cause,
    until: Timestamp,
) -> Result<Option<im::SystemNotice>, ConsultationError> {
    let id = transition.next.pair.doctor;
    let doctor = unit.doctors().find(id).await?.ok_or(ConsultationError::DoctorNotFound(id))?;
    let reply = decision::off_hours_reply(&transition.next, cause, until, &doctor, context.policy.timezone);
    if reply.is_some() {
        transition.next.off_hours_reply_until = Some(until);
    }
    Ok(reply)
}
