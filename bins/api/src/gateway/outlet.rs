//! The way to one socket from everybody else: a bounded queue that never makes others wait.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use im::feed::{Outgoing, Outlet};
use im::protocol::{Bye, ByeReason};

/// Something for the socket to write.
#[derive(Debug)]
pub(super) enum Waiting {
    Frame(Outgoing),
    /// The answer to a frame of this socket; always fits, since few may be under way.
    Answer(String),
}

impl Waiting {
    pub(super) fn answer(self) -> Option<String> {
        match self {
            Self::Answer(frame) => Some(frame),
            Self::Frame(_) => None,
        }
    }
}

/// Takes frames for one socket.
pub(super) struct SocketOutlet {
    state: Mutex<State>,
    most_frames: usize,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// How many of those are no answers.
    frames: usize,
    bye: Option<Bye>,
    /// The task of the socket.
    waker: Option<Waker>,
}

impl SocketOutlet {
    pub(super) fn new(most_frames: usize) -> Self {
        Self { state: Mutex::default(), most_frames }
    }

    /// Completes once something waits, and takes all of it. For the task of the socket only, as is `closing`.
    pub(super) async fn waiting(&self) -> VecDeque<Waiting> {
        poll_fn(|context| {
            let mut state = self.lock();
            if state.waiting.is_empty() {
                state.listen(context.waker());
                return Poll::Pending;
            }
            Poll::Ready(state.take())
        })
        .await
    }

    /// What waits at this moment.
    pub(super) fn take(&self) -> VecDeque<Waiting> {
        self.lock().take()
    }

    /// Completes once the socket is to be closed.
    pub(super) async fn closing(&self) -> Bye {
        poll_fn(|context| {
            let mut state = self.lock();
            if let Some(bye) = &state.bye {
                return Poll::Ready(bye.clone());
            }
            state.listen(context.waker());
            Poll::Pending
        })
        .await
    }

    /// Hands in the answer to a frame of this socket.
    pub(super) fn answer(&self, frame: String) {
        let mut state = self.lock();
        state.put(Waiting::Answer(frame));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self) -> VecDeque<Waiting> {
        self.frames = 0;
        mem::take(&mut self.waiting)
    }

    fn listen(&mut self, waker: &Waker) {
        match &mut self.waker {
            Some(known) if known.will_wake(waker) => {}
            other => *other = Some(waker.clone()),
        }
    }

    fn put(&mut self, next: Waiting) {
        self.waiting.push_back(next);
        // Woken once for all that gathers until it comes.
        if self.waiting.len() == 1 {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    fn close(&mut self, bye: Bye) {
        // The first reason counts.
        if self.bye.is_none() {
            self.bye = Some(bye);
            self.wake();
        }
    }
}

impl Outlet for SocketOutlet {
    fn push(&self, outgoing: Outgoing) {
        let mut state = self.lock();
        let is_ephemeral = matches!(outgoing, Outgoing::Ephemeral { .. });
        // What may be lost is lost first: it only gets the first half of the room.
        if is_ephemeral && state.frames * 2 > self.most_frames {
            metrics::counter!("im_ephemeral_dropped").increment(1);
            return;
        }
        if state.frames >= self.most_frames {
            if !is_ephemeral {
                state.close(Bye { reason: ByeReason::ResyncRequired, detail: None, reconnect_after_ms: Some(0) });
            }
            return;
        }
        state.frames += 1;
        state.put(Waiting::Frame(outgoing));
    }

    fn close(&self, bye: Bye) {
        self.lock().close(bye);
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
        let outlet = SocketOutlet::new(4);
        for position in 1..=3 {
            outlet.push(entry(position));
        }
        outlet.push(ephemeral());
        assert_eq!(outlet.lock().waiting.len(), 3, "an ephemeral frame does not fit any more");
        outlet.push(entry(4));
        assert_eq!(outlet.lock().waiting.len(), 4);
        assert_eq!(outlet.lock().bye, None);
        outlet.answer("{}".to_owned());
        outlet.push(entry(5));
        assert_eq!(outlet.lock().bye.clone().unwrap().reason, ByeReason::ResyncRequired);
        assert_eq!(outlet.take().len(), 5, "an answer always fits");
    }

    #[tokio::test]
    async fn what_gathers_is_taken_at_once() {
        let outlet = SocketOutlet::new(4);
        let waiting = outlet.waiting();
        tokio::pin!(waiting);
        assert!(futures_util::poll!(waiting.as_mut()).is_pending());
        outlet.push(entry(1));
        outlet.answer("{}".to_owned());
        assert_eq!(waiting.await.len(), 2);
        assert!(outlet.take().is_empty());
    }

    #[tokio::test]
    async fn the_first_reason_to_close_counts() {
        let outlet = SocketOutlet::new(4);
        for reason in [ByeReason::SessionEnded, ByeReason::Draining] {
            outlet.close(Bye { reason, detail: None, reconnect_after_ms: None });
        }
        assert_eq!(outlet.closing().await.reason, ByeReason::SessionEnded);
    }
}
