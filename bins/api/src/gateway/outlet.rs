//! The way from the log to one socket: a bounded queue that never makes others wait.

use std::sync::OnceLock;

use im::feed::{Outgoing, Outlet};
use im::protocol::{Bye, ByeReason};
use tokio::sync::{Notify, mpsc};

/// Takes frames for one socket.
pub(super) struct SocketOutlet {
    queue: mpsc::Sender<Outgoing>,
    bye: OnceLock<Bye>,
    closing: Notify,
}

impl SocketOutlet {
    pub(super) fn new(frames: usize) -> (Self, mpsc::Receiver<Outgoing>) {
        let (queue, inbox) = mpsc::channel(frames);
        (Self { queue, bye: OnceLock::new(), closing: Notify::new() }, inbox)
    }

    /// Completes once the socket is to be closed.
    pub(super) async fn closing(&self) -> &Bye {
        loop {
            if let Some(bye) = self.bye.get() {
                return bye;
            }
            self.closing.notified().await;
        }
    }
}

impl Outlet for SocketOutlet {
    fn push(&self, outgoing: Outgoing) {
        let is_ephemeral = matches!(outgoing, Outgoing::Ephemeral { .. });
        // What may be lost is lost first: it only gets the first half of the room.
        if is_ephemeral && self.queue.capacity() * 2 < self.queue.max_capacity() {
            metrics::counter!("im_ephemeral_dropped").increment(1);
            return;
        }
        if self.queue.try_send(outgoing).is_err() && !is_ephemeral {
            self.close(Bye { reason: ByeReason::ResyncRequired, detail: None, reconnect_after_ms: Some(0) });
        }
    }

    fn close(&self, bye: Bye) {
        // The first reason counts.
        if self.bye.set(bye).is_ok() {
            self.closing.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::Timestamp;
    use domain::id::{ConversationId, ObjectId};
    use im::log::{EventKind, LogEntry, LogEvent};
    use serde_json::Value;

    use super::*;

    fn entry(position: i64) -> Outgoing {
        let entry = LogEntry::Event(LogEvent {
            position,
            conversation_id: None,
            client_id: None,
            kind: EventKind::Read,
            payload: Value::Null,
            at: Timestamp::EPOCH,
        });
        Outgoing::Entry { entry: Arc::new(entry), frame: "{}".into() }
    }

    fn ephemeral() -> Outgoing {
        let conversation_id = ConversationId(ObjectId::from_parts(1, [0; 5], 1));
        Outgoing::Ephemeral { conversation_id, frame: "{}".into() }
    }

    #[test]
    fn a_slow_reader_loses_ephemeral_frames_first_and_is_then_sent_away() {
        let (outlet, inbox) = SocketOutlet::new(4);
        for position in 1..=3 {
            outlet.push(entry(position));
        }
        outlet.push(ephemeral());
        assert_eq!(inbox.len(), 3, "an ephemeral frame does not fit any more");
        outlet.push(entry(4));
        assert_eq!((inbox.len(), outlet.bye.get()), (4, None));
        outlet.push(entry(5));
        assert_eq!(outlet.bye.get().unwrap().reason, ByeReason::ResyncRequired);
    }

    #[tokio::test]
    async fn the_first_reason_to_close_counts() {
        let (outlet, _inbox) = SocketOutlet::new(4);
        for reason in [ByeReason::SessionEnded, ByeReason::Draining] {
            outlet.close(Bye { reason, detail: None, reconnect_after_ms: None });
        }
        assert_eq!(outlet.closing().await.reason, ByeReason::SessionEnded);
    }
}
