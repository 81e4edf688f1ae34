//! `check`: says whether the server could run with this configuration, and whether stored rows contradict each other.
//! It changes nothing unless it is told to count unread anew.

use std::path::PathBuf;
use std::sync::Arc;

use ::wechat::errcode::advice;
use ::wechat::reply::CallError;
use clap::Args;
use domain::Clock;
use domain::file::BlobStore;
use domain::rng::SecureRandom;
use runtime::config::DatabaseKind;
use runtime::{Config, Credentials, HyperWire, OpendalBlobs, OsRandom, SystemClock};
use serde_json::json;
use storage::SeaStore;
use storage::inspect::Violation;
use worker::sms::{Providers, probe};
use worker::{GroundError, database_options};

use super::Failure;

/// What to look at.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Also try the outside services.
    #[arg(long)]
    online: bool,
    /// Count unread anew from the messages and correct the stored numbers, also while servers run.
    #[arg(long)]
    recount_unread: bool,
    /// Print only the rules that stored rows break, as JSON for programs.
    #[arg(long)]
    json: bool,
}

/// A key that no file is kept under.
const ABSENT_KEY: &str = "check/absent";

pub(super) async fn run(config: Config, arguments: Arguments) -> Result<(), Failure> {
    if arguments.recount_unread {
        let store = open(&config).await?;
        let recounted = store.recount_unread().await;
        store.close().await;
        let recounted = recounted?;
        if !arguments.json {
            println!("unread numbers corrected of {recounted} members");
        }
    }
    if arguments.json {
        let store = open(&config).await?;
        println!("{}", json!({ "violations": store.inspect().await? }));
        store.close().await;
        return Ok(());
    }
    println!("configuration: fine");
    for warning in config.warnings() {
        println!("  note: {warning}");
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut is_fine = vec![told("database", &database(&config).await)];
    let random: Arc<dyn SecureRandom> = Arc::new(OsRandom);
    match Providers::of(&config, &clock, &random) {
        Ok(providers) => is_fine.extend(sms(&providers, &clock, arguments.online).await),
        Err(failure) => is_fine.push(told("SMS", &Err(failure.into()))),
    }
    if arguments.online {
        is_fine.extend(wechat(&config).await);
    }
    is_fine.push(!arguments.online || told("files", &files(&config).await));
    if is_fine.into_iter().all(|fine| fine) { Ok(()) } else { Err("the server could not run like this".into()) }
}

fn told(what: &str, outcome: &Result<(), Failure>) -> bool {
    match outcome {
        Ok(()) => println!("{what}: fine"),
        Err(failure) => println!("{what}: {}", super::chain(failure.as_ref())),
    }
    outcome.is_ok()
}

/// Each provider, asked for a message that was never sent where the outside is to be tried.
async fn sms(providers: &Providers, clock: &Arc<dyn Clock>, is_online: bool) -> Vec<bool> {
    for warning in &providers.warnings {
        println!("  note: {warning}");
    }
    let mut fine = vec![told("SMS", &Ok(()))];
    if is_online {
        for provider in &providers.all {
            let outcome = probe(&**provider, &**clock).await.map_err(|code| format!("answered {code}").into());
            fine.push(told(&format!("SMS by {}", provider.name().as_str()), &outcome));
        }
    }
    fine
}

/// Each app of WeChat, asked for the token it has, which replaces none, and for its templates.
async fn wechat(config: &Config) -> Vec<bool> {
    let apps = config.wechat_apps();
    // The built-in stand-in runs with the server only.
    if apps.is_empty() || config.uses_wechat_standin() {
        return Vec::new();
    }
    let wire = match HyperWire::new(&config.wechat_base_url(), &config.wechat.fallback_urls) {
        Ok(wire) => wire,
        Err(error) => return vec![told("WeChat", &Err(error.into()))],
    };
    let mut fine = Vec::new();
    for app in apps.iter() {
        let outcome = match ::wechat::probe::probe(&wire, app, SystemClock.now()).await {
            Ok(absent) if absent.is_empty() => Ok(()),
            Ok(absent) => Err(format!("the console has no templates for {}", absent.join(", ")).into()),
            Err(CallError::Refused(refusal)) => {
                let advice = advice(refusal.code).unwrap_or("look the code up in the platform's documentation");
                Err(format!("answered {} {}: {advice}", refusal.code, refusal.message).into())
            }
            Err(error) => Err(error.into()),
        };
        fine.push(told(&format!("WeChat app {}", app.name), &outcome));
    }
    fine
}

async fn database(config: &Config) -> Result<(), Failure> {
    if sqlite_file(config).is_some_and(|file| !file.is_file()) {
        return Err("there is no database yet; `migrate` or the first start makes it".into());
    }
    let store = open(config).await?;
    let inspected = inspect(&store).await;
    store.close().await;
    match inspected?.as_slice() {
        [] => Ok(()),
        broken => {
            let told: Vec<String> = broken.iter().map(|v| format!("{} ({} rows)", v.rule, v.rows)).collect();
            Err(format!("rows break these rules: {}", told.join("; ")).into())
        }
    }
}

/// The database under the key that is configured, which is not made here.
async fn open(config: &Config) -> Result<SeaStore, Failure> {
    let credentials = Credentials::find(config)?;
    Ok(SeaStore::connect(&database_options(config, &credentials)).await?)
}

async fn inspect(store: &SeaStore) -> Result<Vec<Violation>, Failure> {
    let written = store.probe_write(SystemClock.now()).await;
    written.map_err(|error| format!("{}; has `migrate` been run?", super::chain(&error)))?;
    store.prove_seal().await.map_err(GroundError::from)?;
    Ok(store.inspect().await?)
}

/// The file of the database, if it is one.
pub(super) fn sqlite_file(config: &Config) -> Option<PathBuf> {
    if config.database.kind() != DatabaseKind::Sqlite {
        return None;
    }
    let url = config.database.url.expose();
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    path.split('?').next().map(PathBuf::from)
}

async fn files(config: &Config) -> Result<(), Failure> {
    OpendalBlobs::open(&config.files)?.get(ABSENT_KEY).await?;
    Ok(())
}
