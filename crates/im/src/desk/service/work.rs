//! One unit at the desk: what is changed, and everything that follows from it, written last and together.

use std::sync::Arc;

use domain::audit::AuditEvent;
use domain::id::{AgentId, AuditId, ConversationId, DeskEntryId, IdSource, JobId, MessageId};
use domain::outbox::NewJob;
use domain::{Actor, Timestamp};
use serde_json::{Value, json};

use super::Desk;
use crate::desk::agent::{self, DeskAgent};
use crate::desk::assistant::Assistant;
use crate::desk::chat::{Chat, Turn};
use crate::desk::entry::{DeskEntry, EntryKind};
use crate::desk::error::DeskError;
use crate::desk::ports::DeskUnit;
use crate::log::{EventKind, NewEvent};
use crate::message::{Appended, Content, MessageKind, NewMessage, SystemNotice};

/// Kind of the jobs that take what the assistant says to where the customer wrote from; their payload is
/// `{"conversationId", "messageId"}`.
pub const RELAY_JOB: &str = "relay_assistant_message";

/// A unit with what is gathered for its end.
pub(super) struct Work {
    pub(super) unit: Box<dyn DeskUnit>,
    pub(super) assistant: Assistant,
    pub(super) now: Timestamp,
    ids: Arc<dyn IdSource>,
    relays_messages: bool,
    messages: Vec<NewMessage>,
    entries: Vec<DeskEntry>,
    events: Vec<NewEvent>,
    audit: Vec<AuditEvent>,
    jobs: Vec<NewJob>,
}

/// An entry as it is told of.
pub(super) fn entry_json(entry: &DeskEntry) -> Value {
    json!({
        "objectId": entry.id,
        "kind": entry.kind.as_str(),
        "agentId": entry.agent,
        "afterSeq": entry.after_seq,
        "text": entry.text,
        "data": entry.data,
        "at": entry.at.to_rfc3339(),
    })
}

impl Desk {
    pub(super) async fn work(&self) -> Result<Work, DeskError> {
        let mut unit = self.store.begin().await?;
        let assistant = self.assistant(&mut *unit).await?;
        Ok(Work {
            unit,
            assistant,
            now: self.clock.now(),
            ids: self.ids.clone(),
            relays_messages: self.relays_messages,
            messages: Vec::new(),
            entries: Vec::new(),
            events: Vec::new(),
            audit: Vec::new(),
            jobs: Vec::new(),
        })
    }

    /// Ends a unit, then looks whether somebody can be served now.
    pub(super) async fn finish(&self, work: Work) -> Result<Vec<Appended>, DeskError> {
        let has_jobs = !work.jobs.is_empty();
        let appended = work.write().await?;
        if has_jobs {
            self.signal.wake();
        }
        Ok(appended)
    }
}

impl Work {
    /// The chat, locked until the unit ends.
    pub(super) async fn chat(&mut self, id: ConversationId) -> Result<Chat, DeskError> {
        self.unit.chats().find_locked(id).await?.ok_or(DeskError::ChatNotFound)
    }

    /// An agent of the staff, with a place at the desk from now on if they have never been there.
    pub(super) async fn agent(&mut self, id: AgentId) -> Result<Option<DeskAgent>, DeskError> {
        if let Some(agent) = self.unit.agents().find(id).await? {
            return Ok(Some(agent));
        }
        if !self.unit.agents().list().await?.iter().any(|agent| agent.id == id) {
            return Ok(None);
        }
        self.unit.agents().ensure(id, self.assistant.settings.default_capacity).await?;
        Ok(self.unit.agents().find(id).await?)
    }

    /// Writes a chat that keeps its agent.
    pub(super) async fn save(&mut self, chat: &mut Chat) -> Result<(), DeskError> {
        let next = chat.next_action_at(&self.assistant.settings);
        self.unit.chats().update(chat, next).await?;
        chat.version += 1;
        self.tell_chat(chat);
        Ok(())
    }

    /// Writes a chat that `from` has no longer.
    pub(super) async fn let_go(&mut self, chat: &mut Chat, from: AgentId) -> Result<(), DeskError> {
        self.unit.chats().let_go(chat, from).await?;
        chat.version += 1;
        self.tell_chat(chat);
        self.tell_agent(from);
        Ok(())
    }

    /// Gives a chat that nobody has to the agent it names; false when somebody has it, or the agent has no room.
    pub(super) async fn claim(&mut self, chat: &mut Chat) -> Result<bool, DeskError> {
        let next = chat.next_action_at(&self.assistant.settings);
        if !self.unit.chats().claim(chat, next, self.now).await? {
            return Ok(false);
        }
        chat.version += 1;
        if let (Some(agent), Some(episode)) = (chat.agent, chat.detail.episode)
            && let Some(mut episode) = self.unit.episodes().find(episode).await?
        {
            episode.assigned_at.get_or_insert(self.now);
            episode.agent = Some(agent);
            self.unit.episodes().update(&episode).await?;
        }
        self.tell_chat(chat);
        chat.agent.into_iter().for_each(|agent| self.tell_agent(agent));
        Ok(true)
    }

    /// A message to be appended when the unit ends, before those that come later.
    pub(super) fn say(&mut self, message: NewMessage) {
        if self.relays_messages && message.sender.as_deref() == Some(&self.assistant.client_id()) {
            let payload = json!({ "conversationId": message.conversation_id, "messageId": message.id });
            self.job(RELAY_JOB, payload, self.now, format!("relay:{}", message.id));
        }
        self.messages.push(NewMessage { is_agreed: true, ..message });
    }

