//! The storage interface of LeanCloud clients: documents, and the product's own tables seen as documents.
//!
//! [`source`] says which rows and fields of a class a viewer sees, [`condition`] compiles the `where` language over
//! it, [`dialect`] holds what the two databases write differently, and [`document`] stores documents.

mod condition;
mod dialect;
mod document;
mod index;
#[cfg(test)]
mod plans;
mod product;
mod realtime;
mod source;

pub(crate) use document::insertion;
pub use index::DocumentIndex;

use ::leancloud::rest::{DocumentRepository, RestStore, RestUnit};
use async_trait::async_trait;
use domain::StoreError;
use domain::audit::AuditRepository;
use domain::file::FileRepository;

use crate::store::{SeaStore, SeaUnit};

#[async_trait]
impl RestUnit for SeaUnit {
    fn documents(&mut self) -> &mut dyn DocumentRepository {
        self
    }
    fn files(&mut self) -> &mut dyn FileRepository {
        self
    }
    fn audit(&mut self) -> &mut dyn AuditRepository {
        self
    }
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.finish().await
    }
}

#[async_trait]
impl RestStore for SeaStore {
    async fn begin(&self) -> Result<Box<dyn RestUnit>, StoreError> {
        Ok(Box::new(self.unit().await?))
    }

    fn read(&self) -> Box<dyn RestUnit> {
        Box::new(self.reading())
    }
}
