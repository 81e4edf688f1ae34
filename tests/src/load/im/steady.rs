//! A steady rate of messages, whatever comes back: how long each takes to the other side.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{self, MissedTickBehavior};

use super::tally::{Minute, Tally};
use super::wire::{Kind, Mouth, Prepared, Stamper, Wire};
use super::{Failure, Nodes, TEXT};
use crate::load::export::{conversation_id, doctor_token, patient_token};

/// How long the last messages may take.
const LAST: Duration = Duration::from_secs(5);

/// A run at a steady rate.
#[derive(Debug, Clone)]
pub struct Steady {
    pub nodes: Nodes,
    pub pairs: u32,
    /// Messages a second, all pairs together.
    pub rate: u32,
    pub length: Duration,
    /// A line of figures after each of these.
    pub every: Duration,
}

impl Steady {
    /// Runs it and answers what was measured, and in which time.
    ///
    /// # Errors
    /// When the server refuses anything, or messages do not arrive.
    pub async fn run(&self, report: impl Fn(&str)) -> Result<(Tally, Duration), Failure> {
        let (before, stamper) = (Stamper::new(), Stamper::new());
        let tally = Arc::new(Mutex::new(Minute::new(self.every)?));
        let mut places: Vec<(Mouth, Prepared)> = Vec::new();
        let mut ears = JoinSet::new();
        for n in 0..self.pairs {
            let doctor = Wire::open(&self.nodes.first, &doctor_token(n)).await?;
            let patient = Wire::open(&self.nodes.second, &patient_token(n)).await?;
            for (side, mut wire) in [(0, doctor), (1, patient)] {
                // The first message is decided about by the consultation, in a transaction of its own.
                wire.say(Prepared::new(&conversation_id(n), TEXT, 2 * n + side).next(&before)).await?;
                wire.until_stamped(Kind::Ack, &before).await?;
                places.push((wire.mouth(), Prepared::new(&conversation_id(n), TEXT, 2 * n + side)));
                ears.spawn(hear(wire, stamper, tally.clone()));
            }
        }
        let started = Instant::now();
        let mut ticks = time::interval(Duration::from_millis(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut sent, mut next) = (0_u64, 0);
        while started.elapsed() < self.length {
            ticks.tick().await;
            let due = u64::try_from(started.elapsed().as_micros())? * u64::from(self.rate) / 1_000_000;
            while sent < due {
                let (mouth, frame) = places.get_mut(next).ok_or("at least one pair")?;
                mouth.say(frame.next(&stamper)).await?;
                (sent, next) = (sent + 1, (next + 1) % (2 * self.pairs as usize));
            }
            if let Some(ended) = ears.try_join_next() {
                ended??;
            }
            let line = tally.lock().unwrap_or_else(PoisonError::into_inner).turn()?;
            if let Some(line) = line {
                report(&line);
            }
        }
        let elapsed = started.elapsed();
        let patience = Instant::now() + LAST;
        loop {
            let arrived = {
                let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                tally.all.deliveries.len() + tally.current.deliveries.len()
            };
            if arrived == sent {
                break;
            }
            if Instant::now() > patience {
                return Err(format!("of {sent} messages {arrived} arrived").into());
            }
            time::sleep(Duration::from_millis(20)).await;
        }
        ears.shutdown().await;
        let tally = Arc::into_inner(tally).ok_or("a socket goes on hearing")?;
        Ok((tally.into_inner().unwrap_or_else(PoisonError::into_inner).finish()?, elapsed))
    }
}

async fn hear(mut wire: Wire, stamper: Stamper, tally: Arc<Mutex<Minute>>) -> Result<(), Failure> {
    loop {
        let (kind, age) = wire.next_stamped(&stamper).await?;
        let current = &mut tally.lock().unwrap_or_else(PoisonError::into_inner).current;
        if kind == Kind::Ack { current.acks.record(age)? } else { current.deliveries.record(age)? }
    }
}
