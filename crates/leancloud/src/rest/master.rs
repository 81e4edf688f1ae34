//! Writing to the classes of the product with the master key: everything a row holds, checked for what it says. What follows
//! from other rows, like who the parties of a consultation are, is not written.

use consultation::consultation::Pair;
use consultation::service::{ConsultationFacts, DoctorFacts, Initiate, PatientFacts, RelationFacts};
use consultation::{ConsultationError, ConsultationType, Status};
use domain::certification::Certification;
use domain::id::{ConsultationId, DoctorId, PatientId, RelationId, ReportId, UserId};
use domain::{ObjectId, Patch};
use serde_json::{Map, Value, json};

use super::objects::{Caller, Created, Rest, one};
use super::product::{AUTHENTICATED, CARD, Edit, RELATION_FIELDS, doctor_fixed, set};
use super::shape::Shape;
use super::users::checked_phone;
use super::{ClassKind, RestError};
use crate::ops::Changes;
use crate::query::Params;
use crate::value::as_pointer;

const PATIENT_FACTS: [&str; 4] = ["user", "phone", "unionid", "latestReportId"];
const RELATION_FACTS: [&str; 4] = ["source", "credit", CARD, "latestReportId"];
/// Who a relation or a consultation is about, which is said once.
const PAIR: [&str; 2] = ["idDoctor", "idPatient"];
/// What of a relation follows from other rows.
const RELATION_DERIVED: [&str; 1] = ["latestConsultationId"];
const CONSULTATION_FACTS: [&str; 3] = ["status", "isInvalid", "latestReportId"];
const KIND: &str = "type";
/// What of a consultation follows from other rows.
const CONSULTATION_DERIVED: [&str; 7] =
    ["idRelation", "idDialog", "price", "startedAt", "firstReplyAt", "endedAt", "endReason"];

impl Rest {
    /// Makes a row of the product; a consultation by the rules of `initiateConsultation`.
    pub(super) async fn create_by_master(
        &self,
        caller: &Caller,
        kind: ClassKind,
        class: &str,
        body: Map<String, Value>,
        params: &Params,
    ) -> Result<Created, RestError> {
        let edit = Edit::of(Map::new(), &Changes::parse(body)?)?;
        let id = self.insert_by_master(caller, kind, &edit).await.map_err(|error| match error {
            RestError::Consultation(ConsultationError::Conflict) => RestError::Duplicate,
            other => other,
        })?;
        let mut unit = self.ports.store.read();
        let made = one(unit.as_mut(), &caller.viewer, class, id).await?.ok_or(RestError::NotFound)?;
        let answer = if params.wants_new {
            self.rendered(caller, made, &Shape::default()).await?
        } else {
            json!({ "objectId": id.to_string(), "createdAt": made.created_at.to_rfc3339() })
        };
        Ok(Created { id, answer })
    }

    async fn insert_by_master(&self, caller: &Caller, kind: ClassKind, edit: &Edit) -> Result<ObjectId, RestError> {
        let (registry, actor) = (&self.ports.registry, &caller.actor);
        match kind {
            ClassKind::Patient => {
                let (patch, facts) = (edit.patient_patch(&PATIENT_FACTS)?, edit.patient_facts()?);
                Ok(registry.write_patient(actor, None, patch, facts).await?.id.0)
            }
            ClassKind::Doctor => {
                let (patch, facts) = (edit.doctor_patch(&doctor_fixed())?, edit.doctor_facts()?);
                Ok(registry.write_doctor(actor, None, patch, facts).await?.id.0)
            }
            ClassKind::Relation => {
                edit.refuse(&RELATION_DERIVED)?;
                let pair = edit.pair()?;
                let (patch, facts) = (edit.relation_patch()?, edit.relation_facts()?);
                Ok(registry.create_relation(actor, pair, patch, facts).await?.id.0)
            }
            ClassKind::Consultation => {
                edit.refuse(&CONSULTATION_DERIVED)?;
                let pair = edit.pair()?;
                let call =
                    Initiate { actor: actor.clone(), doctor: pair.doctor, patient: pair.patient, kind: edit.kind()? };
                let facts = edit.consultation_facts()?;
                let id = registry.create_consultation(actor, call).await?.consultation_id;
                if facts != ConsultationFacts::default() {
                    registry.write_consultation(actor, id, facts).await?;
                }
                Ok(id.0)
            }
            _ => Err(RestError::NotFromClients),
        }
    }

