//! The queue of messages: gathered into group commits, in lanes, so that messages of one conversation keep their order
//! while others are committed at the same time.

use std::future::{Future, ready};
use std::pin::Pin;

use futures_util::FutureExt;
use futures_util::future::join_all;
use im::service::{Ack, MessageQueue, Messages, lane_of};
use im::{ImError, NewMessage};

use crate::batcher::{BatchError, BatchSettings, Batcher, HandInError};

/// Messages that may wait in one lane.
const QUEUE: usize = 32_768;

/// Commits messages in batches, one after the other in each lane.
pub struct MessageLanes(Vec<Batcher<NewMessage, Result<Ack, ImError>>>);

impl MessageLanes {
    /// Starts on the current Tokio runtime.
    pub fn start(messages: &Messages, lanes: usize, max_batch: usize) -> Self {
        let settings = BatchSettings { runners: 1, max_batch, queue: QUEUE, ..BatchSettings::default() };
        let start = |_| {
            let messages = messages.clone();
            Batcher::start("messages", settings, move |batch| {
                let messages = messages.clone();
                async move { messages.commit(batch).await }
            })
        };
        Self((0..lanes.max(1)).map(start).collect())
    }

    /// Takes no more messages and returns when all that were handed in are answered.
    pub async fn close(&self) {
        join_all(self.0.iter().map(Batcher::close)).await;
    }
}

impl MessageQueue for MessageLanes {
    fn hand_in(&self, message: NewMessage) -> Pin<Box<dyn Future<Output = Result<Ack, ImError>> + Send>> {
        let lane = self.0.get(lane_of(&message, self.0.len()));
        match lane.map(|lane| lane.hand_in(message)) {
            Some(Ok(answer)) => Box::pin(answer.map(|answer| match answer {
                Ok(outcome) => outcome,
                Err(BatchError::Closed) => Err(ImError::Stopping),
                Err(BatchError::BrokenOff) => Err(ImError::OutcomeUnknown),
            })),
            Some(Err(HandInError::Full)) => Box::pin(ready(Err(ImError::Busy))),
            Some(Err(HandInError::Closed)) | None => Box::pin(ready(Err(ImError::Stopping))),
        }
    }
}
