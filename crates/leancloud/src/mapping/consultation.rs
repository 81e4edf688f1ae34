//! `Consultation` rows.

use consultation::consultation::{Consultation, Pair};
use consultation::{ConsultationType, EndReason, Status};
use domain::id::{ConsultationId, RelationId};
use serde_json::{Map, Value};

use super::fields::Fields;
use super::{MapContext, Mapped, Unmappable, read};
use crate::finding::{Note, Problem};

/// A consultation whose relation is not resolved yet: the exported reference may be missing or of another pair.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsultationRow {
    /// `relation_id` holds the exported one, or the consultation's own id where there is none.
    pub consultation: Consultation,
    pub relation: Option<RelationId>,
}

/// Maps a `Consultation` row.
///
/// It was started when the row was made. Ended rows end when they were last changed, for a reason LeanCloud did not
/// keep. The deadlines of open rows are counted from the time of the import, not from the row's age: else the first
/// sweep after a migration would end every one of them.
///
/// # Errors
/// [`Unmappable`] when it has no usable id, doctor or patient.
pub fn map_consultation(row: &Map<String, Value>, context: &MapContext) -> Result<Mapped<ConsultationRow>, Unmappable> {
    let mut fields = Fields::new("Consultation", row)?;
    let pair = Pair { doctor: fields.needed("idDoctor", "Doctor")?, patient: fields.needed("idPatient", "Patients")? };
    let is_invalid = fields.flag("isInvalid").unwrap_or(false);
    let status = status(&mut fields, is_invalid);
    let is_ended = status == Status::Ended;
    let policy = &context.policy;
    let counted_from = context.now.max(fields.created_at);
    let relation = fields.reference("idRelation", &["DoctorPatientRelation"]);
    let consultation = Consultation {
        id: ConsultationId(fields.id),
        pair,
        relation_id: relation.unwrap_or(RelationId(fields.id)),
        dialog_id: fields.reference("idDialog", &["_Conversation"]),
        status,
        is_invalid,
        end_reason: is_ended.then_some(EndReason::Imported),
        end_note: None,
        kind: fields.convert("type", kind).unwrap_or_default(),
        price: None,
        latest_report_id: fields.reference("latestReportId", &[]),
        started_at: fields.created_at,
        // There was a reply, at the latest when the row was last changed.
        first_reply_at: (status == Status::Replying).then_some(fields.updated_at),
        last_message_at: None,
        ended_at: is_ended.then_some(fields.updated_at),
        no_reply_deadline: (status == Status::New).then(|| counted_from + policy.no_reply_after),
        idle_deadline: (status == Status::Replying).then(|| counted_from + policy.idle_after),
        is_warned: false,
        off_hours_reply_until: None,
        patient_message_count: 0,
        extra: Map::new(),
        created_at: fields.created_at,
        updated_at: fields.updated_at,
        version: 1,
    };
    Ok(fields.finish(|extra| ConsultationRow { consultation: Consultation { extra, ..consultation }, relation }))
}

/// A status that is missing or not known counts as ended: nothing is owed to anybody then. An invalid consultation is
/// ended here whatever its digit says.
fn status(fields: &mut Fields, is_invalid: bool) -> Status {
    let original = fields.take("status").unwrap_or(Value::Null);
    let read = read::text(&original).ok().and_then(|digit| Status::parse(digit.trim()));
    let problem = match read {
        Some(Status::Ended) => return Status::Ended,
        Some(open) if !is_invalid => return open,
        Some(_) => Problem::InvalidNotEnded,
        None => Problem::UnknownWord,
    };
    fields.note(Note::field("status", problem));
    fields.keep("status", original);
    Status::Ended
}

fn kind(value: &Value) -> Result<ConsultationType, Problem> {
    ConsultationType::parse(read::text(value)?.trim()).ok_or(Problem::UnknownWord)
}
