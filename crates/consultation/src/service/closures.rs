//! What becomes of the open consultations of a closed account.

use domain::Actor;
use domain::closure::ClosedAccount;
use domain::id::ConsultationId;
use im::log::{EventKind, NewEvent};
use serde_json::json;

use super::context::Context;
use super::lines::DialogLines;
use super::transition::{self, Change};
use crate::error::ConsultationError;
use crate::machine::Event;
use crate::notification::Side;

/// Tries of an end that lost a race to another transition.
const MAX_TRIES: usize = 5;

/// Ends what people who are gone had begun.
#[derive(Clone)]
pub struct Closures {
    context: Context,
}

impl Closures {
    pub const fn new(context: Context) -> Self {
        Self { context }
    }

    /// Ends the connected sessions of these people and the open consultations of these profiles, each in its own unit;
    /// answers how many consultations. Doing it again ends what has come since.
    ///
    /// # Errors
    /// [`ConsultationError::Access`] for anybody but the system; [`ConsultationError::Conflict`] when others are faster
    /// all the time; [`ConsultationError::Store`].
    pub async fn end_open(&self, actor: &Actor, closed: ClosedAccount) -> Result<u64, ConsultationError> {
        actor.require(matches!(actor, Actor::System))?;
        self.end_sessions(closed).await?;
        let mut read = self.context.store.read();
        let mut open = Vec::new();
        if let Some(patient) = closed.patient {
            let found = read.consultations().find_open_of_patient(patient).await?;
            open.extend(found.into_iter().map(|c| (c.id, Side::Patient)));
        }
        if let Some(doctor) = closed.doctor {
            let found = read.consultations().find_open_of_doctor(doctor).await?;
            open.extend(found.into_iter().map(|c| (c.id, Side::Doctor)));
        }
        let mut ended = 0;
        for (id, who) in open {
            ended += u64::from(self.end(actor, id, who).await?);
        }
        Ok(ended)
    }

    /// Whoever is still connected as one of them is told to go.
    async fn end_sessions(&self, closed: ClosedAccount) -> Result<(), ConsultationError> {
        let ids = [
            closed.user.map(|id| id.to_string()),
            closed.patient.map(|id| id.to_string()),
            closed.doctor.map(|id| id.to_string()),
        ];
        let event = |client_id: String| NewEvent {
            conversation_id: None,
            client_id: Some(client_id),
            kind: EventKind::ClientEnded,
            payload: json!({ "reason": "ACCOUNT_CLOSED" }),
            at: self.context.clock.now(),
        };
        let events: Vec<NewEvent> = ids.into_iter().flatten().map(event).collect();
        let mut unit = self.context.store.begin().await?;
        unit.log().append_events(&events).await?;
        Ok(unit.commit().await?)
    }

    async fn end(&self, actor: &Actor, id: ConsultationId, who: Side) -> Result<bool, ConsultationError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.end_once(actor, id, who).await {
                Err(ConsultationError::Conflict) if tries < MAX_TRIES => {}
                other => return other,
            }
        }
    }

    async fn end_once(&self, actor: &Actor, id: ConsultationId, who: Side) -> Result<bool, ConsultationError> {
        let mut unit = self.context.store.begin().await?;
        let Some(current) = unit.consultations().find(id).await? else { return Ok(false) };
        let (change, mut lines) = (Change { current, event: Event::CloseAccount(who) }, DialogLines::default());
        let transition = transition::run(&self.context, &mut *unit, actor, change, &mut lines).await?;
        if transition.changed {
            lines.write(&mut *unit).await?;
            unit.commit().await?;
            self.context.signal.wake();
        }
        Ok(transition.changed)
    }
}
