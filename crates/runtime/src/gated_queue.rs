//! A queue of messages behind a gate: each is looked at before it is handed on, several at a time, and those of one sender
//! in one conversation keep their order.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use domain::id::ConversationId;
use im::gate::{self, Admission, ContentGate};
use im::service::{Ack, MessageQueue, Told};
use im::{ImError, NewMessage};
use tokio::sync::oneshot;

use crate::tasks::Tasks;

/// Messages of one sender in one conversation.
type Line = (ConversationId, Option<String>);

/// The queue in front of another one.
pub struct GatedQueue {
    inner: Arc<dyn MessageQueue>,
    gate: Arc<dyn ContentGate>,
    tasks: Tasks,
    /// The end of each line: done when the message before has been handed on.
    lines: Arc<Mutex<HashMap<Line, Tail>>>,
}

struct Tail {
    /// Which message of the line this is.
    number: u64,
    is_past: oneshot::Receiver<()>,
}

/// A place in a line, taken at once.
struct Turn {
    before: Option<oneshot::Receiver<()>>,
    number: u64,
    _past: oneshot::Sender<()>,
}

impl GatedQueue {
    pub fn new(inner: Arc<dyn MessageQueue>, gate: Arc<dyn ContentGate>, tasks: Tasks) -> Self {
        Self { inner, gate, tasks, lines: Arc::default() }
    }

    fn line_up(&self, line: &Line) -> Turn {
        let (past, is_past) = oneshot::channel();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let before = lines.remove(line);
        let number = before.as_ref().map_or(0, |tail| tail.number.wrapping_add(1));
        lines.insert(line.clone(), Tail { number, is_past });
        Turn { before: before.map(|tail| tail.is_past), number, _past: past }
    }
}

/// Removes a line that nobody stands in any more.
fn leave(lines: &Mutex<HashMap<Line, Tail>>, line: &Line, turn: Turn) {
    let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
    if lines.get(line).is_some_and(|tail| tail.number == turn.number) {
        lines.remove(line);
    }
    // Whoever waits behind goes on when `turn` is gone.
    drop(turn);
}

impl MessageQueue for GatedQueue {
    fn hand_in(&self, message: NewMessage) -> Pin<Box<dyn Future<Output = Result<Ack, ImError>> + Send>> {
        let (answer, answered) = oneshot::channel();
        // Whoever dropped the future does not want the answer.
        self.hand_in_told(message, Box::new(move |outcome| drop(answer.send(outcome))));
        Box::pin(async move { answered.await.unwrap_or(Err(ImError::OutcomeUnknown)) })
    }

    fn hand_in_told(&self, message: NewMessage, told: Told) {
        let line = (message.conversation_id, message.sender.clone());
        let mut turn = self.line_up(&line);
        let (inner, gate, lines) = (self.inner.clone(), self.gate.clone(), self.lines.clone());
        // Of its own, so that it is handed on even when nobody waits for the answer.
        self.tasks.spawn("im.content_gate", async move {
            let admission = gate.admit(&message).await;
            if let Some(before) = turn.before.take() {
                // An error means the same: the message before is past.
                let _ = before.await;
            }
            match admission {
                Admission::Pass => {
                    inner.hand_in_told(message, told);
                    leave(&lines, &line, turn);
                }
                Admission::Refuse => {
                    leave(&lines, &line, turn);
                    told(Err(gate::refused()));
                }
                Admission::Hold => {
                    leave(&lines, &line, turn);
                    told(Err(gate::held()));
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use domain::id::MessageId;
    use domain::{Coded, ObjectId, Timestamp};
    use futures_util::future::join_all;
    use im::{Content, MessageKind, SystemNotice};
    use serde_json::json;

    use super::*;

    /// Passes by what a message says: its text is `wait-ms word`.
    struct Slow;

    #[async_trait]
    impl ContentGate for Slow {
        async fn admit(&self, message: &NewMessage) -> Admission {
            let text = gate::words_of(&message.kind, &message.content).unwrap();
            let (wait, word) = text.split_once(' ').unwrap();
            tokio::time::sleep(Duration::from_millis(wait.parse().unwrap())).await;
            match word {
                "bad" => Admission::Refuse,
                "unclear" => Admission::Hold,
                _ => Admission::Pass,
            }
        }
    }

    /// Keeps what it is handed, in order.
    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl MessageQueue for Kept {
        fn hand_in(&self, _: NewMessage) -> Pin<Box<dyn Future<Output = Result<Ack, ImError>> + Send>> {
            panic!("the gate hands in with a callback")
        }

        fn hand_in_told(&self, message: NewMessage, told: Told) {
            let mut kept = self.0.lock().unwrap();
            kept.push(gate::words_of(&message.kind, &message.content).unwrap());
            let seq = i64::try_from(kept.len()).unwrap();
            told(Ok(Ack { message_id: message.id, seq, server_time: message.created_at, is_duplicate: false }));
        }
    }

    fn message(sender: &str, text: &str) -> NewMessage {
        let id = ObjectId::from_parts(1, [0; 5], 1);
        let at = Timestamp::from_millis(0);
        NewMessage {
            sender: Some(sender.to_owned()),
            kind: MessageKind::Text,
            content: Content::of(&json!({ "text": text })),
            ..NewMessage::system(MessageId(id), ConversationId(id), &SystemNotice::new("e", "t"), at)
        }
    }

    fn queue() -> (GatedQueue, Arc<Kept>) {
        let kept = Arc::new(Kept::default());
        (GatedQueue::new(kept.clone(), Arc::new(Slow), Tasks::new()), kept)
    }

    #[tokio::test]
    async fn messages_of_one_sender_keep_their_order_however_long_each_is_looked_at() {
        let (queue, kept) = queue();
        let texts = ["80 a", "5 b", "40 bad", "0 c"];
        let answers = join_all(texts.map(|text| queue.hand_in(message("p", text)))).await;
        assert_eq!(*kept.0.lock().unwrap(), ["80 a", "5 b", "0 c"]);
        let codes: Vec<_> = answers.iter().map(|answer| answer.as_ref().err().map(Coded::code)).collect();
        assert_eq!(codes, [None, None, Some("message.content_refused"), None]);
        assert!(queue.lines.lock().unwrap().is_empty(), "no line is left behind");
    }

    #[tokio::test]
    async fn others_do_not_wait() {
        let (queue, kept) = queue();
        let slow = queue.hand_in(message("p", "200 slow"));
        queue.hand_in(message("d", "0 quick")).await.unwrap();
        assert_eq!(*kept.0.lock().unwrap(), ["0 quick"]);
        slow.await.unwrap();
    }

    #[tokio::test]
    async fn a_message_nobody_waits_for_is_handed_on_and_one_that_is_kept_back_is_not() {
        let (queue, kept) = queue();
        drop(queue.hand_in(message("p", "10 left alone")));
        let held = queue.hand_in(message("p", "0 unclear")).await;
        assert_eq!(held.err().map(|error| error.code()), Some("message.held"));
        assert_eq!(*kept.0.lock().unwrap(), ["10 left alone"]);
    }
}
