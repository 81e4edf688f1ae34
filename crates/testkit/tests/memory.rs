//! The contract of stores, kept by the store in memory.

use std::future::{Ready, ready};
use std::sync::Arc;

use async_trait::async_trait;
use consultation::ConsultationStore;
use domain::id::JobId;
use domain::outbox::{DeadLetterRepository, JobQueue};
use domain::{StoreError, Timestamp};
use im::ImStore;
use im::desk::DeskStore;
use testkit::MemoryStore;
use testkit::contract::Harness;

#[derive(Default)]
struct InMemory(MemoryStore);

fn open() -> Ready<Option<Box<dyn Harness>>> {
    ready(Some(Box::new(InMemory::default())))
}

#[async_trait]
impl Harness for InMemory {
    fn store(&self) -> Arc<dyn ConsultationStore> {
        Arc::new(self.0.clone())
    }

    fn im(&self) -> Arc<dyn ImStore> {
        Arc::new(self.0.clone())
    }

    fn desk(&self) -> Arc<dyn DeskStore> {
        Arc::new(self.0.clone())
    }

    fn queue(&self) -> Arc<dyn JobQueue> {
        Arc::new(self.0.clone())
    }

    async fn retry_dead(&self, id: JobId, now: Timestamp) -> Result<bool, StoreError> {
        let mut unit = self.0.unit().await;
        let is_dead = unit.retry(id, now).await?;
        unit.finish()?;
        Ok(is_dead)
    }

    async fn discard_dead(&self, id: JobId, now: Timestamp) -> Result<bool, StoreError> {
        let mut unit = self.0.unit().await;
        let is_dead = unit.discard(id, now).await?;
        unit.finish()?;
        Ok(is_dead)
    }

    async fn close(&self) {}
}

testkit::contract_suite!(open);

/// Where the store in memory is stricter than the contract, on purpose.
mod strictness {
    use consultation::ConsultationUnit;
    use testkit::build::{patient, patient_id};

    use super::*;

    #[tokio::test]
    async fn a_unit_that_broke_a_unique_rule_can_do_nothing_more() {
        let store = MemoryStore::default();
        let mut unit = store.unit().await;
        unit.patients().insert(&patient(1).done()).await.unwrap();
        assert!(matches!(unit.patients().insert(&patient(1).done()).await, Err(StoreError::Unique(_))));
        assert!(matches!(unit.patients().find(patient_id(1)).await, Err(StoreError::Backend(_))));
        assert!(matches!(unit.patients().insert(&patient(2).done()).await, Err(StoreError::Backend(_))));
        assert!(matches!(unit.finish(), Err(StoreError::Backend(_))));
        assert!(store.committed().patients.is_empty());
    }

    #[tokio::test]
    async fn nothing_is_written_through_the_reading_road() {
        let store = MemoryStore::default();
        let written = ConsultationStore::read(&store).patients().insert(&patient(1).done()).await;
        assert!(matches!(written, Err(StoreError::Backend(_))));
        assert!(store.committed().patients.is_empty());
    }
}
