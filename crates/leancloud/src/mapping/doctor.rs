//! `Doctor` rows.

use domain::certification::Certification;
use domain::doctor::Doctor;
use domain::hours::LocalTime;
use domain::id::DoctorId;
use serde_json::{Map, Value};

use super::fields::Fields;
use super::{Mapped, Unmappable, read};
use crate::finding::{Note, Problem};

const START: &str = "startConsultationTime";
const END: &str = "endConsultationTime";

/// Maps a `Doctor` row.
///
/// # Errors
/// [`Unmappable`] when it has no usable id.
pub fn map_doctor(row: &Map<String, Value>) -> Result<Mapped<Doctor>, Unmappable> {
    let mut fields = Fields::new("Doctor", row)?;
    let (start, end) = hours(&mut fields);
    let doctor = Doctor {
        user_id: fields.reference("user", &["_User"]),
        openid: fields.text("openid"),
        unionid: fields.text("unionid"),
        name: fields.text("name"),
        gender: fields.gender(),
        phone: fields.phone("phone"),
        icon: fields.file("icon"),
        hospital: fields.text("hospital"),
        department: fields.text("department"),
        title: fields.text("title"),
        description: fields.text("description"),
        certification: fields.convert("authenticated", certification).unwrap_or_default(),
        certificate1: fields.file("certificate1"),
        certificate2: fields.file("certificate2"),
        licence1: fields.file("licence1"),
        licence2: fields.file("licence2"),
        start_consultation: fields.flag("startConsultation"),
        start_consultation_time: start,
        end_consultation_time: end,
        normal_price: fields.price("normalConsultingPrice"),
        phone_price: fields.price("phoneConsultingPrice"),
        is_normal_open: fields.flag("isNormalConsultingOpen"),
        is_phone_open: fields.flag("isPhoneConsultingOpen"),
        updated_at: fields.updated_at,
        ..Doctor::new(DoctorId(fields.id), fields.created_at)
    };
    Ok(fields.finish(|extra| Doctor { extra, ..doctor }))
}

/// Unknown words count as not certified; nobody becomes a doctor by a typing error.
fn certification(value: &Value) -> Result<Certification, Problem> {
    Certification::parse(read::text(value)?.trim()).ok_or(Problem::UnknownWord)
}

/// Both texts as written: what cannot be read is tolerated by the hours' rules and counts as open there.
fn hours(fields: &mut Fields) -> (Option<String>, Option<String>) {
    let (start, end) = (fields.text(START), fields.text(END));
    let written = |text: &Option<String>| text.as_deref().map(str::trim).unwrap_or_default().to_owned();
    let (start_text, end_text) = (written(&start), written(&end));
    let is_unset = start_text.is_empty() && end_text.is_empty();
    if !is_unset && LocalTime::parse_start(&start_text).is_none() {
        fields.note(Note::field(START, Problem::BadHours));
    }
    if !is_unset && LocalTime::parse_end(&end_text).is_none() {
        fields.note(Note::field(END, Problem::BadHours));
    }
    (start, end)
}
