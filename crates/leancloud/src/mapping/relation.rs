//! `DoctorPatientRelation` rows.

use consultation::consultation::Pair;
use consultation::relation::{GROUP_FOLLOWED, GROUP_ORDINARY, Relation};
use domain::id::RelationId;
use serde_json::{Map, Value};

use super::fields::Fields;
use super::{Mapped, Unmappable};
use crate::finding::{Note, Problem};

/// Maps a `DoctorPatientRelation` row.
///
/// # Errors
/// [`Unmappable`] when it has no usable id, doctor or patient.
pub fn map_relation(row: &Map<String, Value>) -> Result<Mapped<Relation>, Unmappable> {
    let mut fields = Fields::new("DoctorPatientRelation", row)?;
    let pair = Pair { doctor: fields.needed("idDoctor", "Doctor")?, patient: fields.needed("idPatient", "Patients")? };
    let (is_followed, groups) = follow_and_groups(&mut fields);
    let relation = Relation {
        tags: fields.texts("tag").unwrap_or_default(),
        remark: fields.text("remark"),
        source: fields.text("source"),
        is_followed,
        groups,
        is_blocked: fields.flag("block").unwrap_or(false),
        credit: fields.text("credit"),
        show_followed_doctor_card: fields.flag("showFollowedDoctorCard").unwrap_or(false),
        latest_consultation_id: fields.reference("latestConsultationId", &["Consultation"]),
        latest_report_id: fields.reference("latestReportId", &[]),
        updated_at: fields.updated_at,
        ..Relation::new(RelationId(fields.id), pair, fields.created_at)
    };
    Ok(fields.finish(|extra| Relation { extra, ..relation }))
}

/// `"2"` is in the groups exactly when the patient is followed. Where the two disagree, `follow` is believed and the
/// original groups are kept; where one is missing, the other decides.
fn follow_and_groups(fields: &mut Fields) -> (bool, Vec<String>) {
    let follow = fields.flag("follow");
    let original = fields.original("group");
    let mut groups = fields.texts("group").unwrap_or_else(|| vec![GROUP_ORDINARY.to_owned()]);
    let is_in_group = groups.iter().any(|group| group == GROUP_FOLLOWED);
    let is_followed = follow.unwrap_or(is_in_group);
    if is_followed != is_in_group {
        groups.retain(|group| group != GROUP_FOLLOWED);
        if is_followed {
            groups.push(GROUP_FOLLOWED.to_owned());
        }
        if let Some(original) = original {
            fields.note(Note::field("group", Problem::FollowDisagrees));
            fields.keep("group", original);
        }
    }
    (is_followed, groups)
}
