//! `Patients` rows.

use domain::id::PatientId;
use domain::patient::{HEIGHT_CM, Patient, WEIGHT_KG};
use serde_json::{Map, Value};

use super::fields::Fields;
use super::{MapContext, Mapped, Unmappable, read};

/// Maps a `Patients` row.
///
/// # Errors
/// [`Unmappable`] when it has no usable id.
pub fn map_patient(row: &Map<String, Value>, context: &MapContext) -> Result<Mapped<Patient>, Unmappable> {
    let mut fields = Fields::new("Patients", row)?;
    let patient = Patient {
        user_id: fields.reference("user", &["_User"]),
        name: fields.text("name"),
        gender: fields.gender(),
        birthday: fields.convert("birthday", |value| read::birthday(value, context)),
        height_cm: fields.convert("height", |value| read::measure(value, &["cm", "厘米"], HEIGHT_CM)),
        weight_kg: fields.convert("weight", |value| read::measure(value, &["kg", "公斤"], WEIGHT_KG)),
        phone: fields.phone("phone"),
        icon: fields.file("icon"),
        location: fields.text("location"),
        unionid: fields.text("unionid"),
        latest_report_id: fields.reference("latestReportId", &[]),
        updated_at: fields.updated_at,
        ..Patient::new(PatientId(fields.id), fields.created_at)
    };
    Ok(fields.finish(|extra| Patient { extra, ..patient }))
}
