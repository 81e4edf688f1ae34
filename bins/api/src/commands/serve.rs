//! `serve`: runs the server.

use runtime::{Config, telemetry};

use crate::app::{self, Failure};

pub(super) async fn run(config: &Config) -> Result<(), Failure> {
    telemetry::start_logging(&config.log)?;
    app::serve(config).await
}
