//! Giving waiting chats to agents: called whenever that may have become possible, and by a sweep.

use serde_json::json;

use super::Desk;
use super::work::Work;
use crate::desk::assign::{self, Placement};
use crate::desk::chat::Chat;
use crate::desk::entry::EntryKind;
use crate::desk::error::DeskError;

/// Chats of the queue that are looked at together.
const MAX_QUEUE: u32 = 2_000;
/// Rounds of one call: another is needed only when somebody else changed an agent or a chat in between.
const MAX_ROUNDS: usize = 8;
/// Kind of the job that looks at the queue at a certain time; it has no payload.
pub const ASSIGN_JOB: &str = "assign_chats";

/// What a round came to.
struct Round {
    given: usize,
    /// A placement could not be claimed: things had changed.
    missed: bool,
}

impl Desk {
    /// Gives as many waiting chats to agents as can be; answers how many. Safe to call from anywhere, any number of
    /// times.
    ///
    /// # Errors
    /// [`DeskError::Store`].
    pub async fn assign(&self) -> Result<usize, DeskError> {
        let mut given = 0;
        for _ in 0..MAX_ROUNDS {
            if self.store.read().chats().queue(1).await?.is_empty() {
                break;
            }
            match self.round().await {
                Ok(round) => {
                    given += round.given;
                    if !round.missed {
                        break;
                    }
                }
                Err(DeskError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(given)
    }

    /// [`Self::assign`] after something else was done, which stays done: what fails here is made up for by the sweep.
    pub(super) async fn assign_after(&self) {
        if let Err(error) = self.assign().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "waiting chats were not given out");
        }
    }

    /// Rounds run one after another, on all nodes: each sees what the one before has given out.
    async fn round(&self) -> Result<Round, DeskError> {
        let mut work = self.work().await?;
        work.unit.chats().lock_queue().await?;
        work.now = self.clock.now();
        let queue = work.unit.chats().queue(MAX_QUEUE).await?;
        let agents = work.unit.agents().list_there(work.now).await?;
        let placements = assign::place(&queue, &agents, &work.assistant.settings, work.now, self.home);
        let mut round = Round { given: 0, missed: false };
        for placement in &placements {
            let Some(chat) = queue.iter().find(|chat| chat.conversation_id == placement.conversation_id) else {
                continue;
            };
            let agent = agents.iter().find(|agent| agent.id == placement.agent);
            let name = agent.map(|agent| agent.display_name.as_str());
            if give(&mut work, chat.clone(), placement, name).await? {
                round.given += 1;
            } else {
                round.missed = true;
            }
        }
        if round.given > 0 {
            self.finish(work).await?;
        }
        Ok(round)
    }

    /// Leaves a job for the next time at which somebody who waits may be served though nothing happens.
    pub(super) async fn plan_next_chance(&self) -> Result<(), DeskError> {
        let now = self.clock.now();
        let mut unit = self.store.read();
        let queue = unit.chats().queue(MAX_QUEUE).await?;
        if queue.is_empty() {
            return Ok(());
        }
        let agents = unit.agents().list_there(now).await?;
        let Some(at) = assign::next_chance(&queue, &agents, now, self.home) else { return Ok(()) };
        let mut work = self.work().await?;
        work.job(ASSIGN_JOB, json!({}), at, format!("{ASSIGN_JOB}:{}", at.as_millis()));
        self.finish(work).await?;
        Ok(())
    }
}

async fn give(work: &mut Work, mut chat: Chat, placement: &Placement, name: Option<&str>) -> Result<bool, DeskError> {
    chat.assign(placement.agent, placement.reason, work.now);
    if !work.claim(&mut chat).await? {
        return Ok(false);
    }
    let data = json!({ "reason": placement.reason.as_str(), "agentId": placement.agent });
    work.entry(chat.conversation_id, EntryKind::Assigned, None, None, data);
    work.tell_customer(&chat, name);
    Ok(true)
}
