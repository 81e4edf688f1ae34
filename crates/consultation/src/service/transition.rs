//! Writing a transition: the consultation, its event, the dialog's system message, and who is to be told.

use domain::Actor;
use domain::id::{ConsultationEventId, MessageId};
use im::NewSystemMessage;

use super::context::Context;
use super::notify;
use crate::consultation::{Consultation, ConsultationEvent};
use crate::error::ConsultationError;
use crate::machine::{self, Event, Transition};
use crate::notification::Recipient;
use crate::unit::ConsultationUnit;

/// An event about to happen to a consultation.
pub(super) struct Change {
    pub(super) current: Consultation,
    pub(super) event: Event,
}

/// Applies an event inside a unit. The write names the version read, so of two racing events one gets
/// [`ConsultationError::Conflict`]. The answer's `next` carries the version as stored.
pub(super) async fn run(
    context: &Context,
    unit: &mut dyn ConsultationUnit,
    actor: &Actor,
    change: Change,
) -> Result<Transition, ConsultationError> {
    let Change { current, event } = change;
    let now = context.clock.now();
    let mut transition = machine::apply(&current, &event, &context.policy, now)?;
    if !transition.changed {
        return Ok(transition);
    }
    unit.consultations().update(&transition.next).await?;
    transition.next.version += 1;
    record(context, unit, actor, Some(&current), &transition).await?;
    Ok(transition)
}

/// Appends what a transition leaves behind, once the consultation itself is written.
async fn record(
    context: &Context,
    unit: &mut dyn ConsultationUnit,
    actor: &Actor,
    before: Option<&Consultation>,
    transition: &Transition,
) -> Result<(), ConsultationError> {
    let next = &transition.next;
    let event = event_row(context, actor, before, transition);
    unit.consultations().append_events(&[event]).await?;
    if let (Some(dialog), Some(notice)) = (next.dialog_id, &transition.notice) {
        let message = NewSystemMessage {
            id: MessageId(context.ids.next()),
            conversation_id: dialog,
            notice: notice.clone(),
            created_at: context.clock.now(),
        };
        unit.conversations().append_system(&[message]).await?;
    }
    if transition.cancels_queued {
        unit.notifications().cancel_queued(next.id, context.clock.now()).await?;
    }
    for told in &transition.notify {
        let recipient = match told.side {
            machine::Side::Doctor => Recipient::Doctor(next.pair.doctor),
            machine::Side::Patient => Recipient::Patient(next.pair.patient),
        };
        notify::plan(context, unit, next, recipient, told.cause).await?;
    }
    Ok(())
}

/// The row that keeps a transition.
pub(super) fn event_row(
    context: &Context,
    actor: &Actor,
    before: Option<&Consultation>,
    transition: &Transition,
) -> ConsultationEvent {
    let next = &transition.next;
    ConsultationEvent {
        id: ConsultationEventId(context.ids.next()),
        consultation_id: next.id,
        event: transition.event.to_owned(),
        actor: actor.label(),
        from_status: before.map(|b| b.status),
        to_status: next.status,
        end_reason: next.end_reason,
        note: next.end_note.clone(),
        at: context.clock.now(),
    }
}
