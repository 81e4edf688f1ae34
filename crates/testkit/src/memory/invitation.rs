//! Invitations in memory.

use async_trait::async_trait;
use consultation::relation::{Invitation, InvitationRepository};
use domain::id::{DoctorId, InvitationId};
use domain::{StoreError, Timestamp};

use super::MemoryUnit;
use super::tables::{insert_new, unique};

#[async_trait]
impl InvitationRepository for MemoryUnit {
    async fn insert(&mut self, invitation: &Invitation) -> Result<(), StoreError> {
        self.write(|tables| {
            if tables.invitations.values().any(|i| i.scene == invitation.scene) {
                return Err(unique("invitation_scene"));
            }
            insert_new(&mut tables.invitations, invitation.id, invitation.clone(), "invitation_pkey")
        })
    }

    async fn find(&mut self, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        Ok(self.tables()?.invitations.get(&id).cloned())
    }

    async fn find_by_scene(&mut self, scene: &str) -> Result<Option<Invitation>, StoreError> {
        Ok(self.tables()?.invitations.values().find(|i| i.scene == scene).cloned())
    }

    async fn list(&mut self, doctor: DoctorId) -> Result<Vec<Invitation>, StoreError> {
        let tables = self.tables()?;
        let mut found: Vec<_> = tables.invitations.values().filter(|i| i.doctor_id == doctor).cloned().collect();
        found.sort_by_key(|i| std::cmp::Reverse((i.created_at, i.id)));
        Ok(found)
    }

    async fn revoke(&mut self, id: InvitationId, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tables| {
            if let Some(invitation) = tables.invitations.get_mut(&id) {
                invitation.revoked_at.get_or_insert(now);
            }
            Ok(())
        })
    }

    async fn count_scan(&mut self, id: InvitationId) -> Result<(), StoreError> {
        self.write(|tables| {
            if let Some(invitation) = tables.invitations.get_mut(&id) {
                invitation.scan_count += 1;
            }
            Ok(())
        })
    }
}
