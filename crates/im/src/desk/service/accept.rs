//! Messages in conversations with the assistant: the desk decides about each of them.

use domain::Actor;
use domain::id::{AgentId, EpisodeId};
use domain::office_hours::Hours;
use serde_json::json;

use super::work::Work;
use super::{Desk, retrying};
use crate::desk::chat::{Chat, ChatStatus, CustomerWrote};
use crate::desk::entry::EntryKind;
use crate::desk::episode::Episode;
use crate::desk::error::DeskError;
use crate::message::{Appended, NewMessage};
use crate::owner::{ConversationOwner, Refusal};

#[async_trait::async_trait]
impl ConversationOwner for Desk {
    async fn accept(&self, message: &NewMessage) -> Result<Appended, Refusal> {
        self.take_in(message).await.map_err(|error| Refusal::of(&error))
    }
}

impl Desk {
    /// Takes a message in with everything that follows from it.
    ///
    /// # Errors
    /// [`DeskError`]: nothing was stored.
    pub(super) async fn take_in(&self, message: &NewMessage) -> Result<Appended, DeskError> {
        let (appended, is_waiting) = retrying!(self.take_in_once(message))?;
        if is_waiting {
            self.assign_after().await;
        }
        Ok(appended)
    }

    /// Also says whether the chat waits for an agent now.
    async fn take_in_once(&self, message: &NewMessage) -> Result<(Appended, bool), DeskError> {
        let mut work = self.work().await?;
        let mut chat = work.chat(message.conversation_id).await?;
        let is_assistant = message.sender.as_deref() == Some(&work.assistant.client_id());
        match (is_assistant, message.acted_by) {
            (true, Some(agent)) => self.agent_writes(&mut work, &mut chat, agent, message).await?,
            // Nobody is the assistant but those who act for it.
            (true, None) => return Err(domain::actor::AccessError::Forbidden.into()),
            (false, _) if message.sender.as_ref() == Some(&chat.customer_id) => {
                self.customer_writes(&mut work, &mut chat, message).await?;
            }
            (false, _) => return Ok((Appended::NotMember, false)),
        }
        let is_waiting = chat.status == ChatStatus::Queued;
        let appended = self.finish(work).await?;
        Ok((appended.into_iter().next().ok_or(DeskError::Conflict)?, is_waiting))
    }

    async fn agent_writes(
        &self,
        work: &mut Work,
        chat: &mut Chat,
        agent: AgentId,
        message: &NewMessage,
    ) -> Result<(), DeskError> {
        if !chat.is_of(agent) {
            return Err(DeskError::NotYours);
        }
        chat.agent_replied(work.now);
        if let Some(id) = chat.detail.episode
            && let Some(mut episode) = work.unit.episodes().find(id).await?
        {
            episode.first_reply_at.get_or_insert(work.now);
            episode.reply_count += 1;
            work.unit.episodes().update(&episode).await?;
        }
        work.say(message.clone());
        work.save(chat).await
    }

    async fn customer_writes(&self, work: &mut Work, chat: &mut Chat, message: &NewMessage) -> Result<(), DeskError> {
        if !work.assistant.is_enabled {
            return Err(DeskError::Disabled);
        }
        if chat.detail.is_blocked {
            return Err(DeskError::Blocked);
        }
        work.say(message.clone());
        let schedule = work.assistant.schedule(self.home);
        match chat.customer_wrote(&work.assistant.settings, &schedule, work.now) {
            CustomerWrote::GoesOn => {}
            CustomerWrote::Begins => {
                begin_episode(self, work, chat).await?;
                work.entry(chat.conversation_id, EntryKind::Queued, None, None, json!({}));
                work.tell_customer(chat, None);
            }
            CustomerWrote::Reopens => {
                resume_episode(work, chat).await?;
                work.entry(chat.conversation_id, EntryKind::Reopened, None, None, json!({}));
                work.tell_customer(chat, None);
            }
        }
        if let Hours::Closed { next_open } = work.assistant.hours(work.now, self.home)
            && chat.status == ChatStatus::Queued
            && chat.detail.told_next_open != Some(next_open)
        {
            chat.detail.told_next_open = Some(next_open);
            let text = work.assistant.off_hours(next_open, self.home);
            work.say_text(chat.conversation_id, &text);
        }
        work.save(chat).await
    }
}

/// Begins the next episode of a chat.
pub(super) async fn begin_episode(desk: &Desk, work: &mut Work, chat: &mut Chat) -> Result<(), DeskError> {
    let before = work.unit.episodes().list(chat.conversation_id, 1).await?;
    let number = before.first().map_or(1, |last| last.number + 1);
    let id = EpisodeId(desk.ids.next());
    let episode = Episode::new(id, chat.conversation_id, chat.customer_kind, number, work.now);
    work.unit.episodes().insert(&episode).await?;
    chat.detail.episode = Some(id);
    (chat.detail.is_rated, chat.detail.rating) = (false, None);
    Ok(())
}

/// Lets the last episode of a chat go on.
pub(super) async fn resume_episode(work: &mut Work, chat: &Chat) -> Result<(), DeskError> {
    if let Some(id) = chat.detail.episode
        && let Some(mut episode) = work.unit.episodes().find(id).await?
    {
        (episode.closed_at, episode.close_reason) = (None, None);
        work.unit.episodes().update(&episode).await?;
    }
    Ok(())
}

/// Which member of staff asks.
///
/// # Errors
/// [`domain::actor::AccessError`] for anybody else.
pub(super) fn require_staff(actor: &Actor) -> Result<AgentId, DeskError> {
    actor.staff().ok_or_else(|| actor.refuse(domain::actor::AccessError::Forbidden).into())
}
