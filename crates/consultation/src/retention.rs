//! Keeping records for as long as they must be kept, and no longer.
//!
//! The records of a doctor and a patient are their relation, its consultations with all that belongs to them, and what
//! was said in their dialogs. They go together, once nothing has happened between the two for the time set, and
//! leave a certificate that says what went and when, and nothing of what it said.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Months;
use domain::file::BlobStore;
use domain::id::{DoctorId, IdSource, PatientId, RelationId};
use domain::{Actor, Clock, ObjectId, StoreError, Timestamp};

use crate::error::ConsultationError;

/// Relations that are looked at in one go.
const AT_ONCE: u32 = 100;

/// That records were destroyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeCertificate {
    pub id: ObjectId,
    pub relation_id: RelationId,
    pub doctor_id: DoctorId,
    pub patient_id: PatientId,
    pub consultations: u64,
    pub messages: u64,
    pub files: u64,
    /// When the last of it happened.
    pub last_activity_at: Timestamp,
    pub purged_at: Timestamp,
}

/// What a purge leaves to be done outside the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgedRelation {
    pub certificate: PurgeCertificate,
    /// Keys of files that nothing shows any more.
    pub blob_keys: Vec<String>,
}

/// Finds and destroys records.
#[async_trait]
pub trait RetentionStore: Send + Sync {
    /// Relations in which nothing has happened since, ended consultations only; by id, after the one given.
    async fn due(
        &self,
        before: Timestamp,
        after: Option<RelationId>,
        limit: u32,
    ) -> Result<Vec<RelationId>, StoreError>;
    /// Destroys one of them with everything that belongs to it, all or nothing, and writes the certificate. `None` when it
    /// is not due any more.
    async fn purge(
        &self,
        relation: RelationId,
        before: Timestamp,
        certificate: ObjectId,
        now: Timestamp,
    ) -> Result<Option<PurgedRelation>, StoreError>;
}

/// The use case.
#[derive(Clone)]
pub struct Retention {
    pub store: Arc<dyn RetentionStore>,
    pub blobs: Arc<dyn BlobStore>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub years: u32,
}

impl Retention {
    /// Destroys what is due; answers the certificates. Safe to run from several workers at once.
    ///
    /// # Errors
    /// [`ConsultationError::Store`]; [`ConsultationError::Access`] for anybody but the system.
    pub async fn run(&self, actor: &Actor) -> Result<Vec<PurgeCertificate>, ConsultationError> {
        actor.require(matches!(actor, Actor::System))?;
        let now = self.clock.now();
        let months = Months::new(self.years.saturating_mul(12));
        let before = now.to_datetime().checked_sub_months(months).map_or(Timestamp::EPOCH, Timestamp::from_datetime);
        let mut certificates = Vec::new();
        let mut after = None;
        loop {
            let due = self.store.due(before, after, AT_ONCE).await?;
            let Some(last) = due.last().copied() else { return Ok(certificates) };
            after = Some(last);
            for relation in due {
                let purged = self.store.purge(relation, before, self.ids.next(), now).await?;
                let Some(PurgedRelation { certificate, blob_keys }) = purged else { continue };
                for key in blob_keys {
                    if let Err(error) = self.blobs.delete(&key).await {
                        tracing::error!(error = &error as &dyn std::error::Error, "bytes of a purged file remain");
                    }
                }
                tracing::info!(relation.id = %relation, consultations = certificate.consultations, "records purged");
                certificates.push(certificate);
            }
        }
    }
}
