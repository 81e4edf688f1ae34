//! `serve`: the server itself.

use runtime::Config;
use runtime::telemetry::{self, Metrics};

use super::Failure;

/// Serves until asked to stop.
pub(super) async fn run(config: Config) -> Result<(), Failure> {
    telemetry::start_logging(&config.log)?;
    let metrics = Metrics::install()?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let app = super::build(config).await?;
    Ok(app.serve(metrics).await?)
}
