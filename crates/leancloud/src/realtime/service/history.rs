//! Reading what was written, by time and id as clients count.

use im::message::HistoryPage;
use im::{Conversation, Message};

use super::facts::Room;
use super::push::Told;
use super::sends::wire_id;
use super::{Client, Realtime};
use crate::realtime::frame::command;
use crate::realtime::refusal::{Refusal, code};
use crate::realtime::store::RealtimeUnit;
use crate::realtime::wire::{CommandType, GenericCommand, LogItem, LogsCommand, logs_command::QueryDirection};

const DEFAULT_LIMIT: i64 = 20;
/// Most messages of one page.
pub(super) const MAX_LIMIT: i64 = 1000;
/// Messages looked at for those of one type.
const MAX_LOOKED_AT: i64 = 5000;

/// A place between messages: just before or after the one that is named, or of a time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Edge {
    /// Milliseconds.
    pub(super) timestamp: Option<i64>,
    pub(super) id: Option<String>,
    pub(super) is_included: bool,
}

impl Edge {
    /// A time alone stands for all messages of that time.
    pub(super) fn time(&self) -> Option<i64> {
        self.timestamp.filter(|timestamp| (1..i64::MAX).contains(timestamp))
    }
}

/// Which messages are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MessagePageRequest {
    pub(super) from: Edge,
    pub(super) until: Edge,
    /// From `from` on to newer ones, else back to older ones.
    pub(super) is_forward: bool,
    pub(super) limit: Option<i64>,
    /// Only messages of this `_lctype`.
    pub(super) kind: Option<i32>,
}

/// Sequence numbers, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: i64,
    last: i64,
}

impl Realtime {
    pub(super) async fn logs(&self, client: &Client, logs: &LogsCommand) -> Result<GenericCommand, Refusal> {
        let mut unit = self.ports.store.read();
        let room = self.room(unit.as_mut(), logs.cid.as_deref()).await?;
        let seat = room.seat(client, code::NOT_MEMBER_LOGS, self.ports.clock.now())?.client_id.clone();
        let room = if room.flag("sys") {
            Room { conversation: self.subscription(&room, &seat).await?, members: room.members }
        } else {
            room
        };
        let request = request_of(logs);
        let messages = self.page(unit.as_mut(), &room.conversation, &request).await?;
        let read_until = room.members.iter().filter(|m| !client.is_own(&m.client_id)).map(|m| m.read_seq).min();
        let mut items = Vec::with_capacity(messages.len());
        for told in self.told_all(unit.as_mut(), client, &messages).await? {
            let is_read = client.is_own(told.message.sender.as_deref().unwrap_or_default())
                && read_until.is_some_and(|seq| told.message.seq <= seq);
            items.push(item(told, is_read, room.facts().kind));
        }
        let found = LogsCommand { cid: logs.cid.clone(), logs: items, ..LogsCommand::default() };
        Ok(GenericCommand { logs_message: Some(found), ..command(CommandType::Logs, None) })
    }

    /// A page, ascending.
    pub(super) async fn page(
        &self,
        unit: &mut dyn RealtimeUnit,
        conversation: &Conversation,
        request: &MessagePageRequest,
    ) -> Result<Vec<Message>, Refusal> {
        let limit = request.limit.filter(|limit| *limit > 0).unwrap_or(DEFAULT_LIMIT).min(MAX_LIMIT);
        let Span { first, last } = self.span(unit, conversation, request).await?;
        let is_wanted = |message: &Message| {
            request.kind.is_none_or(|kind| crate::message::show(message, |_| None).is_of_type(kind))
        };
        let mut found = Vec::new();
        let (mut low, mut high, mut looked_at) = (first, last, 0);
        let limit = usize::try_from(limit).unwrap_or_default();
        while low <= high && found.len() < limit && looked_at < MAX_LOOKED_AT {
            let wanted = u32::try_from((high - low + 1).min(MAX_LIMIT)).unwrap_or_default();
            let wanted = wanted.min(u32::try_from(limit.max(100)).unwrap_or(wanted));
            let page = if request.is_forward { HistoryPage::After(low - 1) } else { HistoryPage::Before(high + 1) };
            let mut part = unit.messages().history(conversation.id, page, wanted).await?;
            part.retain(|message| (low..=high).contains(&message.seq));
            let (Some(lowest), Some(highest)) = (part.first().map(|m| m.seq), part.last().map(|m| m.seq)) else {
                break;
            };
            looked_at += highest - lowest + 1;
            if request.is_forward {
                low = highest + 1;
                found.extend(part.into_iter().filter(&is_wanted));
            } else {
                high = lowest - 1;
                found.extend(part.into_iter().rev().filter(&is_wanted));
            }
        }
        found.truncate(limit);
        found.sort_unstable_by_key(|message| message.seq);
        Ok(found)
    }

