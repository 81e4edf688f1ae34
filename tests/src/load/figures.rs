//! Latency figures of a run.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;

/// What a run measured.
pub struct Figures {
    pub elapsed: Duration,
    /// Latencies in microseconds.
    pub latencies: Histogram<u64>,
    /// Answers other than the expected one.
    pub failures: u64,
}

impl Figures {
    pub fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let count = self.latencies.len() as f64;
        count / self.elapsed.as_secs_f64()
    }

    /// Latency in milliseconds below which `quantile` of the answers came.
    pub fn millis(&self, quantile: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of one request")]
        let micros = self.latencies.value_at_quantile(quantile) as f64;
        micros / 1000.0
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>9.0} req/s   p50 {:>7.2} ms   p99 {:>7.2} ms   max {:>8.2} ms   failures {}",
            self.per_second(),
            self.millis(0.5),
            self.millis(0.99),
            self.millis(1.0),
            self.failures
        )
    }
}
