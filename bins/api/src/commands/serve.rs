//! `serve`: the server itself.

use runtime::telemetry::{self, Metrics};
use runtime::{Config, Credentials};

use super::Failure;
use crate::app::App;

/// Serves until asked to stop.
pub(super) async fn run(config: Config) -> Result<(), Failure> {
    telemetry::start_logging(&config.log)?;
    let metrics = Metrics::install()?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let app = App::build(config).await?;
    if app.credentials.is_fresh {
        print_credentials(&app.credentials);
    }
    Ok(app.serve(metrics).await?)
}

/// Generated credentials are shown once, on the terminal and not in the log.
fn print_credentials(credentials: &Credentials) {
    println!("This application's credentials were generated and are shown only now:");
    println!("  app.id         {}", credentials.app_id);
    println!("  app.key        {}", credentials.app_key.expose());
    println!("  app.master_key {}", credentials.master_key.expose());
}
