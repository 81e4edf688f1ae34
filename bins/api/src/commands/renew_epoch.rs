//! `renew-epoch`: to be run once the database was put back from a backup, before servers start on it. Clients that got
//! farther than the backup load everything again instead of silently missing what comes next.

use im::ImStore;
use runtime::Config;
use worker::Ground;

use super::Failure;

pub(super) async fn run(config: Config) -> Result<(), Failure> {
    let ground = Ground::lay(&config).await?;
    let epoch = ground.ids.next().to_string();
    let renewed = renew(&ground.store, &epoch).await;
    ground.store.close().await;
    renewed?;
    println!("The log of messaging has the epoch {epoch}. Clients load everything again when they come back.");
    Ok(())
}

async fn renew(store: &dyn ImStore, epoch: &str) -> Result<(), domain::StoreError> {
    let mut unit = store.begin().await?;
    unit.log().renew_epoch(epoch).await?;
    unit.commit().await
}
