//! Sockets of other protocols: their clients are present, and get receipts, as those of this one do.

use std::sync::Arc;

use domain::id::ConversationId;
use leancloud::realtime::Devices;

use super::Gateway;

impl Gateway {
    /// A client of another protocol is connected. `socket` is unique among all.
    pub fn appear(&self, socket: u64, client_ids: &Arc<[String]>) {
        self.presence.show(socket, client_ids, None);
    }

    /// It is gone.
    pub fn vanish(&self, socket: u64) {
        self.presence.remove(socket);
    }
}

impl Devices for Gateway {
    fn delivered(&self, conversation: ConversationId, client_ids: &[String], seq: i64) {
        self.receipts.note(conversation, client_ids, seq);
    }

    fn connected(&self, client_ids: &[String]) -> Vec<String> {
        self.presence.connected(client_ids)
    }
}
