//! What time does to consultations: warnings, expiry, idleness, the hard limit. Safe to run twice, on two workers
//! and after downtime: each transition names the version it read.

use domain::Actor;
use domain::id::ConsultationId;

use super::context::Context;
use super::lines::DialogLines;
use super::transition::{self, Change};
use crate::consultation::Overdue;
use crate::error::ConsultationError;
use crate::machine::Event;

/// Consultations looked at by one sweep; the next run takes the rest.
const MAX_BATCH: u32 = 200;

/// Sweeps over deadlines.
#[derive(Clone)]
pub struct Sweeps {
    context: Context,
}

impl Sweeps {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Runs all sweeps once; answers how many consultations changed.
    ///
    /// # Errors
    /// [`ConsultationError::Store`] when the database does not answer. A lost race is not an error.
    pub async fn run(&self) -> Result<u64, ConsultationError> {
        let policy = &self.context.policy;
        let now = self.context.clock.now();
        let past = now - policy.sweep_grace;
        let mut changed = self.sweep(Overdue::NoReply, past, || Event::ExpireNoReply).await?;
        changed += self.sweep(Overdue::Idle, past, || Event::IdleTimeout).await?;
        changed += self.sweep(Overdue::Unwarned, now + policy.warn_before, || Event::WarnOfDeadline).await?;
        if let Some(longest) = policy.max_duration {
            changed += self.sweep(Overdue::StartedBefore, now - longest, || Event::MaxDuration).await?;
        }
        Ok(changed)
    }

    async fn sweep(
        &self,
        what: Overdue,
        before: domain::Timestamp,
        event: impl Fn() -> Event,
    ) -> Result<u64, ConsultationError> {
        let due = self.context.store.read().consultations().find_overdue(what, before, MAX_BATCH).await?;
        let mut changed = 0;
        for id in due {
            match self.apply(id, event()).await {
                Ok(true) => changed += 1,
                // Somebody was faster, or it is no longer in that state: the next sweep looks again.
                Ok(false)
                | Err(ConsultationError::Conflict | ConsultationError::WrongStatus { .. } | ConsultationError::Ended) =>
                    {}
                Err(other) => return Err(other),
            }
        }
        Ok(changed)
    }

    async fn apply(&self, id: ConsultationId, event: Event) -> Result<bool, ConsultationError> {
        let mut unit = self.context.store.begin().await?;
        let Some(current) = unit.consultations().find(id).await? else { return Ok(false) };
        let (change, mut lines) = (Change { current, event }, DialogLines::default());
        let transition = transition::run(&self.context, &mut *unit, &Actor::System, change, &mut lines).await?;
        if transition.changed {
            lines.write(&mut *unit).await?;
            unit.commit().await?;
            self.context.signal.wake();
        }
        Ok(transition.changed)
    }
}
