//! Invitations on the wire.

use consultation::relation::Invitation;
use poem_openapi::Object;

use crate::http::values::{Id, Instant};

/// A doctor's invitation.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct InvitationView {
    /// Id of the invitation.
    pub object_id: Id,
    /// The doctor who invites.
    pub id_doctor: Id,
    /// What the picture code carries; scanning it starts the relation.
    pub scene: String,
    /// Until when it may be scanned; absent: until it is revoked.
    pub expires_at: Option<Instant>,
    /// When it was revoked.
    pub revoked_at: Option<Instant>,
    /// How often it was scanned.
    pub scan_count: i64,
    /// When it was made.
    pub created_at: Instant,
}

/// A new invitation.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateInvitationRequest {
    /// Until when it may be scanned; absent: until it is revoked.
    pub expires_at: Option<Instant>,
}

/// A scanned invitation.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScanInvitationRequest {
    /// What the picture code carries.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub scene: String,
}

impl From<Invitation> for InvitationView {
    fn from(invitation: Invitation) -> Self {
        Self {
            object_id: invitation.id.into(),
            id_doctor: invitation.doctor_id.into(),
            scene: invitation.scene,
            expires_at: invitation.expires_at.map(Instant),
            revoked_at: invitation.revoked_at.map(Instant),
            scan_count: invitation.scan_count,
            created_at: Instant(invitation.created_at),
        }
    }
}
