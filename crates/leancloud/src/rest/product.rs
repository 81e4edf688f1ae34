//! Writing to the classes of the product: what a client sets becomes a call of the product's own use cases, with
//! their checks. Fields the product does not model are kept beside; what it decides itself cannot be set.

use std::collections::BTreeMap;

use account::sign_in::Role;
use consultation::certification::Pictures;
use consultation::relation::RelationPatch;
use domain::actor::UserActor;
use domain::doctor::DoctorPatch;
use domain::gender::Gender;
use domain::id::{DoctorId, FileId, PatientId, RelationId};
use domain::money::Fen;
use domain::patient::PatientPatch;
use domain::{Actor, ObjectId, Patch};
use serde_json::{Map, Value, json};

use super::objects::{Caller, Created, Rest, one};
use super::sealed::conditions;
use super::shape::Shape;
use super::{ClassKind, ClientViewer, RestError, Viewer};
use crate::ops::Changes;
use crate::query::{Clause, Params, Where};
use crate::value::{Path, file_id};

/// What of a patient the owner may set.
const PATIENT_FIELDS: [&str; 7] = ["name", "gender", "birthday", "height", "weight", "icon", "location"];
/// What of a patient the product decides.
const PATIENT_FIXED: [&str; 5] = ["phone", "unionid", "user", "latestReportId", "openid"];
const DOCTOR_FIELDS: [&str; 14] = [
    "name",
    "gender",
    "icon",
    "hospital",
    "department",
    "title",
    "description",
    "startConsultation",
    "startConsultationTime",
    "endConsultationTime",
    "normalConsultingPrice",
    "phoneConsultingPrice",
    "isNormalConsultingOpen",
    "isPhoneConsultingOpen",
];
const DOCTOR_FIXED: [&str; 5] = ["phone", "openid", "unionid", "user", "rejectReason"];
pub(super) const PICTURES: [&str; 4] = ["certificate1", "certificate2", "licence1", "licence2"];
pub(super) const RELATION_FIELDS: [&str; 5] = ["tag", "remark", "follow", "block", "group"];
pub(super) const CARD: &str = "showFollowedDoctorCard";
pub(super) const AUTHENTICATED: &str = "authenticated";
const UNDER_REVIEW: &str = "2";

impl Rest {
    /// Makes the caller's own profile. Accounts, consultations and relations begin elsewhere.
    pub(super) async fn create_in_product(
        &self,
        caller: &Caller,
        kind: ClassKind,
        class: &str,
        body: Map<String, Value>,
        params: &Params,
    ) -> Result<Created, RestError> {
        let role = match kind {
            ClassKind::User => return self.create_user(caller, body, params).await,
            _ if caller.viewer.is_master() => return self.create_by_master(caller, kind, class, body, params).await,
            ClassKind::Patient => Role::Patient,
            ClassKind::Doctor => Role::Doctor,
            _ => return Err(RestError::NotFromClients),
        };
        let is_new = match caller.actor {
            Actor::User(_) => self.ports.accounts.open_profile(&caller.actor, role).await?,
            _ => return Err(RestError::WriteForbidden),
        };
        let (caller, id) = self.with_profiles(caller, role).await?;
        let mut unit = self.ports.store.read();
        let document = one(unit.as_mut(), &caller.viewer, class, id).await?.ok_or(RestError::NotFound)?;
        // A profile that nobody filled in yet is filled in now.
        if !is_new && document.fields.contains_key("name") {
            return Err(RestError::Duplicate);
        }
        if !body.is_empty() {
            self.update_in_product(&caller, kind, class, id, body, &Params::default()).await?;
        }
        let answer = if params.wants_new {
            let whole = one(unit.as_mut(), &caller.viewer, class, id).await?.ok_or(RestError::NotFound)?;
            self.rendered(&caller, whole, &Shape::default()).await?
        } else {
            json!({ "objectId": id.to_string(), "createdAt": document.created_at.to_rfc3339() })
        };
        Ok(Created { id, answer })
    }

