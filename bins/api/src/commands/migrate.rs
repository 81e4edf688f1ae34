//! `migrate`: brings the tables up to date and ends.

use runtime::Config;
use worker::Ground;

use crate::app::Failure;

pub(super) async fn run(config: &Config) -> Result<(), Failure> {
    let ground = Ground::lay(config).await?;
    ground.store.close().await;
    println!("the tables are up to date");
    Ok(())
}
