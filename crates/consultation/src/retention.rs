//! Keeping records for as long as they must be kept, and no longer.
//!
//! The records of a doctor and a patient are their relation, its consultations with all that belongs to them, and what
//! was said in their dialogs. They go together, once nothing has happened between the two for the time set, and
//! leave a certificate that says what went and when, and nothing of what it said.
//!
//! The profile of a closed account outlives its records: it goes when the last of them has gone, and the account with
//! the last of its profiles.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Months;
use domain::file::BlobStore;
use domain::id::{DoctorId, IdSource, PatientId, RelationId};
use domain::{Actor, Clock, ObjectId, StoreError, Timestamp};

use crate::error::ConsultationError;

/// Relations that are looked at in one go.
const AT_ONCE: u32 = 100;

/// That records were destroyed: those of a relation, or a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeCertificate {
    pub id: ObjectId,
    /// `None` for a profile.
    pub relation_id: Option<RelationId>,
    pub doctor_id: Option<DoctorId>,
    pub patient_id: Option<PatientId>,
    pub consultations: u64,
    pub messages: u64,
    pub files: u64,
    /// When the last of it happened.
    pub last_activity_at: Timestamp,
    pub purged_at: Timestamp,
}

/// A profile that may have to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    Patient(PatientId),
    Doctor(DoctorId),
}

/// What a purge leaves to be done outside the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purged {
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
    ) -> Result<Option<Purged>, StoreError>;
    /// Profiles whose account was closed before, that have no records any more and whose chat with the assistant has
    /// been silent since.
    async fn due_profiles(&self, before: Timestamp, limit: u32) -> Result<Vec<Profile>, StoreError>;
    /// Destroys one of them, with its chat and, where it was the last of its account, with the account; all or nothing,
    /// and writes the certificate. `None` when it is not due any more.
    async fn purge_profile(
        &self,
        profile: Profile,
        before: Timestamp,
        certificate: ObjectId,
        now: Timestamp,
    ) -> Result<Option<Purged>, StoreError>;
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
            let Some(last) = due.last().copied() else { break };
            after = Some(last);
            for relation in due {
                let purged = self.store.purge(relation, before, self.ids.next(), now).await?;
                certificates.extend(self.finish(purged).await);
            }
        }
        for profile in self.store.due_profiles(before, AT_ONCE).await? {
            let purged = self.store.purge_profile(profile, before, self.ids.next(), now).await?;
            certificates.extend(self.finish(purged).await);
        }
        Ok(certificates)
    }

    /// Deletes the bytes of files that are gone.
    async fn finish(&self, purged: Option<Purged>) -> Option<PurgeCertificate> {
        let Purged { certificate, blob_keys } = purged?;
        for key in blob_keys {
            if let Err(error) = self.blobs.delete(&key).await {
                tracing::error!(error = &error as &dyn std::error::Error, "bytes of a purged file remain");
            }
        }
        tracing::info!(certificate.id = %certificate.id, consultations = certificate.consultations, "records purged");
        Some(certificate)
    }
}
