//! The queue of messages: gathered into group commits, in lanes, so that messages of one conversation keep their order
//! while others are committed at the same time.

use std::future::{Future, ready};
use std::pin::Pin;

use futures_util::FutureExt;
use futures_util::future::join_all;
use im::service::{Ack, MessageQueue, Messages, Told, lane_of};
use im::{ImError, NewMessage};

use crate::batcher::{BatchError, BatchSettings, Batcher, HandInError};

/// Messages that may wait in one lane.
const QUEUE: usize = 32_768;

type Lane = Batcher<NewMessage, Result<Ack, ImError>>;

/// Commits messages in batches, one after the other in each lane.
pub struct MessageLanes(Vec<Lane>);

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

impl MessageLanes {
    fn lane(&self, message: &NewMessage) -> Option<&Lane> {
        self.0.get(lane_of(message, self.0.len()))
    }
}

impl MessageQueue for MessageLanes {
    fn hand_in(&self, message: NewMessage) -> Pin<Box<dyn Future<Output = Result<Ack, ImError>> + Send>> {
        match self.lane(&message).map(|lane| lane.hand_in(message)) {
            Some(Ok(answer)) => Box::pin(answer.map(outcome)),
            Some(Err(error)) => Box::pin(ready(Err(refused(error)))),
            None => Box::pin(ready(Err(ImError::Stopping))),
        }
    }

    fn hand_in_told(&self, message: NewMessage, told: Told) {
        let Some(lane) = self.lane(&message) else { return told(Err(ImError::Stopping)) };
        if let Err((error, told)) = lane.hand_in_told(message, Box::new(move |answer| told(outcome(answer)))) {
            told(Ok(Err(refused(error))));
        }
    }
}

fn outcome(answer: Result<Result<Ack, ImError>, BatchError>) -> Result<Ack, ImError> {
    answer.unwrap_or_else(|error| {
        Err(match error {
            BatchError::Closed => ImError::Stopping,
            BatchError::BrokenOff => ImError::OutcomeUnknown,
        })
    })
}

fn refused(error: HandInError) -> ImError {
    match error {
        HandInError::Full => ImError::Busy,
        HandInError::Closed => ImError::Stopping,
    }
}