    /// Changes a row of the product.
    pub(super) async fn write_by_master(
        &self,
        caller: &Caller,
        kind: ClassKind,
        id: ObjectId,
        edit: &Edit,
    ) -> Result<(), RestError> {
        let (registry, actor) = (&self.ports.registry, &caller.actor);
        match kind {
            ClassKind::Patient => {
                let (patch, facts) = (edit.patient_patch(&PATIENT_FACTS)?, edit.patient_facts()?);
                registry.write_patient(actor, Some(PatientId(id)), patch, facts).await?;
            }
            ClassKind::Doctor => {
                let (patch, facts) = (edit.doctor_patch(&doctor_fixed())?, edit.doctor_facts()?);
                registry.write_doctor(actor, Some(DoctorId(id)), patch, facts).await?;
            }
            ClassKind::Relation => {
                edit.refuse(&relation_fixed())?;
                let (patch, facts) = (edit.relation_patch()?, edit.relation_facts()?);
                registry.write_relation(actor, RelationId(id), patch, facts).await?;
            }
            ClassKind::Consultation => {
                edit.refuse(&consultation_fixed())?;
                registry.write_consultation(actor, ConsultationId(id), edit.consultation_facts()?).await?;
            }
            _ => return Err(RestError::NotFromClients),
        }
        Ok(())
    }
}

fn relation_fixed() -> Vec<&'static str> {
    [&PAIR[..], &RELATION_DERIVED[..]].concat()
}

fn consultation_fixed() -> Vec<&'static str> {
    [&PAIR[..], &CONSULTATION_DERIVED[..], &[KIND]].concat()
}

impl Edit {
    fn patient_facts(&self) -> Result<PatientFacts, RestError> {
        Ok(PatientFacts {
            user: self.user()?,
            phone: self.text("phone")?.try_map(|phone| checked_phone(&phone))?,
            unionid: self.text("unionid")?,
            latest_report: self.report()?,
        })
    }

    fn doctor_facts(&self) -> Result<DoctorFacts, RestError> {
        let state = |value: &Value| Certification::parse(value.as_str()?);
        Ok(DoctorFacts {
            user: self.user()?,
            phone: self.text("phone")?.try_map(|phone| checked_phone(&phone))?,
            openid: self.text("openid")?,
            unionid: self.text("unionid")?,
            certification: match self.patch(AUTHENTICATED, state, "one of \"0\", \"1\", \"2\", \"3\"")? {
                Patch::Set(state) => Some(state),
                Patch::Null => Some(Certification::None),
                Patch::Absent => None,
            },
            reject_reason: self.text("rejectReason")?,
            certificate1: self.file("certificate1")?,
            certificate2: self.file("certificate2")?,
            licence1: self.file("licence1")?,
            licence2: self.file("licence2")?,
        })
    }

    fn relation_facts(&self) -> Result<RelationFacts, RestError> {
        let others = [&RELATION_FACTS[..], &relation_fixed()].concat();
        Ok(RelationFacts {
            source: self.text("source")?,
            credit: self.text("credit")?,
            shows_card: set(self.flag(CARD)?),
            latest_report: self.report()?,
            extra: self.others(&RELATION_FIELDS, &others),
        })
    }

    fn consultation_facts(&self) -> Result<ConsultationFacts, RestError> {
        let status = |value: &Value| Status::parse(value.as_str()?);
        Ok(ConsultationFacts {
            status: set(self.patch("status", status, "one of \"0\", \"1\", \"2\"")?),
            is_invalid: set(self.flag("isInvalid")?),
            latest_report: self.report()?,
            extra: self.others(&CONSULTATION_FACTS, &consultation_fixed()),
        })
    }

    fn user(&self) -> Result<Patch<UserId>, RestError> {
        self.patch("user", |value| pointed_at(value, "_User").map(UserId), "a pointer to a _User")
    }

    fn report(&self) -> Result<Patch<ReportId>, RestError> {
        self.patch("latestReportId", |value| value.as_str()?.parse().ok(), "an id")
    }

    fn kind(&self) -> Result<ConsultationType, RestError> {
        let read = |value: &Value| ConsultationType::parse(value.as_str()?);
        Ok(set(self.patch(KIND, read, "\"normal\" or \"phone\"")?).unwrap_or_default())
    }

    /// The doctor and patient that a new row is about.
    fn pair(&self) -> Result<Pair, RestError> {
        let [doctor, patient] = PAIR;
        let of = |key, class| self.patch(key, |value| pointed_at(value, class), "a pointer");
        Ok(Pair {
            doctor: DoctorId(set(of(doctor, "Doctor")?).ok_or(RestError::MissingField(doctor))?),
            patient: PatientId(set(of(patient, "Patients")?).ok_or(RestError::MissingField(patient))?),
        })
    }
}

/// The id of an object of a class that a value points to.
fn pointed_at(value: &Value, class: &str) -> Option<ObjectId> {
    as_pointer(value).filter(|pointer| pointer.class == class).map(|pointer| pointer.id)
}