    /// Something the assistant says by itself.
    pub(super) fn say_text(&mut self, id: ConversationId, text: &str) {
        let message = NewMessage {
            id: MessageId(self.ids.next()),
            conversation_id: id,
            sender: Some(self.assistant.client_id()),
            acted_by: None,
            client_message_id: None,
            kind: MessageKind::Text,
            content: Content::of(&json!({ "text": text })),
            corrects: None,
            created_at: self.now,
            is_agreed: true,
            origin: None,
        };
        self.say(message);
    }

    /// A line of the product itself, which the customer sees.
    pub(super) fn notice(&mut self, id: ConversationId, notice: &SystemNotice) {
        self.messages.push(NewMessage::system(MessageId(self.ids.next()), id, notice, self.now));
    }

    /// A line between the messages that only agents see.
    pub(super) fn entry(
        &mut self,
        id: ConversationId,
        kind: EntryKind,
        agent: Option<AgentId>,
        text: Option<&str>,
        data: Value,
    ) -> DeskEntry {
        let entry = DeskEntry {
            id: DeskEntryId(self.ids.next()),
            conversation_id: id,
            kind,
            agent,
            after_seq: 0,
            text: text.map(str::to_owned),
            data,
            at: self.now,
        };
        self.entries.push(entry.clone());
        entry
    }

    pub(super) fn audit(&mut self, actor: &Actor, action: &'static str, id: ConversationId, detail: Value) {
        self.audit_subject(actor, action, format!("conversation:{id}"), detail);
    }

    pub(super) fn audit_subject(&mut self, actor: &Actor, action: &'static str, subject: String, detail: Value) {
        let id = AuditId(self.ids.next());
        self.audit.push(AuditEvent { id, actor: actor.label(), action, subject, detail, at: self.now });
    }

    pub(super) fn job(&mut self, kind: &'static str, payload: Value, run_at: Timestamp, idempotency_key: String) {
        let id = JobId(self.ids.next());
        self.jobs.push(NewJob { id, kind, payload, run_at, idempotency_key, created_at: self.now });
    }

    /// Tells everybody at the desk where a chat stands.
    fn tell_chat(&mut self, chat: &Chat) {
        let turn = chat.turn().map(Turn::as_str);
        let payload = json!({
            "what": "chat",
            "status": chat.status.as_str(),
            "agentId": chat.agent,
            "turn": turn,
            "version": chat.version,
        });
        self.tell_desk(Some(chat.conversation_id), payload);
    }

    /// Tells everybody at the desk that an agent has more or less in hand, or has come or gone.
    pub(super) fn tell_agent(&mut self, agent: AgentId) {
        self.tell_desk(None, json!({ "what": "agent", "agentId": agent }));
    }

    /// Tells everybody at the desk.
    fn tell_desk(&mut self, conversation_id: Option<ConversationId>, payload: Value) {
        let client_id = Some(self.assistant.client_id());
        self.events.push(NewEvent { conversation_id, client_id, kind: EventKind::Desk, payload, at: self.now });
    }

    /// Tells one agent.
    pub(super) fn tell_one(&mut self, agent: AgentId, id: ConversationId, payload: Value) {
        let client_id = Some(agent::client_id(agent));
        let conversation_id = Some(id);
        self.events.push(NewEvent { conversation_id, client_id, kind: EventKind::Desk, payload, at: self.now });
    }

    /// Tells the members of the conversation, the customer among them.
    pub(super) fn tell_members(&mut self, id: ConversationId, kind: EventKind, payload: Value) {
        self.events.push(NewEvent { conversation_id: Some(id), client_id: None, kind, payload, at: self.now });
    }

    /// Tells the customer where the chat stands.
    pub(super) fn tell_customer(&mut self, chat: &Chat, agent_name: Option<&str>) {
        let payload = json!({ "status": chat.status.as_str(), "agentName": agent_name });
        self.tell_members(chat.conversation_id, EventKind::Assignment, payload);
    }

    /// Writes what was gathered and commits.
    async fn write(mut self) -> Result<Vec<Appended>, DeskError> {
        self.unit.im().audit().append_all(&self.audit).await?;
        self.unit.outbox().append_all(&self.jobs).await?;
        let appended = self.unit.im().messages().append(&self.messages).await?;
        // The message all this followed from was there already, or its sender is not in the conversation: nothing is
        // to be committed.
        if appended.first().is_some_and(|first| !matches!(first, Appended::Stored { .. })) {
            return Ok(appended);
        }
        self.place_entries().await?;
        if !self.events.is_empty() {
            self.unit.im().log().append_events(&self.events).await?;
        }
        self.unit.commit().await?;
        Ok(appended)
    }

    /// Puts the entries after what the conversations hold now, and tells the desk of them.
    async fn place_entries(&mut self) -> Result<(), DeskError> {
        let mut entries = std::mem::take(&mut self.entries);
        let mut known: Option<(ConversationId, i64)> = None;
        for entry in &mut entries {
            let last_seq = match known {
                Some((id, seq)) if id == entry.conversation_id => seq,
                _ => {
                    let found = self.unit.im().conversations().find(entry.conversation_id).await?;
                    found.map_or(0, |conversation| conversation.last_seq)
                }
            };
            known = Some((entry.conversation_id, last_seq));
            entry.after_seq = last_seq;
            self.tell_desk(Some(entry.conversation_id), json!({ "what": "entry", "entry": entry_json(entry) }));
        }
        self.unit.entries().append_all(&entries).await?;
        Ok(())
    }
}
