//! What a unit leaves in dialogs, gathered while it decides and written last: the log is locked from there to the
//! commit.

use domain::id::{ConversationId, MessageId};
use im::log::{EventKind, NewEvent};
use im::{Appended, NewMessage, SystemNotice};
use serde_json::json;

use super::context::Context;
use crate::consultation::Consultation;
use crate::error::ConsultationError;
use crate::unit::ConsultationUnit;

/// Lines for one or more dialogs.
#[derive(Debug, Default)]
pub(super) struct DialogLines {
    messages: Vec<NewMessage>,
    events: Vec<NewEvent>,
    /// Dialogs whose members are to be asked about before they write again.
    changed: Vec<ConversationId>,
}

impl DialogLines {
    /// A message of a member, which comes before whatever follows from it.
    pub(super) fn of(message: NewMessage) -> Self {
        Self { messages: vec![message], ..Self::default() }
    }

    /// A line of the product itself.
    pub(super) fn notice(&mut self, context: &Context, dialog: ConversationId, notice: &SystemNotice) {
        let id = MessageId(context.ids.next());
        self.messages.push(NewMessage::system(id, dialog, notice, context.clock.now()));
    }

    /// Tells the devices of both parties where the consultation stands, and lets their next messages be decided anew.
    pub(super) fn moved(&mut self, context: &Context, dialog: ConversationId, consultation: &Consultation) {
        self.changed.push(dialog);
        self.events.push(NewEvent {
            conversation_id: Some(dialog),
            client_id: None,
            kind: EventKind::Consultation,
            payload: json!({
                "consultationId": consultation.id,
                "status": consultation.status,
                "isInvalid": consultation.is_invalid,
                "endReason": consultation.end_reason,
            }),
            at: context.clock.now(),
        });
    }

    /// Lets the next messages of a consultation be decided anew.
    pub(super) fn ask_again_in(&mut self, consultation: &Consultation) {
        self.changed.extend(consultation.dialog_id);
    }

    /// Writes everything; answers what became of each message. Nothing may be locked after it.
    pub(super) async fn write(mut self, unit: &mut dyn ConsultationUnit) -> Result<Vec<Appended>, ConsultationError> {
        if !self.changed.is_empty() {
            self.changed.sort_unstable();
            self.changed.dedup();
            unit.conversations().reset_review(&self.changed).await?;
        }
        let appended = unit.messages().append(&self.messages).await?;
        if !self.events.is_empty() {
            unit.log().append_events(&self.events).await?;
        }
        Ok(appended)
    }
}
