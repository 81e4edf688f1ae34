//! Relations of doctors and patients: the doctor's patients, the patient's doctors.

pub mod dto;

use consultation::relation::RelationFilter;
use domain::id::{DoctorId, PatientId, RelationId};
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use self::dto::{DoctorOfPatientView, RelationChangePatch, RelationView};
use crate::http::Area;
use crate::http::body::Body;
use crate::http::caller::{By, SignedIn};
use crate::http::page::{PageOf, page_request};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Operations on relations.
pub struct RelationsApi;

#[OpenApi(tag = "Area::Relations")]
impl RelationsApi {
    /// List a doctor's patients
    ///
    /// Newest first. For that doctor, administrators and integrators.
    #[oai(path = "/doctors/:id/relations", method = "get", operation_id = "list_relations_of_doctor")]
    #[expect(clippy::too_many_arguments, reason = "one argument for each parameter of the query")]
    async fn list_relations_of_doctor(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the doctor.
        id: Path<Id>,
        /// Only this group: "1" ordinary, "2" followed.
        #[oai(validator(max_length = 8))]
        group: Query<Option<String>>,
        /// Only patients with this tag.
        #[oai(validator(max_length = 20))]
        tag: Query<Option<String>>,
        /// Part of the patient's name or of the remark, or the whole phone number.
        #[oai(validator(max_length = 50))]
        text: Query<Option<String>>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<RelationView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let filter = RelationFilter { group: group.0, tag: tag.0, text: text.0, ..RelationFilter::default() };
        let found = app.relations.list_of_doctor(&caller.actor, DoctorId(id.0.0), filter, page).await?;
        Ok(Json(PageOf::of(found, |relation| RelationView::of(relation, app.links()))))
    }

    /// Get a relation
    ///
    /// For its doctor, administrators (audited) and integrators.
    #[oai(path = "/relations/:id", method = "get", operation_id = "get_relation")]
    async fn get_relation(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the relation.
        id: Path<Id>,
    ) -> Result<Json<RelationView>, ApiError> {
        let relation = app.relations.get(&caller.actor, RelationId(id.0.0)).await?;
        Ok(Json(RelationView::of(relation, app.links())))
    }

    /// Change tags, remark, follow, groups or block
    ///
    /// For the relation's doctor. Following shows the patient the doctor's card once; blocking ends an open
    /// consultation of the two.
    #[oai(path = "/relations/:id", method = "patch", operation_id = "update_relation")]
    async fn update_relation(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the relation.
        id: Path<Id>,
        patch: Body<RelationChangePatch>,
    ) -> Result<Json<RelationView>, ApiError> {
        let changed = app.relations.update(&caller.actor, RelationId(id.0.0), patch.0.into()).await?;
        Ok(Json(RelationView::of(changed, app.links())))
    }

    /// List a patient's doctors
    ///
    /// Newest first. For that patient, administrators and integrators.
    #[oai(path = "/patients/:id/relations", method = "get", operation_id = "list_relations_of_patient")]
    async fn list_relations_of_patient(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the patient.
        id: Path<Id>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<DoctorOfPatientView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        let found = app.relations.list_of_patient(&caller.actor, PatientId(id.0.0), page).await?;
        Ok(Json(PageOf::of(found, |relation| DoctorOfPatientView::of(relation, app.links()))))
    }

    /// Take the cards of doctors who followed the patient
    ///
    /// Each card is given once: after a scan or a follow, and then not again.
    #[oai(path = "/patients/:id/followed-doctor-cards", method = "post", operation_id = "take_followed_doctor_cards")]
    async fn take_followed_doctor_cards(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the patient.
        id: Path<Id>,
    ) -> Result<Json<PageOf<DoctorOfPatientView>>, ApiError> {
        let cards = app.relations.take_cards(&caller.actor, PatientId(id.0.0)).await?;
        Ok(Json(PageOf::whole(cards, |relation| DoctorOfPatientView::of(relation, app.links()))))
    }
}
