//! The Prometheus recorder behind `/metrics`. It renders; serving is the API's business.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{StartError, Tasks};

/// Bounds of histograms named `…_seconds`.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 10.0];
/// Bounds of `batch_size`.
const SIZES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// Pause between two clean-ups of the recorder.
const UPKEEP: Duration = Duration::from_secs(5);

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Makes the recorder and installs it for the whole process. Call before anything counts.
    ///
    /// # Errors
    /// [`StartError::Telemetry`] when a recorder is installed already.
    pub fn install() -> Result<Self, StartError> {
        let recorder = builder().and_then(PrometheusBuilder::install_recorder);
        recorder.map(Self).map_err(|source| StartError::Telemetry { what: "the metrics", source: source.into() })
    }

    /// The text that `/metrics` answers.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Keeps the recorder's memory bounded while nobody asks for `/metrics`.
    pub fn keep_up(&self, tasks: &Tasks) {
        let (handle, stopping) = (self.0.clone(), tasks.stopping());
        tasks.spawn("metrics upkeep", async move {
            let mut stopping = std::pin::pin!(stopping);
            let mut ticks = tokio::time::interval(UPKEEP);
            loop {
                tokio::select! {
                    () = &mut stopping => return,
                    _ = ticks.tick() => handle.run_upkeep(),
                }
            }
        });
    }
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full("batch_size".to_owned()), &SIZES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_histograms_are_rendered() {
        let recorder = builder().unwrap().build_recorder();
        let metrics = Metrics(recorder.handle());
        ::metrics::with_local_recorder(&recorder, || {
            ::metrics::counter!("jobs_total", "kind" => "demo").increment(2);
            ::metrics::histogram!("request_seconds").record(0.003);
            ::metrics::histogram!("batch_size").record(5.0);
        });
        let text = metrics.render();
        for line in [
            "jobs_total{kind=\"demo\"} 2",
            "request_seconds_bucket{le=\"0.0025\"} 0",
            "request_seconds_bucket{le=\"0.005\"} 1",
            "batch_size_bucket{le=\"8\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in\n{text}");
        }
    }

    #[tokio::test]
    async fn the_upkeep_stops_with_the_process() {
        let tasks = Tasks::new();
        Metrics(builder().unwrap().build_recorder().handle()).keep_up(&tasks);
        tasks.shut_down(Duration::from_secs(30)).await.unwrap();
    }
}
