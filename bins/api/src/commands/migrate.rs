//! `migrate`: brings the tables up to date, as every start does as well.

use runtime::Config;
use worker::Ground;

use super::Failure;

pub(super) async fn run(config: Config) -> Result<(), Failure> {
    let ground = Ground::lay(&config).await?;
    ground.store.close().await;
    println!("The tables are up to date.");
    Ok(())
}