    /// The caller as it is once it has its profiles, and the id of one of them.
    async fn with_profiles(&self, caller: &Caller, role: Role) -> Result<(Caller, ObjectId), RestError> {
        let user = caller.actor.require_user().map_err(account::AccountError::from)?;
        let patient = self.ports.accounts.me(&caller.actor).await?;
        let account::profile::Me::User { patient, doctor, .. } = patient else { return Err(RestError::NotFound) };
        let (patient, doctor) = (patient.map(|p| p.id), doctor.map(|d| d.id));
        let id = match role {
            Role::Patient => patient.map(|id| id.0),
            Role::Doctor => doctor.map(|id| id.0),
        };
        let actor = Actor::User(UserActor { patient, doctor, ..user.clone() });
        let viewer = match &caller.viewer {
            Viewer::Client(client) => Viewer::Client(ClientViewer { patient, doctor, ..client.clone() }),
            Viewer::Master => Viewer::Master,
        };
        Ok((Caller { actor, viewer, ..caller.clone() }, id.ok_or(RestError::NotFound)?))
    }

    /// Changes a row of the product through its own rules.
    pub(super) async fn update_in_product(
        &self,
        caller: &Caller,
        kind: ClassKind,
        class: &str,
        id: ObjectId,
        body: Map<String, Value>,
        params: &Params,
    ) -> Result<Value, RestError> {
        if kind == ClassKind::User {
            return self.update_user(caller, id, body, params).await;
        }
        let changes = Changes::parse(body)?;
        let mut unit = self.ports.store.read();
        let viewer = &caller.viewer;
        let before =
            one(unit.as_mut(), viewer, class, id).await?.ok_or_else(|| RestError::MissingRow(id.to_string()))?;
        let condition = conditions(class, params)?;
        if !condition.0.is_empty() {
            let only = Clause::Field {
                path: Path::parse("objectId")?,
                test: crate::query::Test::Equals(json!(id.to_string())),
            };
            let both = Where(vec![only, Clause::All(vec![condition])]);
            if unit.documents().count(viewer, class, &both).await? == 0 {
                return Err(RestError::ConditionUnmet);
            }
        }
        let edit = Edit::of(before.fields, &changes)?;
        match kind {
            _ if viewer.is_master() => self.write_by_master(caller, kind, id, &edit).await?,
            ClassKind::Patient => self.write_patient(caller, PatientId(id), &edit).await?,
            ClassKind::Doctor => self.write_doctor(caller, DoctorId(id), &edit).await?,
            ClassKind::Relation => self.write_relation(caller, RelationId(id), &edit).await?,
            // A consultation changes by what its parties do, never by being written.
            _ => return Err(RestError::NotFromClients),
        }
        let after =
            one(unit.as_mut(), viewer, class, id).await?.ok_or_else(|| RestError::MissingRow(id.to_string()))?;
        self.updated_answer(caller, after, &changes, params).await
    }

    async fn write_patient(&self, caller: &Caller, id: PatientId, edit: &Edit) -> Result<(), RestError> {
        if !caller.actor.is_patient(id) {
            return Err(RestError::AclForbidden);
        }
        edit.refuse(&PATIENT_FIXED)?;
        let patch = edit.patient_patch(&PATIENT_FIXED)?;
        self.ports.accounts.patch_own_patient(&caller.actor, patch).await?;
        Ok(())
    }

    async fn write_doctor(&self, caller: &Caller, id: DoctorId, edit: &Edit) -> Result<(), RestError> {
        if !caller.actor.is_doctor(id) {
            return Err(RestError::AclForbidden);
        }
        edit.refuse(&DOCTOR_FIXED)?;
        let submits = PICTURES.iter().any(|key| edit.is_changed(key));
        // Clients that submit their certificates set the state such a submission leads to; nobody sets another.
        let is_submission = submits && edit.after.get(AUTHENTICATED).and_then(Value::as_str) == Some(UNDER_REVIEW);
        if edit.is_changed(AUTHENTICATED) && !is_submission {
            return Err(RestError::NotFromClients);
        }
        let fixed = doctor_fixed();
        let patch = edit.doctor_patch(&fixed)?;
        if patch != DoctorPatch::default() {
            self.ports.doctors.update(&caller.actor, id, patch).await?;
        }
        if submits {
            let pictures = Pictures {
                certificate1: edit.picture("certificate1")?,
                certificate2: edit.picture("certificate2")?,
                licence1: edit.picture("licence1")?,
                licence2: edit.picture("licence2")?,
            };
            self.ports.certifications.submit(&caller.actor, id, pictures).await?;
        }
        Ok(())
    }

