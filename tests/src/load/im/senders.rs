//! Senders who each send the next message when the ack of the last one is back, to many conversations or to one.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::tally::Tally;
use super::wire::{Kind, Prepared, Stamper, Wire};
use super::{Failure, Nodes, TEXT};
use crate::load::export::{conversation_id, doctor_token, patient_token};

/// Messages that one socket may have under way at once: what the server reads of one at a time.
const MOST_OF_ONE_SOCKET: u32 = 32;
/// Sockets one person may have.
const MOST_OF_ONE_PERSON: u32 = 8;

/// Keeps the names of first messages apart from those of the run.
const FIRST: u32 = 100_000;

/// A run of senders.
#[derive(Debug, Clone)]
pub struct Senders {
    pub nodes: Nodes,
    pub senders: u32,
    /// Conversations the senders take turns in; one is the hot conversation.
    pub conversations: u32,
    pub length: Duration,
}

impl Senders {
    /// Runs them and answers what was measured, and in which time.
    ///
    /// # Errors
    /// When the server refuses anything, or one conversation cannot take so many.
    pub async fn run(&self) -> Result<(Tally, Duration), Failure> {
        let stamper = Stamper::new();
        let mut ready =
            if self.conversations == 1 { self.one_conversation().await? } else { self.many(&stamper).await? };
        let started = Instant::now();
        let until = started + self.length;
        let mut work = JoinSet::new();
        for sender in ready.drain(..) {
            work.spawn(sender.send(stamper, until));
        }
        let mut tally = Tally::new()?;
        while let Some(done) = work.join_next().await {
            tally.add(&done??)?;
        }
        Ok((tally, started.elapsed()))
    }

    /// Each sender has a share of the conversations, as their doctor, and writes in one after the other.
    async fn many(&self, stamper: &Stamper) -> Result<Vec<Sender>, Failure> {
        let mut ready: Vec<Sender> = (0..self.senders).map(|_| Sender { window: 1, places: Vec::new() }).collect();
        for n in 0..self.conversations.max(self.senders) {
            let mut wire = Wire::open(&self.nodes.first, &doctor_token(n)).await?;
            // The first message is decided about by the consultation, in a transaction of its own.
            wire.say(Prepared::new(&conversation_id(n), TEXT, n + FIRST).next(stamper)).await?;
            wire.until_stamped(Kind::Ack, stamper).await?;
            let sender = ready.get_mut((n % self.senders) as usize).ok_or("at least one sender")?;
            sender.places.push((wire, Prepared::new(&conversation_id(n), TEXT, n)));
        }
        Ok(ready)
    }

    /// The two people of one conversation write from several devices, each with several messages under way.
    async fn one_conversation(&self) -> Result<Vec<Sender>, Failure> {
        let sockets = self.senders.div_ceil(MOST_OF_ONE_SOCKET).max(self.senders.min(2));
        if sockets > 2 * MOST_OF_ONE_PERSON {
            return Err("one conversation cannot take so many senders".into());
        }
        let mut ready = Vec::new();
        for n in 0..sockets {
            let wire = match n % 2 {
                0 => Wire::open(&self.nodes.first, &doctor_token(0)).await?,
                _ => Wire::open(&self.nodes.second, &patient_token(0)).await?,
            };
            // As even as it goes.
            let window = self.senders / sockets + u32::from(n < self.senders % sockets);
            ready.push(Sender { window, places: vec![(wire, Prepared::new(&conversation_id(0), TEXT, n))] });
        }
        Ok(ready)
    }
}

struct Sender {
    /// Messages under way at once, where there is one place only.
    window: u32,
    places: Vec<(Wire, Prepared)>,
}

impl Sender {
    async fn send(mut self, stamper: Stamper, until: Instant) -> Result<Tally, Failure> {
        let mut tally = Tally::new()?;
        if let [(wire, frame)] = self.places.as_mut_slice() {
            for _ in 1..self.window {
                wire.say(frame.next(&stamper)).await?;
            }
        }
        let mut under_way = self.window - 1;
        while Instant::now() < until {
            for (wire, frame) in &mut self.places {
                wire.say(frame.next(&stamper)).await?;
                hear_ack(wire, &stamper, &mut tally).await?;
            }
        }
        if let [(wire, _)] = self.places.as_mut_slice() {
            while under_way > 0 {
                hear_ack(wire, &stamper, &mut tally).await?;
                under_way -= 1;
            }
        }
        Ok(tally)
    }
}

/// Waits for an ack; messages of others that come first are counted too.
async fn hear_ack(wire: &mut Wire, stamper: &Stamper, tally: &mut Tally) -> Result<(), Failure> {
    loop {
        match wire.next_stamped(stamper).await? {
            (Kind::Ack, age) => return Ok(tally.acks.record(age)?),
            (_, age) => tally.deliveries.record(age)?,
        }
    }
}
