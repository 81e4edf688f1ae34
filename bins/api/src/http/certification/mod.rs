//! A doctor's own certification. Reviewing it is in [`crate::http::admin`].

pub mod dto;

use consultation::certification::Pictures;
use domain::id::{DoctorId, FileId};
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::multipart::Upload;

use self::dto::{CertificationForm, CertificationView};
use crate::http::Area;
use crate::http::body::Created;
use crate::http::caller::{By, Caller, SignedIn};
use crate::http::files::read_upload;
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Operations on the own certification.
pub struct CertificationApi;

#[OpenApi(tag = "Area::Certification")]
impl CertificationApi {
    /// Get the own certification
    ///
    /// For the doctor and administrators.
    #[oai(path = "/doctors/:id/certification", method = "get", operation_id = "get_certification")]
    async fn get_certification(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the doctor.
        id: Path<Id>,
    ) -> Result<Json<CertificationView>, ApiError> {
        let doctor = app.certifications.get(&caller.actor, DoctorId(id.0.0)).await?;
        Ok(Json(CertificationView::of(doctor, app.links())))
    }

    /// Submit for certification
    ///
    /// For doctors who are not certified or were rejected. Needs at least one picture of the certificate and one of
    /// the licence, sent now or before.
    #[oai(path = "/doctors/:id/certification", method = "post", operation_id = "submit_certification")]
    async fn submit_certification(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the doctor.
        id: Path<Id>,
        form: CertificationForm,
    ) -> Result<Created<CertificationView>, ApiError> {
        let doctor = DoctorId(id.0.0);
        caller.actor.require(caller.actor.is_doctor(doctor))?;
        let pictures = Pictures {
            certificate1: keep(&app, &caller, form.certificate1).await?,
            certificate2: keep(&app, &caller, form.certificate2).await?,
            licence1: keep(&app, &caller, form.licence1).await?,
            licence2: keep(&app, &caller, form.licence2).await?,
        };
        let doctor = app.certifications.submit(&caller.actor, doctor, pictures).await?;
        Ok(Created(CertificationView::of(doctor, app.links())))
    }
}

/// Uploads one picture of the form, if it is there.
async fn keep(app: &App, caller: &Caller, picture: Option<Upload>) -> Result<Option<FileId>, ApiError> {
    let Some(picture) = picture else { return Ok(None) };
    let file = app.accounts.upload(&caller.actor, read_upload(picture).await?).await?;
    Ok(Some(file.id))
}
