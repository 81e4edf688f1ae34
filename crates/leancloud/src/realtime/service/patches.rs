//! Changing and recalling messages.

use im::log::EventKind;
use im::{ConversationKind, ImError, Message};
use serde_json::json;

use super::sends::data_of;
use super::{Client, Realtime};
use crate::message::{Written, is_recalled_form, show};
use crate::realtime::frame::command;
use crate::realtime::refusal::{Refusal, code};
use crate::realtime::wire::{CommandType, GenericCommand, OpType, PatchCommand, PatchItem};

/// Most changes of one command.
const MAX_ITEMS: usize = 20;

impl Realtime {
    pub(super) async fn patch(&self, client: &Client, patch: Option<&PatchCommand>) -> Result<GenericCommand, Refusal> {
        let patch = patch.filter(|patch| (1..=MAX_ITEMS).contains(&patch.patches.len()));
        for item in &patch.ok_or_else(Refusal::malformed)?.patches {
            self.patch_one(client, item).await?;
        }
        let now = self.ports.clock.now().as_millis();
        let patch = PatchCommand { patches: Vec::new(), last_patch_time: Some(now) };
        Ok(GenericCommand { patch_message: Some(patch), ..command(CommandType::Patch, Some(OpType::Modified)) })
    }

    async fn patch_one(&self, client: &Client, item: &PatchItem) -> Result<(), Refusal> {
        let mut unit = self.ports.store.read();
        let room = self.room(unit.as_mut(), item.cid.as_deref()).await;
        let room = room.map_err(|_refusal| Refusal::new(code::NO_TARGET, "INVALID_MESSAGING_TARGET"))?;
        room.seat(client, code::NO_TARGET, self.ports.clock.now())?;
        let mid = item.mid.as_deref().unwrap_or_default();
        let found = self.find_message(unit.as_mut(), &room.conversation, mid, item.timestamp).await?;
        let message = found.ok_or_else(|| Refusal::new(code::NO_MESSAGE, "MESSAGE_NOT_FOUND"))?;
        if !message.sender.as_deref().is_some_and(|sender| client.is_own(sender)) {
            return Err(Refusal::new(code::NOT_ALLOWED_ON_MESSAGE, "MESSAGE_OPERATION_NOT_ALLOWED"));
        }
        let (data, is_binary) = data_of(item.data.as_ref(), item.binary_msg.as_ref());
        if item.recall() || is_recalled_form(&data) {
            return self.recall(client, &message).await;
        }
        // What was said in a consultation stays said: a correction is a message of its own.
        if room.conversation.kind != ConversationKind::Direct || message.is_recalled() {
            return Err(Refusal::new(code::EDIT_OFF, "MESSAGE_EDIT_DISABLED"));
        }
        self.check_length(item.data.as_ref(), item.binary_msg.as_ref())?;
        let written = Written {
            data: &data,
            is_binary,
            wants_receipt: show(&message, |_| None).wants_receipt,
            mentions: &item.mention_pids,
            mentions_all: item.mention_all(),
            edited_at: Some(self.ports.clock.now().as_millis()),
            from: None,
        };
        let may_show = self.may_show(unit.as_mut(), client, &written).await?;
        let (kind, content) = written.read(|_| may_show);
        self.amend(Message { kind, content, ..message }, client.origin()).await
    }

    pub(super) async fn amend(&self, message: Message, origin: &str) -> Result<(), Refusal> {
        let mut unit = self.ports.store.begin().await?;
        unit.realtime().amend(&message).await?;
        let payload = json!({ "seq": message.seq, "messageId": message.id, "by": message.sender, "origin": origin });
        unit.log().append_events(&[self.event(message.conversation_id, EventKind::Edited, payload)]).await?;
        Ok(unit.commit().await?)
    }

    async fn recall(&self, client: &Client, message: &Message) -> Result<(), Refusal> {
        Client::lock(&client.recalled).insert(message.id);
        match self.recalls.recall(&client.actor(), message.conversation_id, message.id).await {
            Ok(_) => Ok(()),
            Err(error @ ImError::RecallTooLate) => Err(Refusal::by_rule(code::RECALL_OFF, &error)),
            Err(error @ ImError::Access(_)) => Err(Refusal::by_rule(code::NOT_ALLOWED_ON_MESSAGE, &error)),
            Err(ImError::MessageNotFound) => Err(Refusal::new(code::NO_MESSAGE, "MESSAGE_NOT_FOUND")),
            Err(ImError::ConversationNotFound) => Err(Refusal::no_conversation()),
            Err(other) => Err(Refusal::internal(&other)),
        }
    }
}
