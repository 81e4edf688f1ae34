//! Customer-service sessions: what people write there, and how long and how often they may be answered.

use std::time::Duration;

use async_trait::async_trait;
use domain::id::UserId;
use domain::page::{Page, PageRequest};
use domain::{Actor, ObjectId, StoreError, Timestamp};

use crate::context::Context;
use crate::error::WechatError;

/// After writing: 48 hours and 5 messages. After opening the session: one minute and 2 messages.
const WRITTEN: (Duration, u32) = (Duration::from_hours(48), 5);
const ENTERED: (Duration, u32) = (Duration::from_mins(1), 2);

/// What may be sent to one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceWindow {
    pub app: String,
    pub openid: String,
    pub written_at: Option<Timestamp>,
    pub sent_since_written: u32,
    pub entered_at: Option<Timestamp>,
    pub sent_since_entered: u32,
}

impl ServiceWindow {
    pub fn closed(app: &str, openid: &str) -> Self {
        Self {
            app: app.to_owned(),
            openid: openid.to_owned(),
            written_at: None,
            sent_since_written: 0,
            entered_at: None,
            sent_since_entered: 0,
        }
    }

    /// The person wrote.
    pub fn write(&mut self, at: Timestamp) {
        if self.written_at.is_none_or(|before| before < at) {
            (self.written_at, self.sent_since_written) = (Some(at), 0);
        }
    }

    /// The person opened the session.
    pub fn enter(&mut self, at: Timestamp) {
        if self.entered_at.is_none_or(|before| before < at) {
            (self.entered_at, self.sent_since_entered) = (Some(at), 0);
        }
    }

    /// Messages that may be sent at this instant.
    pub fn left(&self, now: Timestamp) -> u32 {
        let of = |since: Option<Timestamp>, sent: u32, (lasts, most): (Duration, u32)| {
            let is_open = since.is_some_and(|at| now.since(at) < lasts);
            if is_open { most.saturating_sub(sent) } else { 0 }
        };
        of(self.written_at, self.sent_since_written, WRITTEN) + of(self.entered_at, self.sent_since_entered, ENTERED)
    }

    /// Counts one message; false when none may be sent. The shorter window is used up first.
    pub fn take(&mut self, now: Timestamp) -> bool {
        let has_entered = self.entered_at.is_some_and(|at| now.since(at) < ENTERED.0);
        if has_entered && self.sent_since_entered < ENTERED.1 {
            self.sent_since_entered += 1;
            return true;
        }
        let is_open = self.left(now) > 0;
        if is_open {
            self.sent_since_written += 1;
        }
        is_open
    }
}

/// What somebody wrote.
#[derive(Clone, PartialEq, Eq)]
pub struct InboundMessage {
    pub id: ObjectId,
    pub app: String,
    pub openid: String,
    /// The account of this person, if they ever signed in.
    pub user: Option<UserId>,
    pub kind: InboundKind,
    /// Text or address of the picture, sealed.
    pub sealed: Vec<u8>,
    pub received_at: Timestamp,
    pub handed_over_at: Option<Timestamp>,
}

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InboundKind {
    Text,
    Image,
    Other,
}

