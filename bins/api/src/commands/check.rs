//! `check`: says whether the configuration, the database and its rows are in order.

use clap::Args;
use domain::file::BlobStore;
use runtime::{Config, OpendalBlobs};
use serde_json::json;
use worker::Ground;

use crate::app::{Failure, account_parts};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Also ask the outside services: the file store and, once connected, WeChat and SMS.
    #[arg(long)]
    online: bool,
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let ground = Ground::lay(config).await?;
    ground.store.probe_write(ground.clock.now()).await.map_err(|_| "the database cannot be written to")?;
    account_parts(config, &ground)?;
    if arguments.online {
        probe_files(&OpendalBlobs::open(&config.files)?).await?;
    }
    let violations = ground.store.inspect().await.map_err(|_| "the rows could not be read")?;
    ground.store.close().await;
    if arguments.json {
        println!("{}", json!({ "warnings": config.warnings(), "violations": violations }));
        return Ok(());
    }
    for warning in config.warnings() {
        println!("warning: {warning}");
    }
    for violation in &violations {
        println!("broken: {} ({} rows)", violation.rule, violation.rows);
    }
    if violations.is_empty() {
        println!("configuration, database and rows are in order");
        return Ok(());
    }
    Err("some rows contradict each other".into())
}

/// Writes a small file, reads it back and removes it.
async fn probe_files(blobs: &OpendalBlobs) -> Result<(), Failure> {
    const KEY: &str = "check/probe";
    blobs.put(KEY, b"probe".to_vec(), "text/plain").await?;
    let kept = blobs.get(KEY).await?;
    blobs.delete(KEY).await?;
    if kept.as_deref() == Some(b"probe") {
        Ok(())
    } else {
        Err("files.url: the store does not keep what it is given".into())
    }
}
