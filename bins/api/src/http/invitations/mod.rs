//! Invitations: a doctor makes them, a patient scans one.

pub mod dto;

use domain::id::{DoctorId, InvitationId};
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;

use self::dto::{CreateInvitationRequest, InvitationView, ScanInvitationRequest};
use crate::http::Area;
use crate::http::body::{Body, Created};
use crate::http::caller::{By, SignedIn};
use crate::http::page::PageOf;
use crate::http::problem::ApiError;
use crate::http::relations::dto::DoctorOfPatientView;
use crate::http::services::App;
use crate::http::values::Id;

/// Operations on invitations.
pub struct InvitationsApi;

#[OpenApi(tag = "Area::Invitations")]
impl InvitationsApi {
    /// Make an invitation
    ///
    /// For certified doctors, about themselves.
    #[oai(path = "/doctors/:id/invitations", method = "post", operation_id = "create_invitation")]
    async fn create_invitation(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the doctor.
        id: Path<Id>,
        request: Body<CreateInvitationRequest>,
    ) -> Result<Created<InvitationView>, ApiError> {
        let expires_at = request.0.expires_at.map(|at| at.0);
        Ok(Created(app.invitations.create(&caller.actor, DoctorId(id.0.0), expires_at).await?.into()))
    }

    /// List a doctor's invitations
    ///
    /// All of them, newest first. For that doctor and administrators.
    #[oai(path = "/doctors/:id/invitations", method = "get", operation_id = "list_invitations")]
    async fn list_invitations(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the doctor.
        id: Path<Id>,
    ) -> Result<Json<PageOf<InvitationView>>, ApiError> {
        let found = app.invitations.list(&caller.actor, DoctorId(id.0.0)).await?;
        Ok(Json(PageOf::whole(found, InvitationView::from)))
    }

    /// Revoke an invitation
    ///
    /// It cannot be scanned any more. Doing it twice is fine.
    #[oai(path = "/doctors/:id/invitations/:invitation_id", method = "delete", operation_id = "revoke_invitation")]
    async fn revoke_invitation(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the doctor.
        id: Path<Id>,
        /// Id of the invitation.
        invitation_id: Path<Id>,
    ) -> Result<Json<InvitationView>, ApiError> {
        let invitation = InvitationId(invitation_id.0.0);
        Ok(Json(app.invitations.revoke(&caller.actor, DoctorId(id.0.0), invitation).await?.into()))
    }

    /// Scan an invitation
    ///
    /// For patients. Starts the relation with the doctor, or finds the one that is there.
    #[oai(path = "/invitations/scan", method = "post", operation_id = "scan_invitation")]
    async fn scan_invitation(
        &self,
        app: App,
        caller: By<SignedIn>,
        request: Body<ScanInvitationRequest>,
    ) -> Result<Json<DoctorOfPatientView>, ApiError> {
        let relation = app.invitations.scan(&caller.actor, &request.0.scene).await?;
        Ok(Json(DoctorOfPatientView::of(relation, app.links())))
    }
}