impl InboundKind {
    pub const ALL: [Self; 3] = [Self::Text, Self::Image, Self::Other];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Other => "other",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A message handed to the assistant's conversation. No `Debug`: it holds what somebody wrote.
#[derive(Clone)]
pub struct ReceivedMessage {
    /// The same message again has the same id.
    pub id: ObjectId,
    pub app: String,
    pub openid: String,
    pub user: Option<UserId>,
    pub kind: InboundKind,
    pub content: String,
    pub received_at: Timestamp,
}

/// A person who wrote in the customer-service session, and the conversation whose answers go there too.
#[derive(Clone, PartialEq, Eq)]
pub struct Relay {
    pub conversation: ObjectId,
    pub app: String,
    pub openid: String,
    /// Messages up to this one were passed on, or need not be.
    pub seq: i64,
    /// Whether the person last wrote through WeChat, and the window is open: who writes in the app reads there.
    pub is_active: bool,
}

/// Takes messages into the assistant's conversation.
#[async_trait]
pub trait AssistantInbox: Send + Sync {
    /// Takes one in; false when this person has no conversation to take it into. A second time under the same id has
    /// no effect.
    ///
    /// # Errors
    /// [`StoreError`] when it should be tried again.
    async fn receive(&self, message: ReceivedMessage) -> Result<bool, StoreError>;
}

/// Kind of the job that hands one message over; its payload is `{"id": …}`.
pub const WECHAT_RECEIVE: &str = "wechat_receive";

pub(crate) fn inbound_place(id: ObjectId) -> String {
    format!("inbound:{id}")
}

/// Use cases on what people wrote.
#[derive(Clone)]
pub struct ServiceMessages {
    context: Context,
}

impl ServiceMessages {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Hands one message to the assistant's conversation.
    ///
    /// # Errors
    /// [`WechatError`] when it should be tried again.
    pub async fn hand_over(&self, id: ObjectId, inbox: &dyn AssistantInbox) -> Result<(), WechatError> {
        let found = self.context.store.read().service().find_inbound(id).await?;
        let Some(message) = found.filter(|message| message.handed_over_at.is_none()) else { return Ok(()) };
        let content = self.content(&message);
        let received = ReceivedMessage {
            id,
            app: message.app,
            openid: message.openid,
            user: message.user,
            kind: message.kind,
            content,
            received_at: message.received_at,
        };
        if inbox.receive(received).await? {
            let mut unit = self.context.store.begin().await?;
            unit.service().mark_handed_over(id, self.context.clock.now()).await?;
            unit.commit().await?;
        }
        Ok(())
    }

    /// What was written to an app, with its words. For administrators; audited.
    ///
    /// # Errors
    /// [`WechatError::Access`].
    pub async fn list(
        &self,
        actor: &Actor,
        app: &str,
        page: PageRequest,
    ) -> Result<Page<(InboundMessage, String)>, WechatError> {
        actor.require_admin()?;
        let app = self.context.app(app)?;
        let found = self.context.store.read().service().list_inbound(&app.name, page).await?;
        let mut unit = self.context.store.begin().await?;
        let subject = format!("wechat_app:{}", app.name);
        let event = self.context.audit(actor, "wechat.service_messages.read", subject, serde_json::Value::Null);
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        Ok(found.map(|message| {
            let content = self.content(&message);
            (message, content)
        }))
    }

    fn content(&self, message: &InboundMessage) -> String {
        let opened = self.context.sealer.open(&inbound_place(message.id), &message.sealed);
        opened.map(|content| content.expose().to_owned()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_406_400_000);

    #[test]
    fn nobody_is_written_to_first() {
        assert!(!ServiceWindow::closed("a", "o").take(NOW));
    }

    #[test]
    fn five_messages_in_48_hours_after_writing() {
        let mut window = ServiceWindow::closed("a", "o");
        window.write(NOW);
        let last = NOW + Duration::from_hours(48) - Duration::from_millis(1);
        assert!((0..5).all(|_| window.take(last)) && !window.take(last));
        window.write(NOW + Duration::from_secs(1));
        assert_eq!(window.left(NOW + Duration::from_secs(2)), 5);
        assert_eq!(window.left(NOW + Duration::from_secs(48 * 3_600 + 1)), 0);
    }

    #[test]
    fn two_messages_in_a_minute_after_entering() {
        let mut window = ServiceWindow::closed("a", "o");
        window.enter(NOW);
        assert!(window.take(NOW) && window.take(NOW) && !window.take(NOW));
        window.enter(NOW);
        assert!(!window.take(NOW), "the same event again opens nothing");
        assert_eq!(window.left(NOW + Duration::from_mins(1)), 0);
    }

    #[test]
    fn the_short_window_is_used_up_first() {
        let mut window = ServiceWindow::closed("a", "o");
        window.write(NOW);
        window.enter(NOW);
        assert!((0..7).all(|_| window.take(NOW)) && !window.take(NOW));
    }
}
