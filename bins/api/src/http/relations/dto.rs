//! Relations of doctors and patients on the wire.

use consultation::Relation;
use consultation::relation::RelationPatch;
use consultation::service::{RelationWithDoctor, RelationWithPatient};
use poem_openapi::Object;
use poem_openapi::types::MaybeUndefined;

use crate::http::doctors::dto::DoctorCard;
use crate::http::files::links::Links;
use crate::http::patients::dto::PatientSummary;
use crate::http::values::{Id, Instant, patch};

/// A relation as its doctor sees it.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct RelationView {
    /// Id of the relation.
    pub object_id: Id,
    /// The doctor.
    pub id_doctor: Id,
    /// The patient.
    pub id_patient: Id,
    /// The patient's profile.
    pub patient: PatientSummary,
    /// The doctor's tags for the patient.
    pub tag: Vec<String>,
    /// The doctor's remark.
    pub remark: Option<String>,
    /// How the relation began: "0" by scanning the doctor's invitation.
    pub source: Option<String>,
    /// Whether the doctor follows the patient.
    pub follow: bool,
    /// Whether the doctor has blocked the patient.
    pub block: bool,
    /// Groups: "1" ordinary, "2" followed.
    pub group: Vec<String>,
    /// Credit, as imported.
    pub credit: Option<String>,
    /// The newest consultation of the two.
    pub latest_consultation_id: Option<Id>,
    /// The patient's newest report.
    pub latest_report_id: Option<Id>,
    /// When the relation began.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// A relation as its patient sees it: nothing of what the doctor notes.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct DoctorOfPatientView {
    /// Id of the relation.
    pub object_id: Id,
    /// The doctor.
    pub id_doctor: Id,
    /// The patient.
    pub id_patient: Id,
    /// The doctor's card.
    pub doctor: DoctorCard,
    /// How the relation began: "0" by scanning the doctor's invitation.
    pub source: Option<String>,
    /// The newest consultation of the two.
    pub latest_consultation_id: Option<Id>,
    /// When the relation began.
    pub created_at: Instant,
}

/// What a doctor may change of a relation.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct RelationChangePatch {
    /// Tags, each of at most 20 characters; `null` removes all.
    #[oai(validator(max_items = 20, max_length = 20))]
    pub tag: MaybeUndefined<Vec<String>>,
    /// Remark.
    #[oai(validator(max_length = 500))]
    pub remark: MaybeUndefined<String>,
    /// Follows or unfollows; always in step with "2" in `group`.
    pub follow: Option<bool>,
    /// Blocks or unblocks. Blocking ends an open consultation of the two.
    pub block: Option<bool>,
    /// Groups: "1" ordinary, "2" followed.
    #[oai(validator(max_items = 2, max_length = 1))]
    pub group: Option<Vec<String>>,
}

impl RelationView {
    pub fn of(found: RelationWithPatient, links: Links<'_>) -> Self {
        let RelationWithPatient { relation, patient } = found;
        Self {
            object_id: relation.id.into(),
            id_doctor: relation.pair.doctor.into(),
            id_patient: relation.pair.patient.into(),
            patient: PatientSummary::of(patient, links),
            tag: relation.tags,
            remark: relation.remark,
            source: relation.source,
            follow: relation.is_followed,
            block: relation.is_blocked,
            group: relation.groups,
            credit: relation.credit,
            latest_consultation_id: relation.latest_consultation_id.map(Id::from),
            latest_report_id: relation.latest_report_id.map(Id::from),
            created_at: Instant(relation.created_at),
            updated_at: Instant(relation.updated_at),
        }
    }
}

impl DoctorOfPatientView {
    pub fn of(found: RelationWithDoctor, links: Links<'_>) -> Self {
        let RelationWithDoctor { relation, doctor } = found;
        let Relation { id, pair, source, latest_consultation_id, created_at, .. } = relation;
        Self {
            object_id: id.into(),
            id_doctor: pair.doctor.into(),
            id_patient: pair.patient.into(),
            doctor: DoctorCard::of(doctor, links),
            source,
            latest_consultation_id: latest_consultation_id.map(Id::from),
            created_at: Instant(created_at),
        }
    }
}

impl From<RelationChangePatch> for RelationPatch {
    fn from(sent: RelationChangePatch) -> Self {
        Self {
            tags: patch(sent.tag, |v| v),
            remark: patch(sent.remark, |v| v),
            follow: sent.follow,
            block: sent.block,
            groups: sent.group,
        }
    }
}
