//! The picture code and the link of an invitation.

use domain::id::{DoctorId, InvitationId};
use poem::http::HeaderValue;
use poem::http::header::CACHE_CONTROL;
use poem::{IntoResponse, Response};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{ApiResponse, OpenApi};
use wechat::invitation::DEFAULT_WIDTH;
use wechat::reply::Picture;

use super::dto::{InvitationLinkRequest, InvitationLinkView};
use crate::http::Area;
use crate::http::body::Body;
use crate::http::caller::{By, SignedIn};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Days a link is good for unless said.
const DEFAULT_DAYS: u32 = 30;

/// Operations on codes and links.
pub struct CodesApi;

#[OpenApi(tag = "Area::Invitations")]
impl CodesApi {
    /// Get the picture code of an invitation
    ///
    /// A PNG that opens the patients' mini-program with the invitation. Drawn once and kept; the same invitation and
    /// width give the same picture. For that doctor and administrators.
    #[oai(path = "/doctors/:id/invitations/:invitation_id/code", method = "get", operation_id = "get_invitation_code")]
    async fn get_invitation_code(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the doctor.
        id: Path<Id>,
        /// Id of the invitation.
        invitation_id: Path<Id>,
        /// Width in pixels, 430 unless said.
        #[oai(validator(minimum(value = "280"), maximum(value = "1280")))]
        width: Query<Option<u32>>,
    ) -> Result<PictureAnswer, ApiError> {
        let (doctor, invitation) = (DoctorId(id.0.0), InvitationId(invitation_id.0.0));
        let usable = app.invitations.usable(&caller.actor, doctor, invitation).await?;
        Ok(PictureAnswer(app.wechat.codes.code(&usable.scene, width.0.unwrap_or(DEFAULT_WIDTH)).await?))
    }

    /// Make a link of an invitation
    ///
    /// For text messages and web pages. For that doctor and administrators.
    #[oai(
        path = "/doctors/:id/invitations/:invitation_id/link",
        method = "post",
        operation_id = "create_invitation_link"
    )]
    async fn create_invitation_link(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the doctor.
        id: Path<Id>,
        /// Id of the invitation.
        invitation_id: Path<Id>,
        request: Body<InvitationLinkRequest>,
    ) -> Result<Json<InvitationLinkView>, ApiError> {
        let (doctor, invitation) = (DoctorId(id.0.0), InvitationId(invitation_id.0.0));
        let usable = app.invitations.usable(&caller.actor, doctor, invitation).await?;
        let days = request.0.expires_in_days.unwrap_or(DEFAULT_DAYS);
        Ok(Json(app.wechat.codes.link(&usable.scene, days).await?.into()))
    }
}

/// A picture.
pub struct PictureAnswer(pub Picture);

/// Private, because only the doctor and administrators may fetch it.
const CACHING: HeaderValue = HeaderValue::from_static("private, max-age=3600");

impl IntoResponse for PictureAnswer {
    fn into_response(self) -> Response {
        Response::builder().content_type(self.0.mime_type).header(CACHE_CONTROL, CACHING).body(self.0.bytes)
    }
}

impl ApiResponse for PictureAnswer {
    fn meta() -> MetaResponses {
        let bytes = || MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        let content = ["image/jpeg", "image/png"].map(|content_type| MetaMediaType { content_type, schema: bytes() });
        MetaResponses {
            responses: vec![MetaResponse {
                description: "The picture.",
                status: Some(200),
                status_range: None,
                content: content.into(),
                headers: Vec::new(),
            }],
        }
    }

    fn register(_: &mut Registry) {}
}
