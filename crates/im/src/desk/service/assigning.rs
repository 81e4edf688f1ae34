//! Giving waiting chats to agents: called whenever that may have become possible, and by a sweep.

use serde_json::json;

use super::Desk;
use super::work::Work;
use crate::desk::agent::DeskAgent;
use crate::desk::assign::{self, Placement};
use crate::desk::chat::Chat;
use crate::desk::entry::EntryKind;
use crate::desk::error::DeskError;

/// Chats of the queue that are looked at together.
const MAX_QUEUE: u32 = 2_000;
/// Rounds of one call: another is needed only when somebody else changed an agent or a chat in between.
const MAX_ROUNDS: usize = 8;
/// Kind of the job that looks at the queue at a certain time, when somebody who waits may be served though nothing
/// happens; it has no payload.
pub const ASSIGN_JOB: &str = "assign_chats";

/// What a round came to.
struct Round {
    given: usize,
    /// A placement could not be claimed: things had changed.
    missed: bool,
}

impl Desk {
    /// Gives as many waiting chats to agents as can be; answers how many. Leaves a job for the next time at which one
    /// of the others may be served. Safe to call from anywhere, any number of times.
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
        let mut queue = work.unit.chats().queue(MAX_QUEUE).await?;
        let mut agents = work.unit.agents().list_there(work.now).await?;
        let placements = assign::place(&queue, &agents, &work.assistant.settings, work.now, self.home);
        let mut round = Round { given: 0, missed: false };
        for placement in &placements {
            // Who comes after a chat that could not be given must not overtake it.
            if !give(&mut work, &mut queue, &mut agents, placement).await? {
                round.missed = true;
                break;
            }
            round.given += 1;
        }
        let next_chance = assign::next_chance(&queue, &agents, work.now, self.home);
        if let Some(at) = next_chance {
            work.job(ASSIGN_JOB, json!({}), at, format!("{ASSIGN_JOB}:{}", at.as_millis()));
        }
        if round.given > 0 || next_chance.is_some() {
            self.finish(work).await?;
        }
        Ok(round)
    }
}

/// Claims a chat of the queue for an agent, both as they were read, and writes down there what changed.
async fn give(
    work: &mut Work,
    queue: &mut Vec<Chat>,
    agents: &mut [DeskAgent],
    placement: &Placement,
) -> Result<bool, DeskError> {
    let chat = queue.iter().find(|chat| chat.conversation_id == placement.conversation_id).cloned();
    let agent = agents.iter_mut().find(|agent| agent.id == placement.agent);
    let (Some(mut chat), Some(agent)) = (chat, agent) else { return Ok(false) };
    chat.assign(placement.agent, placement.reason, work.now);
    if !work.claim(&mut chat).await? {
        return Ok(false);
    }
    let data = json!({ "reason": placement.reason.as_str(), "agentId": placement.agent });
    work.entry(chat.conversation_id, EntryKind::Assigned, None, None, data);
    work.tell_customer(&chat, Some(&agent.display_name));
    agent.load += 1;
    queue.retain(|waiting| waiting.conversation_id != chat.conversation_id);
    Ok(true)
}
