//! Closing the accounts of others.

use account::closure::Person;
use domain::id::{DoctorId, PatientId};
use poem_openapi::OpenApi;
use poem_openapi::param::Path;

use super::dto::ReasonRequest;
use crate::http::Area;
use crate::http::body::{Body, Done};
use crate::http::caller::{By, Staff};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Administrators' operations on people's accounts.
pub struct AccountsApi;

#[OpenApi(tag = "Area::Admin")]
impl AccountsApi {
    /// Close a patient's account
    ///
    /// As the patient may (see `close_account`), with a profile as a doctor if there is one. Twice is once. For
    /// administrators; audited.
    #[oai(path = "/admin/patients/:id/close", method = "post", operation_id = "close_patient_account")]
    async fn close_patient_account(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the patient.
        id: Path<Id>,
        request: Body<ReasonRequest>,
    ) -> Result<Done, ApiError> {
        let person = Person::Patient(PatientId(id.0.0));
        app.accounts.close_account_of(&caller.actor, person, &request.0.reason).await?;
        Ok(Done)
    }

    /// Close a doctor's account
    ///
    /// As the doctor may (see `close_account`), with a profile as a patient if there is one. Twice is once. For
    /// administrators; audited.
    #[oai(path = "/admin/doctors/:id/close", method = "post", operation_id = "close_doctor_account")]
    async fn close_doctor_account(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the doctor.
        id: Path<Id>,
        request: Body<ReasonRequest>,
    ) -> Result<Done, ApiError> {
        let person = Person::Doctor(DoctorId(id.0.0));
        app.accounts.close_account_of(&caller.actor, person, &request.0.reason).await?;
        Ok(Done)
    }
}
