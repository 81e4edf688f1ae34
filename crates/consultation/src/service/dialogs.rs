//! The rules of a dialog: a consultation decides about the messages of its parties.

use domain::Timestamp;
use domain::doctor::Doctor;
use domain::id::ConsultationId;
use domain::time::span;
use im::owner::{ConversationOwner, Refusal};
use im::{Appended, NewMessage};

use super::context::Context;
use super::lines::DialogLines;
use super::transition;
use crate::consultation::Consultation;
use crate::error::ConsultationError;
use crate::machine::{self, Event, MessageFate, Transition};
use crate::policy::ConsultationPolicy;
use crate::unit::ConsultationUnit;

/// Tries of a message that lost a race to another transition.
const MAX_TRIES: usize = 5;

/// Answers for the dialogs of consultations. A conversation that belongs to no consultation has no rules.
#[derive(Clone)]
pub struct Dialogs {
    context: Context,
}

/// What a message came to inside its unit.
enum Verdict {
    /// It is to be committed.
    Stored(Appended),
    /// It was there already, or its sender is not in the dialog: nothing is to be committed.
    Dropped(Appended),
    /// This very message ended the consultation: the end is to be committed, the message is refused.
    Ended,
}

impl Dialogs {
    pub const fn new(context: Context) -> Self {
        Self { context }
    }

    async fn decide(&self, message: &NewMessage) -> Result<Appended, ConsultationError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.once(message).await {
                Err(ConsultationError::Conflict) if tries < MAX_TRIES => {}
                other => return other,
            }
        }
    }

    async fn once(&self, message: &NewMessage) -> Result<Appended, ConsultationError> {
        let conversation = self.context.store.read().conversations().find(message.conversation_id).await?;
        let Some(conversation) = conversation else { return Ok(Appended::NoConversation) };
        let mut unit = self.context.store.begin().await?;
        let verdict = match conversation.consultation_id {
            Some(id) => self.write(&mut *unit, id, message).await?,
            None => free(&mut *unit, message).await?,
        };
        let answer = match verdict {
            Verdict::Dropped(appended) => return Ok(appended),
            Verdict::Stored(appended) => Ok(appended),
            Verdict::Ended => Err(ConsultationError::Ended),
        };
        unit.commit().await?;
        self.context.signal.wake();
        answer
    }

    /// Rows 2 to 4 and 9 of the table, in one unit with the message.
    async fn write(
        &self,
        unit: &mut dyn ConsultationUnit,
        id: ConsultationId,
        message: &NewMessage,
    ) -> Result<Verdict, ConsultationError> {
        let context = &self.context;
        let now = context.clock.now();
        let current = unit.consultations().find(id).await?.ok_or(ConsultationError::NotFound(id))?;
        let doctors = unit.doctors().find_all_shared(&[current.pair.doctor]).await?;
        let relation = unit.relations().find_locked(current.relation_id).await?;
        if relation.is_some_and(|relation| relation.is_blocked) {
            return Err(ConsultationError::RelationBlocked);
        }
        let is_certified = doctors.first().is_some_and(Doctor::is_certified);
        let (event, label) = event_of(&current, message, is_certified);
        let mut transition = machine::apply(&current, &event, &context.policy, now)?;
        let is_refused = transition.effects.message == Some(MessageFate::Refuse);
        let agreed = NewMessage { is_agreed: true, ..message.clone() };
        let mut lines = if is_refused { DialogLines::default() } else { DialogLines::of(agreed) };
        if transition.changed {
            transition::write(context, unit, label, &mut transition, &mut lines).await?;
        }
        let mut appended = lines.write(unit).await?.into_iter();
        if is_refused {
            return Ok(Verdict::Ended);
        }
        match appended.next() {
            Some(stored @ Appended::Stored { .. }) => {
                if let Some(sender) = &message.sender {
                    let at = review_at(&transition, &context.policy, now);
                    unit.conversations().set_review(message.conversation_id, sender, at).await?;
                }
                Ok(Verdict::Stored(stored))
            }
            Some(other) => Ok(Verdict::Dropped(other)),
            None => Err(ConsultationError::Conflict),
        }
    }
}

#[async_trait::async_trait]
impl ConversationOwner for Dialogs {
    async fn accept(&self, message: &NewMessage) -> Result<Appended, Refusal> {
        self.decide(message).await.map_err(|error| Refusal::of(&error))
    }
}

/// Appends without asking anybody.
async fn free(unit: &mut dyn ConsultationUnit, message: &NewMessage) -> Result<Verdict, ConsultationError> {
    let agreed = NewMessage { is_agreed: true, ..message.clone() };
    let appended = DialogLines::of(agreed).write(unit).await?.pop().ok_or(ConsultationError::Conflict)?;
    Ok(match appended {
        stored @ Appended::Stored { .. } => Verdict::Stored(stored),
        other => Verdict::Dropped(other),
    })
}

/// What a message is to its consultation, and how history names who wrote it.
fn event_of(current: &Consultation, message: &NewMessage, is_certified: bool) -> (Event, String) {
    let sender = message.sender.as_deref().unwrap_or_default();
    let is_in_person = message.acted_by.is_none();
    if is_in_person && sender == current.pair.patient.to_string() {
        (Event::PatientMessage, format!("patient:{sender}"))
    } else if is_in_person && sender == current.pair.doctor.to_string() {
        (Event::DoctorMessage { is_certified }, format!("doctor:{sender}"))
    } else {
        (Event::AutomaticMessage, "system".to_owned())
    }
}

/// From when on the sender's next message is decided about again. Until then it would come to the same: the deadline
/// would move by less than anybody notices, and whoever is to be told was told, which the cool-down leaves at that.
/// What makes it come to something else (a transition, the peer reading, the peer looking away) asks for the
/// next decision by itself.
fn review_at(transition: &Transition, policy: &ConsultationPolicy, now: Timestamp) -> Timestamp {
    let counts_messages = policy.max_patient_messages.is_some();
    if counts_messages || transition.step.is_some() { now } else { now + policy.cool_down.min(REVIEW_EVERY) }
}

/// Longest a dialog goes without moving its deadline while its parties write.
const REVIEW_EVERY: std::time::Duration = span::minutes(1);
