//! Writing a transition: the consultation, its event, the dialog's system message, and who is to be told.

use domain::Actor;
use domain::id::{ConsultationEventId, MessageId};
use im::NewSystemMessage;
use serde_json::json;

use super::context::Context;
use super::notify;
use crate::consultation::Consultation;
use crate::error::ConsultationError;
use crate::machine::{self, Event, Transition};
use crate::notification::{Recipient, Side};
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
    if transition.effects.needs_admin_task {
        let subject = format!("consultation:{}", current.id);
        let task = context.audit(actor, "consultation.needs_admin", subject, json!({}));
        unit.audit().append_all(&[task]).await?;
    }
    if transition.changed {
        unit.consultations().update(&transition.next).await?;
        transition.next.version += 1;
        record(context, unit, actor, &transition).await?;
    }
    Ok(transition)
}

/// Appends what a transition leaves behind, once the consultation itself is written.
async fn record(
    context: &Context,
    unit: &mut dyn ConsultationUnit,
    actor: &Actor,
    transition: &Transition,
) -> Result<(), ConsultationError> {
    let (next, effects) = (&transition.next, &transition.effects);
    let now = context.clock.now();
    let event = transition.record(ConsultationEventId(context.ids.next()), actor, now);
    unit.consultations().append_events(event.as_slice()).await?;
    if let (Some(dialog), Some(notice)) = (next.dialog_id, &effects.notice) {
        let id = MessageId(context.ids.next());
        let message = NewSystemMessage { id, conversation_id: dialog, notice: notice.clone(), created_at: now };
        unit.conversations().append_system(&[message]).await?;
    }
    if effects.cancels_queued {
        unit.notifications().cancel_queued(next.id, now).await?;
    }
    for (side, cause) in &effects.notify {
        let recipient = match side {
            Side::Doctor => Recipient::Doctor(next.pair.doctor),
            Side::Patient => Recipient::Patient(next.pair.patient),
        };
        notify::plan(context, unit, Some(next), recipient, *cause).await?;
    }
    Ok(())
}
