//! What a run on messaging has measured.

use std::fmt;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::Failure;

/// Ages in microseconds: of acks when they came back, of messages when they reached the other side.
#[derive(Clone)]
pub struct Tally {
    pub acks: Histogram<u64>,
    pub deliveries: Histogram<u64>,
}

impl Tally {
    pub fn new() -> Result<Self, Failure> {
        Ok(Self { acks: Histogram::new(3)?, deliveries: Histogram::new(3)? })
    }

    pub fn add(&mut self, other: &Self) -> Result<(), Failure> {
        self.acks.add(&other.acks)?;
        self.deliveries.add(&other.deliveries)?;
        Ok(())
    }

    /// Messages a second.
    #[expect(clippy::cast_precision_loss, reason = "a count of messages")]
    pub fn per_second(&self, elapsed: Duration) -> f64 {
        self.acks.len().max(self.deliveries.len()) as f64 / elapsed.as_secs_f64()
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of one message")]
fn millis(of: &Histogram<u64>, quantile: f64) -> f64 {
    of.value_at_quantile(quantile) as f64 / 1000.0
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, ages) in [("ack", &self.acks), ("delivery", &self.deliveries)] {
            if !ages.is_empty() {
                let [p50, p99, max] = [0.5, 0.99, 1.0].map(|quantile| millis(ages, quantile));
                write!(f, "  {name} p50 {p50:.2} p99 {p99:.2} max {max:.1} ms")?;
            }
        }
        Ok(())
    }
}

/// Tallies of a long run, one for each span of time, each printed when it is over.
pub struct Minute {
    every: Duration,
    began: Instant,
    pub current: Tally,
    pub all: Tally,
}

impl Minute {
    pub fn new(every: Duration) -> Result<Self, Failure> {
        Ok(Self { every, began: Instant::now(), current: Tally::new()?, all: Tally::new()? })
    }

    /// Whether the span is over; if so, its line.
    pub fn turn(&mut self) -> Result<Option<String>, Failure> {
        let elapsed = self.began.elapsed();
        if elapsed < self.every {
            return Ok(None);
        }
        let line = format!("{:>9.0} msg/s{}", self.current.per_second(elapsed), self.current);
        self.all.add(&self.current)?;
        self.current = Tally::new()?;
        self.began = Instant::now();
        Ok(Some(line))
    }

    /// The tally of the whole run.
    pub fn finish(mut self) -> Result<Tally, Failure> {
        self.all.add(&self.current)?;
        Ok(self.all)
    }
}
