//! Answers of the desk that their customer has not read: whoever is not looking is told, once for each run of answers.

use std::time::Duration;

use domain::Timestamp;
use domain::id::ConversationId;
use domain::time::span;

use super::context::Context;
use super::notify;
use crate::decision::{RecipientState, about_answer};
use crate::error::ConsultationError;
use crate::notification::{AnswerSearch, AssistantSeat, Cause, Recipient};
use crate::unit::ConsultationUnit;

/// Looked at by one run; the next one takes the rest.
const MAX_BATCH: u32 = 200;
/// What is older than this, say from before an outage, is left to the badge in the app.
const NEWER_THAN: Duration = span::hours(24);

/// Decides about answers of the desk that were left unread.
#[derive(Clone)]
pub struct Answers {
    context: Context,
}

impl Answers {
    pub const fn new(context: Context) -> Self {
        Self { context }
    }

    /// Takes up what is due; answers how many decisions were taken.
    ///
    /// # Errors
    /// [`ConsultationError::Store`] when the database does not answer.
    pub async fn run(&self) -> Result<u64, ConsultationError> {
        let search = self.search(None);
        let found = self.context.store.read().notifications().find_unread_answers(&search, MAX_BATCH).await?;
        let mut decided = 0;
        for answer in found {
            decided += u64::from(self.decide(answer.conversation_id).await?);
        }
        Ok(decided)
    }

    /// Unless another worker was faster, or the customer has come back.
    async fn decide(&self, id: ConversationId) -> Result<bool, ConsultationError> {
        let mut unit = self.context.store.begin().await?;
        unit.conversations().find_locked(id).await?;
        let found = unit.notifications().find_unread_answers(&self.search(Some(id)), 1).await?.pop();
        let Some(AssistantSeat { recipient, .. }) = found else { return Ok(false) };
        let Some(state) = state(&mut *unit, recipient).await? else { return Ok(false) };
        let decision = about_answer(&state);
        let (notification, job) = notify::rows(&self.context, recipient, None, Cause::AssistantAnswer, &decision);
        unit.notifications().insert_all(&[notification]).await?;
        unit.outbox().append_all(job.as_slice()).await?;
        unit.commit().await?;
        self.context.signal.wake();
        Ok(true)
    }

    fn search(&self, only: Option<ConversationId>) -> AnswerSearch {
        let (now, policy) = (self.context.clock.now(), &self.context.policy);
        let said: (Timestamp, Timestamp) = (now - NEWER_THAN, now - policy.unseen_after);
        AnswerSearch { only, said, not_told_since: now - policy.cool_down, now }
    }
}

/// How the customer can be reached; `None` when there is no such person any more. They are not looking, and were not
/// told within the cool-down: that is what was searched for.
async fn state(
    unit: &mut dyn ConsultationUnit,
    recipient: Recipient,
) -> Result<Option<RecipientState>, ConsultationError> {
    let by_wechat = !unit.notifications().reachable_by_wechat(&[recipient], None).await?.is_empty();
    let channels = match recipient {
        Recipient::Doctor(id) => {
            let found = unit.doctors().find(id).await?;
            found.map(|doctor| notify::channels_of_doctor(&doctor, by_wechat))
        }
        Recipient::Patient(id) => {
            let found = unit.patients().find(id).await?;
            found.map(|patient| notify::channels_of_patient(&patient, by_wechat))
        }
    };
    Ok(channels.map(|channels| RecipientState { channels, ..RecipientState::default() }))
}
