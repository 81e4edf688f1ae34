//! Doctors: the own profile, and the cards everybody may see.

pub mod dto;

use domain::doctor::DoctorSearch;
use domain::id::DoctorId;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use self::dto::{DoctorCard, DoctorProfilePatch, DoctorView};
use crate::http::Area;
use crate::http::body::Body;
use crate::http::caller::{Application, By, SignedIn};
use crate::http::page::{PageOf, page_request};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Operations on doctors.
pub struct DoctorsApi;

#[OpenApi(tag = "Area::Doctors")]
impl DoctorsApi {
    /// List certified doctors
    ///
    /// Newest first, optionally only those in whose name, hospital, department or title a text occurs.
    #[oai(path = "/doctors", method = "get", operation_id = "list_doctors")]
    async fn list_doctors(
        &self,
        app: App,
        caller: By<Application>,
        /// Part of name, hospital, department or title.
        #[oai(validator(max_length = 50))]
        text: Query<Option<String>>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<DoctorCard>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let found = app.doctors.search(&caller.actor, DoctorSearch { text: text.0 }, page).await?;
        Ok(Json(PageOf::of(found, |doctor| DoctorCard::of(doctor, app.links()))))
    }

    /// Get a doctor's whole profile
    ///
    /// For the doctor, administrators and integrators.
    #[oai(path = "/doctors/:id", method = "get", operation_id = "get_doctor")]
    async fn get_doctor(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the doctor.
        id: Path<Id>,
    ) -> Result<Json<DoctorView>, ApiError> {
        let doctor = app.doctors.get(&caller.actor, DoctorId(id.0.0)).await?;
        Ok(Json(DoctorView::of(doctor, &caller.actor, app.links())))
    }

    /// Change the own doctor's profile
    ///
    /// Absent fields stay, `null` clears.
    #[oai(path = "/doctors/:id", method = "patch", operation_id = "update_doctor")]
    async fn update_doctor(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the doctor.
        id: Path<Id>,
        patch: Body<DoctorProfilePatch>,
    ) -> Result<Json<DoctorView>, ApiError> {
        let doctor = app.doctors.update(&caller.actor, DoctorId(id.0.0), patch.0.into()).await?;
        Ok(Json(DoctorView::of(doctor, &caller.actor, app.links())))
    }

    /// Get a doctor's public card
    ///
    /// Of certified doctors; a doctor sees the own card in any state.
    #[oai(path = "/doctors/:id/card", method = "get", operation_id = "get_doctor_card")]
    async fn get_doctor_card(
        &self,
        app: App,
        caller: By<Application>,
        /// Id of the doctor.
        id: Path<Id>,
    ) -> Result<Json<DoctorCard>, ApiError> {
        let doctor = app.doctors.card(&caller.actor, DoctorId(id.0.0)).await?;
        Ok(Json(DoctorCard::of(doctor, app.links())))
    }
}