    async fn write_relation(&self, caller: &Caller, id: RelationId, edit: &Edit) -> Result<(), RestError> {
        let is_own = |key: &&str| RELATION_FIELDS.contains(key);
        if edit.is_own_relation_of(caller) {
            if !edit.changed().all(|key| is_own(&key)) {
                return Err(RestError::NotFromClients);
            }
            let patch = edit.relation_patch()?;
            self.ports.relations.update(&caller.actor, id, patch).await?;
            return Ok(());
        }
        // A patient takes note of the card; nothing else of a relation is the patient's.
        let takes_card = edit.changed().all(|key| key == CARD) && edit.flag(CARD)? == Patch::Set(false);
        match caller.actor.patient().filter(|_| takes_card) {
            Some(patient) => _ = self.ports.relations.take_cards(&caller.actor, patient).await?,
            None if edit.changed().next().is_none() => {}
            None => return Err(RestError::NotFromClients),
        }
        Ok(())
    }
}

/// What of a doctor is neither the owner's to write nor unmodelled.
pub(super) fn doctor_fixed() -> Vec<&'static str> {
    [&DOCTOR_FIXED[..], &PICTURES[..], &[AUTHENTICATED]].concat()
}

pub(super) fn set<T>(patch: Patch<T>) -> Option<T> {
    match patch {
        Patch::Set(value) => Some(value),
        _ => None,
    }
}

/// A row before and after what a client wants of it.
pub(super) struct Edit {
    before: Map<String, Value>,
    after: Map<String, Value>,
    touched: Vec<String>,
}

impl Edit {
    pub(super) fn of(before: Map<String, Value>, changes: &Changes) -> Result<Self, RestError> {
        let mut after = before.clone();
        if !changes.apply(&mut after)?.is_empty() {
            return Err(RestError::wrong_type("this class has no relations"));
        }
        Ok(Self { before, after, touched: changes.touched().map(str::to_owned).collect() })
    }

    /// What the owner of a patient's profile may write; `fixed` are the fields that are neither theirs nor unmodelled.
    pub(super) fn patient_patch(&self, fixed: &[&str]) -> Result<PatientPatch, RestError> {
        let mut extra = self.others(&PATIENT_FIELDS, fixed);
        Ok(PatientPatch {
            name: self.text("name")?,
            gender: self.gender(&mut extra)?,
            birthday: self.text("birthday")?,
            height_cm: self.number("height")?,
            weight_kg: self.number("weight")?,
            icon: self.file("icon")?,
            location: self.text("location")?,
            extra,
        })
    }

    /// The same of a doctor's.
    pub(super) fn doctor_patch(&self, fixed: &[&str]) -> Result<DoctorPatch, RestError> {
        let mut extra = self.others(&DOCTOR_FIELDS, fixed);
        Ok(DoctorPatch {
            name: self.text("name")?,
            gender: self.gender(&mut extra)?,
            icon: self.file("icon")?,
            hospital: self.text("hospital")?,
            department: self.text("department")?,
            title: self.text("title")?,
            description: self.text("description")?,
            start_consultation: self.flag("startConsultation")?,
            start_consultation_time: self.text("startConsultationTime")?,
            end_consultation_time: self.text("endConsultationTime")?,
            normal_price_fen: self.price("normalConsultingPrice")?,
            phone_price_fen: self.price("phoneConsultingPrice")?,
            is_normal_open: self.flag("isNormalConsultingOpen")?,
            is_phone_open: self.flag("isPhoneConsultingOpen")?,
            extra,
            ..DoctorPatch::default()
        })
    }

