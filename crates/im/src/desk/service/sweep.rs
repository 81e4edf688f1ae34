//! What time asks of chats: warnings, closes, offers that nobody took, agents who are gone. A safety net for the rest.

use domain::id::ConversationId;
use serde_json::json;

use super::holding::end;
use super::{Desk, retrying};
use crate::desk::chat::{CloseReason, Overdue};
use crate::desk::entry::EntryKind;
use crate::desk::error::DeskError;

/// Chats looked at together.
const BATCH: u32 = 200;

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    pub warned_or_closed: usize,
    pub requeued: usize,
    pub given: usize,
}

impl Desk {
    /// Does everything that time asks for, then gives waiting chats out. Running it on several nodes does no harm.
    ///
    /// # Errors
    /// [`DeskError::Store`].
    pub async fn sweep(&self) -> Result<Swept, DeskError> {
        let due = self.store.read().chats().list_due(self.clock.now(), BATCH).await?;
        let mut swept = Swept::default();
        for id in due {
            swept.warned_or_closed += usize::from(retrying!(self.sweep_one(id))?);
        }
        swept.requeued = self.requeue_orphaned().await?;
        swept.given = self.assign().await?;
        Ok(swept)
    }

    async fn sweep_one(&self, id: ConversationId) -> Result<bool, DeskError> {
        let mut work = self.work().await?;
        let mut chat = work.chat(id).await?;
        let Some(overdue) = chat.overdue(&work.assistant.settings, work.now) else { return Ok(false) };
        match overdue {
            Overdue::Warn => {
                chat.detail.warned_at = Some(work.now);
                let text = work.assistant.warning_text.clone();
                work.say_text(id, &text);
                work.entry(id, EntryKind::Warned, None, None, json!({}));
                work.save(&mut chat).await?;
            }
            Overdue::Close => end(&mut work, &mut chat, None, CloseReason::Idle).await?,
            Overdue::OfferEnded => {
                let Some(offer) = chat.detail.offer.take() else { return Ok(false) };
                work.save(&mut chat).await?;
                work.entry(id, EntryKind::Declined, None, None, json!({ "to": offer.to, "how": "timeout" }));
                for agent in [offer.from, offer.to] {
                    work.tell_one(agent, id, json!({ "what": "offer_ended", "how": "timeout" }));
                }
            }
        }
        self.finish(work).await?;
        Ok(true)
    }

    /// Puts chats whose agent is gone back into the queue; answers how many.
    pub(super) async fn requeue_orphaned(&self) -> Result<usize, DeskError> {
        let orphaned = self.store.read().chats().list_orphaned(self.clock.now(), BATCH).await?;
        let mut requeued = 0;
        for id in orphaned {
            requeued += usize::from(retrying!(self.requeue(id))?);
        }
        Ok(requeued)
    }

    async fn requeue(&self, id: ConversationId) -> Result<bool, DeskError> {
        let mut work = self.work().await?;
        let mut chat = work.chat(id).await?;
        let Some(from) = chat.agent else { return Ok(false) };
        // They may have come back meanwhile.
        if work.unit.agents().find(from).await?.is_some_and(|agent| agent.is_there(work.now)) {
            return Ok(false);
        }
        chat.enqueue(work.now);
        work.let_go(&mut chat, from).await?;
        work.entry(id, EntryKind::Requeued, None, None, json!({ "from": from }));
        work.tell_customer(&chat, None);
        self.finish(work).await?;
        Ok(true)
    }
}
