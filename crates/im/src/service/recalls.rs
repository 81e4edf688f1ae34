//! Taking a message back, and the sealed original.

use std::time::Duration;

use domain::actor::AccessError;
use domain::id::{ConversationId, MessageId};
use domain::{Actor, Timestamp};
use serde_json::json;

use super::access::client_ids_of;
use super::context::{ImContext, seat};
use crate::error::ImError;
use crate::log::{EventKind, NewEvent};
use crate::message::Message;

/// Who takes a message back.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Recaller {
    /// Its sender, for a short time.
    Sender(String),
    /// An administrator, or the product itself after a content check: at any time.
    Overseer(&'static str),
}

/// The use cases of recalling.
#[derive(Clone)]
pub struct Recalls {
    context: ImContext,
}

impl Recalls {
    pub const fn new(context: ImContext) -> Self {
        Self { context }
    }

    /// Takes a message back: for its sender for a short time, for an administrator at any time and audited.
    /// Recalling it again changes nothing.
    ///
    /// # Errors
    /// [`ImError::RecallTooLate`]; [`ImError::Access`] for another member; [`ImError::ConversationNotFound`] for
    /// somebody who is not in it.
    pub async fn recall(&self, actor: &Actor, id: ConversationId, message: MessageId) -> Result<Message, ImError> {
        let overseer = overseer(actor);
        let ids = client_ids_of(actor);
        actor.require_visible(overseer.is_some() || !ids.is_empty())?;
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        unit.conversations().find_locked(id).await?.ok_or(ImError::ConversationNotFound)?;
        let recaller = match overseer {
            Some(word) => Recaller::Overseer(word),
            None => Recaller::Sender(seat(&mut *unit, &ids, id).await?.member.client_id),
        };
        let mut found = unit.messages().find(id, message).await?.ok_or(ImError::MessageNotFound)?;
        check(&recaller, &found, self.context.policy.recall_within, now)?;
        if found.is_recalled() {
            return Ok(found);
        }
        unit.messages().recall(&found, now).await?;
        found.recalled_at = Some(now);
        if matches!(recaller, Recaller::Overseer(_)) {
            let act = self.context.audit(actor, "message.recall", subject(message), json!({ "conversationId": id }));
            unit.audit().append_all(&[act]).await?;
        }
        unit.log().append_events(&[event(&found, &recaller, now)]).await?;
        unit.commit().await?;
        self.context.log.moved();
        Ok(found)
    }

    /// A message as it was written, recalled or not, for an administrator; always audited.
    ///
    /// # Errors
    /// [`ImError::Access`] for anybody else; [`ImError::MessageNotFound`].
    pub async fn original(&self, actor: &Actor, id: ConversationId, message: MessageId) -> Result<Message, ImError> {
        actor.require_admin()?;
        let mut unit = self.context.store.begin().await?;
        let found = unit.messages().find(id, message).await?.ok_or(ImError::MessageNotFound)?;
        let act = self.context.audit(actor, "message.original", subject(message), json!({ "conversationId": id }));
        unit.audit().append_all(&[act]).await?;
        unit.commit().await?;
        Ok(found)
    }
}

fn subject(message: MessageId) -> String {
    format!("message:{message}")
}

/// The word under which members see who took a message back.
const fn overseer(actor: &Actor) -> Option<&'static str> {
    match actor {
        Actor::Admin(_) => Some("admin"),
        Actor::System => Some("system"),
        _ => None,
    }
}

fn check(recaller: &Recaller, message: &Message, within: Duration, now: Timestamp) -> Result<(), ImError> {
    let Recaller::Sender(client_id) = recaller else { return Ok(()) };
    if message.sender.as_ref() != Some(client_id) {
        return Err(AccessError::Forbidden.into());
    }
    if !message.is_recalled() && now > message.created_at + within {
        return Err(ImError::RecallTooLate);
    }
    Ok(())
}

fn event(message: &Message, recaller: &Recaller, at: Timestamp) -> NewEvent {
    let by = match recaller {
        Recaller::Sender(client_id) => client_id,
        Recaller::Overseer(word) => *word,
    };
    NewEvent {
        conversation_id: Some(message.conversation_id),
        client_id: None,
        kind: EventKind::Recalled,
        payload: json!({ "seq": message.seq, "messageId": message.id, "by": by }),
        at,
    }
}

#[cfg(test)]
mod tests {
    use domain::ObjectId;
    use rstest::rstest;

    use super::*;
    use crate::message::{NewMessage, SystemNotice};

    const WITHIN: Duration = Duration::from_mins(2);

    fn message(sender: Option<&str>) -> Message {
        let id = ObjectId::from_parts(1, [0; 5], 1);
        let at = Timestamp::from_millis(0);
        let new = NewMessage::system(MessageId(id), ConversationId(id), &SystemNotice::new("e", "t"), at);
        Message { sender: sender.map(str::to_owned), ..new.stored(1, 1) }
    }

    #[rstest]
    #[case::at_once(0, true)]
    #[case::at_the_last_instant(120_000, true)]
    #[case::too_late(120_001, false)]
    fn a_sender_has_so_long(#[case] millis: i64, #[case] is_allowed: bool) {
        let checked = check(&Recaller::Sender("a".into()), &message(Some("a")), WITHIN, Timestamp::from_millis(millis));
        assert_eq!(checked.is_ok(), is_allowed, "{checked:?}");
    }

    #[test]
    fn nobody_takes_back_what_others_or_the_product_wrote() {
        for sender in [Some("b"), None] {
            let checked = check(&Recaller::Sender("a".into()), &message(sender), WITHIN, Timestamp::from_millis(0));
            assert!(matches!(checked, Err(ImError::Access(AccessError::Forbidden))), "{checked:?}");
        }
    }

    #[test]
    fn overseers_are_not_in_a_hurry() {
        let late = Timestamp::from_millis(i64::from(u32::MAX));
        assert!(check(&Recaller::Overseer("admin"), &message(Some("b")), WITHIN, late).is_ok());
    }

    #[test]
    fn what_is_recalled_stays_recalled_however_late_it_is_said_again() {
        let recalled = Message { recalled_at: Some(Timestamp::from_millis(1)), ..message(Some("a")) };
        let late = Timestamp::from_millis(i64::from(u32::MAX));
        assert!(check(&Recaller::Sender("a".into()), &recalled, WITHIN, late).is_ok());
    }
}
