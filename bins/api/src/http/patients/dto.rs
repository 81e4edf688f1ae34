//! Patients on the wire.

use domain::id::FileId;
use domain::patient::{Patient, PatientPatch};
use domain::{Actor, Phone};
use poem_openapi::Object;
use poem_openapi::types::MaybeUndefined;

use crate::http::files::links::{FileRef, Links};
use crate::http::values::{Date, Id, Instant, patch};
use crate::http::words::Gender;

/// A patient's whole profile.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct PatientView {
    /// The patient's id.
    pub object_id: Id,
    /// Name.
    pub name: Option<String>,
    /// Gender.
    pub gender: Option<Gender>,
    /// Date of birth.
    pub birthday: Option<Date>,
    /// Height in cm.
    pub height: Option<f64>,
    /// Weight in kg.
    pub weight: Option<f64>,
    /// Phone number, E.164; for staff with its middle hidden. Changes only by proving the new number.
    pub phone: Option<String>,
    /// Picture.
    pub icon: Option<FileRef>,
    /// City.
    pub location: Option<String>,
    /// The newest sleep report.
    pub latest_report_id: Option<Id>,
    /// When the account was closed, for those who look after the records.
    pub closed_at: Option<Instant>,
    /// When the profile was made.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// A patient as their doctor sees them.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct PatientSummary {
    /// The patient's id.
    pub object_id: Id,
    /// Name.
    pub name: Option<String>,
    /// Gender.
    pub gender: Option<Gender>,
    /// Date of birth.
    pub birthday: Option<Date>,
    /// Height in cm.
    pub height: Option<f64>,
    /// Weight in kg.
    pub weight: Option<f64>,
    /// Phone number with its middle hidden, e.g. `139****0000`.
    pub phone: Option<String>,
    /// Picture.
    pub icon: Option<FileRef>,
    /// City.
    pub location: Option<String>,
}

/// What a patient may change of the own profile.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct PatientProfilePatch {
    /// Name.
    #[oai(validator(max_length = 50))]
    pub name: MaybeUndefined<String>,
    /// Gender.
    pub gender: MaybeUndefined<Gender>,
    /// Date of birth, not in the future and not before 1900.
    pub birthday: MaybeUndefined<Date>,
    /// Height in cm.
    #[oai(validator(minimum(value = "20"), maximum(value = "280")))]
    pub height: MaybeUndefined<f64>,
    /// Weight in kg.
    #[oai(validator(minimum(value = "0.3"), maximum(value = "700")))]
    pub weight: MaybeUndefined<f64>,
    /// Picture: an image the patient uploaded.
    pub icon: MaybeUndefined<Id>,
    /// City.
    #[oai(validator(max_length = 100))]
    pub location: MaybeUndefined<String>,
}

/// The newest report of a patient.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct LatestReportRequest {
    /// Id of the report.
    pub report_id: Id,
}

/// Staff see numbers masked until they ask for one to be revealed, which is audited.
pub fn phone_for(reader: &Actor, phone: &Phone) -> String {
    if reader.staff().is_some() { phone.masked() } else { phone.as_e164().to_owned() }
}

impl PatientView {
    pub fn of(patient: Patient, reader: &Actor, links: Links<'_>) -> Self {
        Self {
            object_id: patient.id.into(),
            name: patient.name,
            gender: patient.gender.map(Gender::from),
            birthday: patient.birthday.map(Date),
            height: patient.height_cm,
            weight: patient.weight_kg,
            phone: patient.phone.map(|phone| phone_for(reader, &phone)),
            icon: patient.icon.map(|icon| links.file(icon)),
            location: patient.location,
            latest_report_id: patient.latest_report_id.map(Id::from),
            closed_at: patient.closed_at.map(Instant),
            created_at: Instant(patient.created_at),
            updated_at: Instant(patient.updated_at),
        }
    }
}

impl PatientSummary {
    pub fn of(patient: Patient, links: Links<'_>) -> Self {
        Self {
            object_id: patient.id.into(),
            name: patient.name,
            gender: patient.gender.map(Gender::from),
            birthday: patient.birthday.map(Date),
            height: patient.height_cm,
            weight: patient.weight_kg,
            phone: patient.phone.map(|phone| phone.masked()),
            icon: patient.icon.map(|icon| links.file(icon)),
            location: patient.location,
        }
    }
}

impl From<PatientProfilePatch> for PatientPatch {
    fn from(sent: PatientProfilePatch) -> Self {
        Self {
            name: patch(sent.name, |v| v),
            gender: patch(sent.gender, |v| domain::gender::Gender::from(v).as_str().to_owned()),
            birthday: patch(sent.birthday, |v| v.0.to_string()),
            height_cm: patch(sent.height, |v| v),
            weight_kg: patch(sent.weight, |v| v),
            icon: patch(sent.icon, |v| FileId(v.0)),
            location: patch(sent.location, |v| v),
            ..Self::default()
        }
    }
}
