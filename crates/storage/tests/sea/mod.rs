//! The harness of the contract over a real database, and what is asked of migrations.

pub(crate) mod migrations;
pub(crate) mod rules;
pub(crate) mod schedules;

use std::sync::Arc;

use async_trait::async_trait;
use consultation::ConsultationStore;
use domain::id::JobId;
use domain::outbox::{DeadLetterRepository, JobQueue};
use domain::{StoreError, Timestamp};
use im::ImStore;
use im::desk::DeskStore;
use storage::{DatabaseOptions, SeaStore};
use testkit::contract::Harness;

/// A database that exists for one test.
#[async_trait]
pub(crate) trait Place: Send + Sync {
    fn options(&self) -> DatabaseOptions;
    async fn remove(&self);
}

/// Whoever lends a place removes it.
#[async_trait]
impl<P: Place> Place for &P {
    fn options(&self) -> DatabaseOptions {
        (**self).options()
    }

    async fn remove(&self) {}
}

/// A migrated store in a place of its own.
pub(crate) struct SeaHarness<P> {
    place: P,
    store: SeaStore,
}

impl<P: Place> SeaHarness<P> {
    pub(crate) async fn open(place: P) -> Self {
        let options = place.options();
        Self::open_with(place, &options).await
    }

    async fn open_with(place: P, options: &DatabaseOptions) -> Self {
        let store = SeaStore::connect(options).await.unwrap();
        store.migrate().await.unwrap();
        Self { place, store }
    }
}

#[async_trait]
impl<P: Place> Harness for SeaHarness<P> {
    fn store(&self) -> Arc<dyn ConsultationStore> {
        Arc::new(self.store.clone())
    }

    fn im(&self) -> Arc<dyn ImStore> {
        Arc::new(self.store.clone())
    }

    fn desk(&self) -> Arc<dyn DeskStore> {
        Arc::new(self.store.clone())
    }

    fn queue(&self) -> Arc<dyn JobQueue> {
        Arc::new(self.store.clone())
    }

    async fn retry_dead(&self, id: JobId, now: Timestamp) -> Result<bool, StoreError> {
        let mut unit = self.store.unit().await?;
        let is_dead = unit.retry(id, now).await?;
        unit.finish().await?;
        Ok(is_dead)
    }

    async fn discard_dead(&self, id: JobId, now: Timestamp) -> Result<bool, StoreError> {
        let mut unit = self.store.unit().await?;
        let is_dead = unit.discard(id, now).await?;
        unit.finish().await?;
        Ok(is_dead)
    }

    async fn close(&self) {
        self.store.close().await;
        self.place.remove().await;
    }
}
