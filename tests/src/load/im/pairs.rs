//! Pairs who talk: each sends the next message when the other has the last one and its ack is back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time;

use super::tally::{Minute, Tally};
use super::wire::{Kind, Prepared, Stamper, Wire};
use super::{Failure, Nodes, TEXT};
use crate::load::export::{conversation_id, doctor_token, patient_token};

/// Keeps the names of first messages apart from those of the run.
const FIRST: u32 = 100_000;

/// A run of pairs.
#[derive(Debug, Clone)]
pub struct Pairs {
    pub nodes: Nodes,
    pub pairs: u32,
    pub length: Duration,
    /// A line of figures after each of these.
    pub every: Duration,
}

impl Pairs {
    /// Runs them and answers what was measured, and in which time. `report` is handed a line now and then.
    ///
    /// # Errors
    /// When the server refuses anything.
    pub async fn run(&self, report: impl Fn(&str)) -> Result<(Tally, Duration), Failure> {
        let stamper = Stamper::new();
        let mut ready = Vec::new();
        for n in 0..self.pairs {
            let mut doctor = Wire::open(&self.nodes.first, &doctor_token(n)).await?;
            let mut patient = Wire::open(&self.nodes.second, &patient_token(n)).await?;
            // The first message of each is decided about by the consultation, in a transaction of its own.
            let mut frame = Prepared::new(&conversation_id(n), TEXT, n + FIRST);
            exchange(&mut doctor, &mut patient, &mut frame, &stamper).await?;
            exchange(&mut patient, &mut doctor, &mut frame, &stamper).await?;
            ready.push((n, doctor, patient));
        }
        let tally = Arc::new(Mutex::new(Minute::new(self.every)?));
        let started = Instant::now();
        let until = started + self.length;
        let mut talks = JoinSet::new();
        for (n, doctor, patient) in ready {
            talks.spawn(talk(n, [doctor, patient], stamper, until, tally.clone()));
        }
        let mut ticks = time::interval(Duration::from_millis(200));
        loop {
            tokio::select! {
                done = talks.join_next() => match done {
                    Some(done) => done??,
                    None => break,
                },
                _ = ticks.tick() => {
                    let line = tally.lock().unwrap_or_else(PoisonError::into_inner).turn()?;
                    if let Some(line) = line {
                        report(&line);
                    }
                }
            }
        }
        let elapsed = started.elapsed();
        let tally = Arc::into_inner(tally).ok_or("a pair goes on talking")?;
        Ok((tally.into_inner().unwrap_or_else(PoisonError::into_inner).finish()?, elapsed))
    }
}

/// Sends a message and waits for its ack and its delivery; answers how long each took, in microseconds.
async fn exchange(
    from: &mut Wire,
    to: &mut Wire,
    frame: &mut Prepared,
    stamper: &Stamper,
) -> Result<(u64, u64), Failure> {
    from.say(frame.next(stamper)).await?;
    let (acked, delivered) =
        tokio::join!(from.until_stamped(Kind::Ack, stamper), to.until_stamped(Kind::Message, stamper));
    Ok((acked?, delivered?))
}

async fn talk(
    n: u32,
    [mut from, mut to]: [Wire; 2],
    stamper: Stamper,
    until: Instant,
    tally: Arc<Mutex<Minute>>,
) -> Result<(), Failure> {
    let mut frame = Prepared::new(&conversation_id(n), TEXT, n);
    while Instant::now() < until {
        let (acked, delivered) = exchange(&mut from, &mut to, &mut frame, &stamper).await?;
        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.current.acks.record(acked)?;
        tally.current.deliveries.record(delivered)?;
        drop(tally);
        std::mem::swap(&mut from, &mut to);
    }
    Ok(())
}
