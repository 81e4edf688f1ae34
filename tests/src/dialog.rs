//! A deployment with one open consultation, and its two parties signed in.

use serde_json::Value;

use crate::load::export::{doctor_id, doctor_phone, patient_id, patient_phone};
use crate::server::{Api, Deployment};
use crate::world::{As, Http, populate};

/// A dialog that can be written in.
pub struct Dialog {
    pub http: Http,
    pub patient: As,
    pub doctor: As,
    pub consultation: String,
    /// Id of the conversation.
    pub id: String,
}

impl Dialog {
    /// Starts an API over a deployment with two doctors and two patients, and the consultation of the first of each.
    ///
    /// # Panics
    /// When any of it is refused.
    pub fn begin(deployment: &Deployment) -> (Api, Self) {
        populate(deployment, 2, 2);
        let api = deployment.start_api();
        let dialog = Self::begin_on(&api);
        (api, dialog)
    }

    /// The same, on an API that runs already.
    ///
    /// # Panics
    /// When any of it is refused.
    pub fn begin_on(api: &Api) -> Self {
        let http = Http::new(api);
        let patient = http.sign_in(&patient_phone(0), "patient");
        let doctor = http.sign_in(&doctor_phone(0), "doctor");
        let started = http.initiate(&doctor_id(0), &patient_id(0));
        let consultation = text(&started.body["result"]["consultationId"]);
        let found = http.get(&format!("/api/v1/consultations/{consultation}"), &doctor);
        let id = text(&found.body["idDialog"]);
        Self { http, patient, doctor, consultation, id }
    }
}

/// A JSON string.
///
/// # Panics
/// When it is none.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