    /// Which sequence numbers a request is about.
    async fn span(
        &self,
        unit: &mut dyn RealtimeUnit,
        conversation: &Conversation,
        request: &MessagePageRequest,
    ) -> Result<Span, Refusal> {
        let (lower, upper) =
            if request.is_forward { (&request.from, &request.until) } else { (&request.until, &request.from) };
        let first = match self.named(unit, conversation, lower).await? {
            Some(seq) if lower.is_included => seq,
            Some(seq) => seq + 1,
            None => match lower.time() {
                Some(at) => self.first_from(unit, conversation, at + i64::from(!lower.is_included)).await?,
                None => 1,
            },
        };
        let last = match self.named(unit, conversation, upper).await? {
            Some(seq) if upper.is_included => seq,
            Some(seq) => seq - 1,
            None => match upper.time() {
                Some(at) => self.first_from(unit, conversation, at + i64::from(upper.is_included)).await? - 1,
                None => conversation.last_seq,
            },
        };
        Ok(Span { first: first.max(1), last: last.min(conversation.last_seq) })
    }

    /// The message an edge names.
    async fn named(
        &self,
        unit: &mut dyn RealtimeUnit,
        conversation: &Conversation,
        edge: &Edge,
    ) -> Result<Option<i64>, Refusal> {
        let Some(id) = edge.id.as_deref().filter(|id| !id.is_empty()) else { return Ok(None) };
        Ok(self.find_message(unit, conversation, id, edge.time()).await?.map(|message| message.seq))
    }

    /// The first message at or after a time, or one beyond the last. Times grow with sequence numbers.
    async fn first_from(
        &self,
        unit: &mut dyn RealtimeUnit,
        conversation: &Conversation,
        timestamp: i64,
    ) -> Result<i64, Refusal> {
        let (mut low, mut high) = (1, conversation.last_seq + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            let at = unit.messages().find_seq(conversation.id, middle).await?.map(|m| m.created_at.as_millis());
            if at.is_some_and(|at| at < timestamp) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The last message at or before a time; 0 when there is none.
    pub(super) async fn seq_until(
        &self,
        unit: &mut dyn RealtimeUnit,
        conversation: &Conversation,
        timestamp: i64,
    ) -> Result<i64, Refusal> {
        Ok(self.first_from(unit, conversation, timestamp.saturating_add(1)).await? - 1)
    }

    /// A message by the id clients know it by; its time makes it quick to find.
    pub(super) async fn find_message(
        &self,
        unit: &mut dyn RealtimeUnit,
        conversation: &Conversation,
        id: &str,
        timestamp: Option<i64>,
    ) -> Result<Option<Message>, Refusal> {
        if let Some(timestamp) = timestamp {
            let mut seq = self.first_from(unit, conversation, timestamp).await?;
            while let Some(message) = unit.messages().find_seq(conversation.id, seq).await? {
                if message.created_at.as_millis() != timestamp {
                    break;
                }
                if wire_id(message.id, message.client_message_id.as_deref()) == id {
                    return Ok(Some(message));
                }
                seq += 1;
            }
        }
        let Ok(id) = id.parse() else { return Ok(None) };
        Ok(unit.messages().find(conversation.id, id).await?)
    }
}

fn request_of(logs: &LogsCommand) -> MessagePageRequest {
    let direction = logs.direction.and_then(|direction| QueryDirection::try_from(direction).ok());
    // Without a word, a later end means forward.
    let goes_up = logs.tt.unwrap_or_default() > 0 && logs.tt > logs.t && logs.t.is_some();
    MessagePageRequest {
        from: Edge { timestamp: logs.t, id: logs.mid.clone(), is_included: logs.t_included() },
        until: Edge { timestamp: logs.tt, id: logs.tmid.clone(), is_included: logs.tt_included() },
        is_forward: direction.map_or(goes_up, |direction| direction == QueryDirection::New),
        limit: logs.l.or(logs.limit).map(i64::from),
        kind: logs.lctype,
    }
}

fn item(told: Told, is_read: bool, kind: i32) -> LogItem {
    let at = told.message.created_at.as_millis();
    LogItem {
        from: Some(told.from),
        data: Some(told.shown.data),
        timestamp: Some(at),
        msg_id: Some(told.id),
        ack_at: None,
        read_at: is_read.then_some(at),
        patch_timestamp: told.patched_at,
        mention_all: told.shown.mentions_all.then_some(true),
        mention_pids: told.shown.mentions,
        bin: told.shown.is_binary.then_some(true),
        conv_type: Some(kind),
    }
}
