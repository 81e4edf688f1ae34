//! `zhaoguan-worker`: does the jobs that the API leaves behind, as a process of its own.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use mimalloc::MiMalloc;
use runtime::fanout::{self, Announcer};
use runtime::ops::{self, ReadyProbe};
use runtime::{Config, ConfigSources, Credentials, Tasks, tasks, telemetry};
use tracing::info;
use worker::{Ground, Sms};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Longest wait for jobs in hand when asked to stop.
const SHUTDOWN: Duration = Duration::from_secs(30);

#[derive(Parser)]
#[command(name = "zhaoguan-worker", version, about = "Does the jobs of the 兆观医生 server")]
struct Arguments {
    /// Configuration file; `zhaoguan.toml` when not given.
    #[arg(long, env = "ZHAOGUAN_CONFIG")]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("zhaoguan-worker: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let config = Config::load(&ConfigSources::from_process(arguments.config))?;
    telemetry::start_logging(&config.log)?;
    let metrics = telemetry::Metrics::install()?;
    let ground = Ground::lay(&config).await?;
    let tasks = Tasks::new();
    let fanout = fanout::open(&config.fanout.url, &tasks).await?;
    ground.store.announce_to(Arc::new(Announcer(fanout)));
    let credentials = Credentials::resolve(&config, ground.random.as_ref())?;
    let sms = Sms::wire(&config, &ground, &credentials.secret)?;
    metrics.keep_up(&tasks);
    if let Some(address) = config.worker.listen {
        ops::listen(address, metrics, ready_probe(&ground), &tasks).await?;
    }
    ground.worker(&config, &sms).start(&tasks);
    info!("worker started");
    tasks::termination().await?;
    tasks.shut_down(SHUTDOWN).await?;
    ground.store.close().await;
    Ok(())
}

/// Whether the database can be written to.
fn ready_probe(ground: &Ground) -> ReadyProbe {
    let (store, clock) = (ground.store.clone(), ground.clock.clone());
    Arc::new(move || {
        let (store, now) = (store.clone(), clock.now());
        Box::pin(async move { store.probe_write(now).await.is_ok() })
    })
}
