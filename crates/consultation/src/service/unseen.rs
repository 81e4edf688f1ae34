//! Messages that nobody was told of because their recipient had the dialog open in front, and who then went away without
//! reading them: it is decided about them again.

use std::time::Duration;

use domain::Timestamp;
use domain::id::NotificationId;
use domain::time::span;

use super::context::Context;
use super::notify;
use crate::error::ConsultationError;

/// Looked at by one run; the next one takes the rest.
const MAX_BATCH: u32 = 200;
/// What is older than this, say from before an outage, is left to the badge in the app.
const NEWER_THAN: Duration = span::hours(24);

/// Decides again about what was left unseen.
#[derive(Clone)]
pub struct Unseen {
    context: Context,
}

impl Unseen {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Takes up what is due; answers how many decisions were taken.
    ///
    /// # Errors
    /// [`ConsultationError::Store`] when the database does not answer.
    pub async fn run(&self) -> Result<u64, ConsultationError> {
        let now = self.context.clock.now();
        let found =
            self.context.store.read().notifications().find_unseen(None, self.between(now), now, MAX_BATCH).await?;
        let mut decided = 0;
        for id in found {
            decided += u64::from(self.decide_again(id).await?);
        }
        Ok(decided)
    }

    /// Unless another worker was faster, or the recipient has come back.
    async fn decide_again(&self, id: NotificationId) -> Result<bool, ConsultationError> {
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        let Some(left) = unit.notifications().find_all(&[id]).await?.pop() else { return Ok(false) };
        let Some(consultation) = left.consultation_id else { return Ok(false) };
        let Some(consultation) = unit.consultations().find(consultation).await? else { return Ok(false) };
        unit.relations().find_locked(consultation.relation_id).await?;
        if unit.notifications().find_unseen(Some(id), self.between(now), now, 1).await?.is_empty() {
            return Ok(false);
        }
        notify::plan(&self.context, &mut *unit, Some(&consultation), left.recipient, left.cause).await?;
        unit.commit().await?;
        self.context.signal.wake();
        Ok(true)
    }

    /// What was suppressed between these two times is due: whoever looked away has had time to come back and read.
    fn between(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        (now - NEWER_THAN, now - self.context.policy.unseen_after)
    }
}
