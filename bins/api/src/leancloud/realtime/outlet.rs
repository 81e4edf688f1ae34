//! The way from the log to one client session: a bounded queue, shared by the clients of a socket, that never makes
//! others wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::id::ConversationId;
use im::feed::{Outgoing, Outlet};
use im::log::LogEntry;
use im::protocol::Bye;
use leancloud::realtime::Relay;
use leancloud::realtime::wire::GenericCommand;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Something for a client of a socket.
pub(super) enum Delivery {
    Entry(Arc<LogEntry>),
    /// A message has reached a device of another member.
    Arrived {
        conversation: ConversationId,
        by: String,
        seq: i64,
    },
    /// A message that is not stored.
    Direct(Arc<GenericCommand>),
}

/// The open sessions of clients on this node, by the ids they speak as.
#[derive(Default)]
pub struct OpenClients(Mutex<HashMap<String, Vec<Arc<ClientOutlet>>>>);

impl OpenClients {
    pub(super) fn enter(&self, client_id: &str, outlet: &Arc<ClientOutlet>) {
        self.lock().entry(client_id.to_owned()).or_default().push(outlet.clone());
    }

    pub(super) fn exit(&self, client_id: &str, id: u64) {
        let mut clients = self.lock();
        if let Some(outlets) = clients.get_mut(client_id) {
            outlets.retain(|outlet| outlet.id() != id);
            if outlets.is_empty() {
                clients.remove(client_id);
            }
        }
    }

    /// Hands a message that is not stored to the open sessions of the members, but for the one it comes from.
    pub(super) fn hand_over(&self, direct: GenericCommand, members: &[String], from: Option<u64>) {
        let direct = Arc::new(direct);
        let clients = self.lock();
        let outlets = members.iter().filter_map(|id| clients.get(id)).flatten();
        for outlet in outlets.filter(|outlet| Some(outlet.id()) != from) {
            outlet.pass_on(&direct);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<ClientOutlet>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Relay for OpenClients {
    fn pass_on(&self, direct: GenericCommand, members: &[String]) {
        self.hand_over(direct, members, None);
    }
}

/// Takes what is for one client.
pub(super) struct ClientOutlet {
    id: u64,
    queue: mpsc::Sender<(u64, Delivery)>,
    /// Ends the socket: its clients come back and catch up.
    overflow: CancellationToken,
}

impl ClientOutlet {
    pub(super) fn new(id: u64, queue: mpsc::Sender<(u64, Delivery)>, overflow: CancellationToken) -> Arc<Self> {
        Arc::new(Self { id, queue, overflow })
    }

    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    /// Hands over a message that may be lost.
    pub(super) fn pass_on(&self, direct: &Arc<GenericCommand>) {
        // A slow reader does without.
        _ = self.queue.try_send((self.id, Delivery::Direct(direct.clone())));
    }
}

impl Outlet for ClientOutlet {
    fn push(&self, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Entry { entry, .. } => {
                if self.queue.try_send((self.id, Delivery::Entry(entry))).is_err() {
                    self.overflow.cancel();
                }
            }
            Outgoing::Ephemeral { conversation_id, frame } => {
                if let Some(arrived) = arrived(conversation_id, &frame) {
                    _ = self.queue.try_send((self.id, arrived));
                }
            }
        }
    }

    fn close(&self, _: Bye) {
        self.overflow.cancel();
    }
}

/// Of what is passed on without being stored only receipts concern these clients.
fn arrived(conversation: ConversationId, frame: &str) -> Option<Delivery> {
    if !frame.contains("\"receipt\"") {
        return None;
    }
    let frame: Value = serde_json::from_str(frame).ok()?;
    let is_receipt = frame.get("type").and_then(Value::as_str) == Some("receipt");
    let by = frame.get("clientId")?.as_str().filter(|_| is_receipt)?.to_owned();
    Some(Delivery::Arrived { conversation, by, seq: frame.get("deliveredSeq")?.as_i64()? })
}

#[cfg(test)]
mod tests {
    use domain::id::ObjectId;

    use super::*;

    #[test]
    fn receipts_are_told_from_everything_else() {
        let id = ConversationId(ObjectId::from_parts(1, [0; 5], 1));
        let receipt = r#"{"type":"receipt","conversationId":"x","clientId":"b","deliveredSeq":7}"#;
        assert!(matches!(arrived(id, receipt), Some(Delivery::Arrived { by, seq: 7, .. }) if by == "b"));
        for other in [r#"{"type":"typing","clientId":"receipt"}"#, "{", r#"{"type":"receipt"}"#] {
            assert!(arrived(id, other).is_none(), "{other}");
        }
    }
}
