//! Who is in which conversation, as far as a node has looked.

use std::collections::HashMap;
use std::sync::Arc;

use domain::id::ConversationId;

/// Conversations in one generation. There are two, so that what is in use stays and the rest is forgotten.
const GENERATION: usize = 32_768;

/// The client ids of a conversation.
pub(super) type ClientIds = Arc<[Arc<str>]>;

#[derive(Debug, Clone)]
struct Known {
    clients: ClientIds,
    /// It shows every change up to this position of the log.
    as_of: i64,
}

/// Remembers members, for a bounded number of conversations.
#[derive(Debug, Default)]
pub(super) struct MemberCache {
    young: HashMap<ConversationId, Known>,
    old: HashMap<ConversationId, Known>,
}

impl MemberCache {
    pub(super) fn get(&mut self, id: ConversationId) -> Option<ClientIds> {
        if let Some(known) = self.young.get(&id) {
            return Some(known.clients.clone());
        }
        let known = self.old.remove(&id)?;
        let clients = known.clients.clone();
        self.keep(id, known);
        Some(clients)
    }

    pub(super) fn contains(&self, id: ConversationId) -> bool {
        self.young.contains_key(&id) || self.old.contains_key(&id)
    }

    /// Remembers members that were read after everything up to `as_of` was committed.
    pub(super) fn put(&mut self, id: ConversationId, clients: ClientIds, as_of: i64) {
        self.keep(id, Known { clients, as_of });
    }

    /// Forgets what was read before the change at `position`.
    pub(super) fn changed(&mut self, id: ConversationId, position: i64) {
        for generation in [&mut self.young, &mut self.old] {
            if generation.get(&id).is_some_and(|known| known.as_of < position) {
                generation.remove(&id);
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }

    fn keep(&mut self, id: ConversationId, known: Known) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::samples::conversation;

    fn clients(ids: &[&str]) -> ClientIds {
        ids.iter().map(|id| Arc::from(*id)).collect()
    }

    #[test]
    fn a_change_forgets_only_what_is_older() {
        let mut cache = MemberCache::default();
        cache.put(conversation(1), clients(&["a"]), 10);
        cache.changed(conversation(1), 10);
        assert!(cache.get(conversation(1)).is_some());
        cache.changed(conversation(1), 11);
        assert!(cache.get(conversation(1)).is_none());
    }

    #[test]
    fn what_is_used_outlives_what_is_not() {
        let mut cache = MemberCache::default();
        for number in 0..u32::try_from(GENERATION * 3).unwrap() {
            cache.put(conversation(number), clients(&["a"]), 1);
            assert!(number == 0 || cache.get(conversation(1)).is_some() || number < 1);
        }
        assert!(!cache.contains(conversation(2)));
        assert!(cache.young.len() + cache.old.len() <= GENERATION * 2);
    }
}
