//! Conversations as clients name and see them.

use std::collections::HashMap;
use std::sync::Mutex;

use domain::Timestamp;
use domain::id::ConversationId;
use im::{Conversation, ConversationKind, Member};
use serde_json::Value;

use super::Client;
use crate::realtime::refusal::{Refusal, code};

/// What ids of temporary conversations begin with.
pub(super) const TEMPORARY: &str = "_tmp:";
/// Conversations whose facts are remembered.
const MAX_KNOWN: usize = 20_000;

/// Keys of a conversation that the server sets.
pub(super) const RESERVED: [&str; 16] = [
    "objectId",
    "m",
    "c",
    "lm",
    "createdAt",
    "updatedAt",
    "mu",
    "sys",
    "tr",
    "unique",
    "uniqueId",
    "ttl",
    "expiresAt",
    "sysOf",
    "ACL",
    "className",
];

/// A conversation's id as clients write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WireId(pub ConversationId);

impl WireId {
    /// Reads an id, of a temporary conversation too.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.strip_prefix(TEMPORARY).unwrap_or(text).parse().ok().map(Self)
    }
}

/// A conversation with its members.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Room {
    pub(super) conversation: Conversation,
    pub(super) members: Vec<Member>,
}

impl Room {
    pub(super) fn flag(&self, key: &str) -> bool {
        flag(&self.conversation, key)
    }

    pub(super) fn facts(&self) -> Facts {
        Facts::of(&self.conversation)
    }

    /// Whether clients may change who is in it and what it says of itself: dialogs belong to the product.
    pub(super) fn is_free(&self) -> bool {
        self.conversation.kind == ConversationKind::Direct && !self.flag("sys")
    }

    /// The client's place in it.
    ///
    /// # Errors
    /// `refusal` for somebody who is not in it, or when it was temporary and is over.
    pub(super) fn seat(&self, client: &Client, refusal: i32, now: Timestamp) -> Result<&Member, Refusal> {
        let seat = client.seat(&self.members).ok_or_else(|| Refusal::new(refusal, "INVALID_MESSAGING_TARGET"))?;
        if self.is_over(now) { Err(Refusal::new(code::EXPIRED, "TEMPORARY_CONVERSATION_EXPIRED")) } else { Ok(seat) }
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let expires = self.conversation.extra.get("expiresAt").and_then(Value::as_i64);
        expires.is_some_and(|at| at <= now.as_millis())
    }
}

fn flag(conversation: &Conversation, key: &str) -> bool {
    conversation.extra.get(key).and_then(Value::as_bool).unwrap_or(false)
}

/// What never changes about a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// As clients name it.
    pub(super) cid: String,
    /// 1 normal, 2 chat room, 3 service, 4 temporary.
    pub(super) kind: i32,
}

impl Facts {
    pub(super) fn of(conversation: &Conversation) -> Self {
        // What a subscriber writes with a service lies in a conversation of its own, and goes by the service's name.
        if let Some(service) = conversation.extra.get("sysOf").and_then(Value::as_str) {
            return Self { cid: service.to_owned(), kind: 3 };
        }
        if conversation.extra.contains_key("ttl") {
            return Self { cid: format!("{TEMPORARY}{}", conversation.id), kind: 4 };
        }
        let kind = if flag(conversation, "sys") {
            3
        } else if flag(conversation, "tr") {
            2
        } else {
            1
        };
        Self { cid: conversation.id.to_string(), kind }
    }
}

/// Remembers facts, for a bounded number of conversations.
#[derive(Default)]
pub(super) struct FactCache(Mutex<HashMap<ConversationId, Facts>>);

impl FactCache {
    pub(super) fn get(&self, id: ConversationId) -> Option<Facts> {
        Client::lock(&self.0).get(&id).cloned()
    }

    pub(super) fn put(&self, id: ConversationId, facts: Facts) {
        let mut known = Client::lock(&self.0);
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert(id, facts);
    }
}