    /// What the doctor of a relation may write.
    pub(super) fn relation_patch(&self) -> Result<RelationPatch, RestError> {
        Ok(RelationPatch {
            tags: self.texts("tag")?,
            remark: self.text("remark")?,
            follow: set(self.flag("follow")?),
            block: set(self.flag("block")?),
            groups: set(self.texts("group")?),
        })
    }

    fn is_changed(&self, key: &str) -> bool {
        self.before.get(key) != self.after.get(key)
    }

    /// The fields that become something else.
    fn changed(&self) -> impl Iterator<Item = &str> {
        self.touched.iter().map(String::as_str).filter(|key| self.is_changed(key))
    }

    fn is_own_relation_of(&self, caller: &Caller) -> bool {
        let doctor = self.before.get("idDoctor").and_then(crate::value::as_pointer);
        doctor.is_some_and(|doctor| caller.actor.is_doctor(DoctorId(doctor.id)))
    }

    pub(super) fn refuse(&self, fixed: &[&str]) -> Result<(), RestError> {
        if self.changed().any(|key| fixed.contains(&key)) { Err(RestError::NotFromClients) } else { Ok(()) }
    }

    /// What becomes of the fields the product does not model.
    pub(super) fn others(&self, modelled: &[&str], fixed: &[&str]) -> BTreeMap<String, Option<Value>> {
        let is_other = |key: &&str| !modelled.contains(key) && !fixed.contains(key);
        self.changed().filter(is_other).map(|key| (key.to_owned(), self.after.get(key).cloned())).collect()
    }

    pub(super) fn patch<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
        expected: &str,
    ) -> Result<Patch<T>, RestError> {
        if !self.is_changed(key) {
            return Ok(Patch::Absent);
        }
        match self.after.get(key) {
            None | Some(Value::Null) => Ok(Patch::Null),
            Some(value) => {
                read(value).map(Patch::Set).ok_or_else(|| RestError::wrong_type(format!("'{key}' is {expected}")))
            }
        }
    }

    pub(super) fn text(&self, key: &'static str) -> Result<Patch<String>, RestError> {
        self.patch(key, |value| value.as_str().map(str::to_owned), "a text")
    }

    pub(super) fn flag(&self, key: &'static str) -> Result<Patch<bool>, RestError> {
        self.patch(key, Value::as_bool, "true or false")
    }

    /// A number, also written out.
    fn number(&self, key: &'static str) -> Result<Patch<f64>, RestError> {
        let read = |value: &Value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
        self.patch(key, read, "a number")
    }

    fn price(&self, key: &'static str) -> Result<Patch<i64>, RestError> {
        let yuan = |value: &Value| Fen::from_yuan(value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?);
        self.patch(key, |value| yuan(value).map(Fen::as_fen), "a number of yuan")
    }

    pub(super) fn file(&self, key: &'static str) -> Result<Patch<FileId>, RestError> {
        self.patch(key, |value| file_id(value).map(FileId), "a file")
    }

    fn picture(&self, key: &'static str) -> Result<Option<FileId>, RestError> {
        match self.file(key)? {
            Patch::Set(id) => Ok(Some(id)),
            Patch::Absent => Ok(None),
            Patch::Null => Err(RestError::NotFromClients),
        }
    }

    fn texts(&self, key: &'static str) -> Result<Patch<Vec<String>>, RestError> {
        let read = |value: &Value| {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        };
        self.patch(key, read, "a list of texts")
    }

    /// The stored word of a gender; the client's own word is kept beside it.
    fn gender(&self, extra: &mut BTreeMap<String, Option<Value>>) -> Result<Patch<String>, RestError> {
        let written = self.text("gender")?;
        if !written.is_absent() {
            extra.insert("gender".into(), None);
        }
        Ok(match written {
            Patch::Set(text) => {
                let word = Gender::from_free_text(&text).as_str();
                if word != text {
                    extra.insert("gender".into(), Some(text.into()));
                }
                Patch::Set(word.to_owned())
            }
            other => other,
        })
    }
}
