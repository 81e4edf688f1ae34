//! The doctor and the checks on what may be written into one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::certification::Certification;
use crate::gender::Gender;
use crate::hours::{self, DatedHours, WeeklyWindow};
use crate::id::{AgentId, DoctorId, FileId, UserId};
use crate::money::Fen;
use crate::page::{Page, PageRequest};
use crate::patient::{apply_extra, take};
use crate::{FieldError, Patch, Phone, StoreError, Timestamp, text};

/// A person who answers patients.
#[derive(Debug, Clone, PartialEq)]
pub struct Doctor {
    pub id: DoctorId,
    /// The account that signs in as this doctor.
    pub user_id: Option<UserId>,
    /// WeChat openid in the doctors' app.
    pub openid: Option<String>,
    pub unionid: Option<String>,
    pub name: Option<String>,
    pub gender: Option<Gender>,
    pub phone: Option<Phone>,
    pub icon: Option<FileId>,
    pub hospital: Option<String>,
    pub department: Option<String>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub certification: Certification,
    /// 医师资格证, two pictures.
    pub certificate1: Option<FileId>,
    pub certificate2: Option<FileId>,
    /// 执业证, two pictures.
    pub licence1: Option<FileId>,
    pub licence2: Option<FileId>,
    pub reject_reason: Option<String>,
    pub reviewer: Option<AgentId>,
    pub reviewed_at: Option<Timestamp>,
    /// Whether the doctor wants to be told of consultations at all.
    pub start_consultation: Option<bool>,
    /// Daily hours as written; unreadable imported text is tolerated here.
    pub start_consultation_time: Option<String>,
    pub end_consultation_time: Option<String>,
    /// IANA zone of the hours; the deployment's zone when unset.
    pub timezone: Option<String>,
    /// When not empty, replaces the daily hours.
    pub weekly_hours: Vec<WeeklyWindow>,
    /// Replace everything else on their dates.
    pub hour_exceptions: Vec<DatedHours>,
    pub normal_price: Option<Fen>,
    pub phone_price: Option<Fen>,
    pub is_normal_open: Option<bool>,
    pub is_phone_open: Option<bool>,
    /// Imported fields this product does not model, under their wire names.
    pub extra: Map<String, Value>,
    /// When the account was closed: from then on nobody sees the profile but those who look after the records.
    pub closed_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows by one with every write; a write names the version it read.
    pub version: i64,
}

impl Doctor {
    /// A new doctor with nothing filled in and not certified.
    pub fn new(id: DoctorId, now: Timestamp) -> Self {
        Self {
            id,
            user_id: None,
            openid: None,
            unionid: None,
            name: None,
            gender: None,
            phone: None,
            icon: None,
            hospital: None,
            department: None,
            title: None,
            description: None,
            certification: Certification::None,
            certificate1: None,
            certificate2: None,
            licence1: None,
            licence2: None,
            reject_reason: None,
            reviewer: None,
            reviewed_at: None,
            start_consultation: None,
            start_consultation_time: None,
            end_consultation_time: None,
            timezone: None,
            weekly_hours: Vec::new(),
            hour_exceptions: Vec::new(),
            normal_price: None,
            phone_price: None,
            is_normal_open: None,
            is_phone_open: None,
            extra: Map::new(),
            closed_at: None,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    /// Whether the doctor may be consulted: certified, and still here.
    pub fn is_certified(&self) -> bool {
        self.certification == Certification::Certified && !self.is_closed()
    }

    pub const fn is_closed(&self) -> bool {
        self.closed_at.is_some()
    }

    /// Hides the profile and sets free what the person is reached by. The rest, certification included, is a record and
    /// stays.
    pub fn close(&mut self, now: Timestamp) {
        (self.phone, self.openid, self.unionid) = (None, None, None);
        (self.closed_at, self.updated_at) = (Some(now), now);
    }

    /// Applies a patch after checking every field of it. Certification is not touched: whether the
    /// change calls for a re-review is the `consultation` crate's rule.
    ///
    /// # Errors
    /// All fields at fault at once; the doctor is then unchanged.
    pub fn apply(&mut self, patch: DoctorPatch) -> Result<(), Vec<FieldError>> {
        let mut faults = Vec::new();
        let mut next = self.clone();
        take(&mut faults, patch.name, &mut next.name, |v| text::required("name", &v, crate::patient::MAX_NAME_CHARS));
        take(&mut faults, patch.gender, &mut next.gender, |v| {
            Gender::parse(&v).ok_or_else(|| FieldError::new("gender", "is male, female or unknown"))
        });
        take(&mut faults, patch.icon, &mut next.icon, Ok);
        take(&mut faults, patch.hospital, &mut next.hospital, |v| text::required("hospital", &v, MAX_LINE_CHARS));
        take(&mut faults, patch.department, &mut next.department, |v| text::required("department", &v, MAX_LINE_CHARS));
        take(&mut faults, patch.title, &mut next.title, |v| text::required("title", &v, MAX_LINE_CHARS));
        take(&mut faults, patch.description, &mut next.description, |v| {
            text::bounded("description", &v, MAX_DESCRIPTION_CHARS)
        });
        take(&mut faults, patch.start_consultation, &mut next.start_consultation, Ok);
        take(&mut faults, patch.is_normal_open, &mut next.is_normal_open, Ok);
        take(&mut faults, patch.is_phone_open, &mut next.is_phone_open, Ok);
        take(&mut faults, patch.normal_price_fen, &mut next.normal_price, |v| Fen::new("normalConsultingPrice", v));
        take(&mut faults, patch.phone_price_fen, &mut next.phone_price, |v| Fen::new("phoneConsultingPrice", v));
        take(&mut faults, patch.timezone, &mut next.timezone, |v| check_timezone(&v));
        let writes_hours = !patch.start_consultation_time.is_absent() || !patch.end_consultation_time.is_absent();
        patch.start_consultation_time.apply(&mut next.start_consultation_time);
        patch.end_consultation_time.apply(&mut next.end_consultation_time);
        if writes_hours {
            match hours::check_daily(next.start_consultation_time.as_deref(), next.end_consultation_time.as_deref()) {
                Ok((start, end)) => (next.start_consultation_time, next.end_consultation_time) = (start, end),
                Err(fault) => faults.push(fault),
            }
        }
        let mut weekly = Some(next.weekly_hours);
        take(&mut faults, patch.weekly_hours, &mut weekly, |v| hours::check_weekly(&v));
        next.weekly_hours = weekly.unwrap_or_default();
        let mut dated = Some(next.hour_exceptions);
        take(&mut faults, patch.hour_exceptions, &mut dated, |v| hours::check_dated(&v));
        next.hour_exceptions = dated.unwrap_or_default();
        apply_extra(&mut next.extra, patch.extra);
        if faults.is_empty() {
            *self = next;
            Ok(())
        } else {
            Err(faults)
        }
    }
}

/// What may be changed through a profile.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DoctorPatch {
    pub name: Patch<String>,
    pub gender: Patch<String>,
    pub icon: Patch<FileId>,
    pub hospital: Patch<String>,
    pub department: Patch<String>,
    pub title: Patch<String>,
    pub description: Patch<String>,
    pub start_consultation: Patch<bool>,
    pub start_consultation_time: Patch<String>,
    pub end_consultation_time: Patch<String>,
    pub timezone: Patch<String>,
    pub weekly_hours: Patch<Vec<WeeklyWindow>>,
    pub hour_exceptions: Patch<Vec<DatedHours>>,
    pub normal_price_fen: Patch<i64>,
    pub phone_price_fen: Patch<i64>,
    pub is_normal_open: Patch<bool>,
    pub is_phone_open: Patch<bool>,
    /// Fields this product does not model, by their wire names; `None` removes one.
    pub extra: BTreeMap<String, Option<Value>>,
}

pub const MAX_LINE_CHARS: usize = 100;
pub const MAX_DESCRIPTION_CHARS: usize = 2_000;

fn check_timezone(name: &str) -> Result<String, FieldError> {
    match name.parse::<chrono_tz::Tz>() {
        Ok(zone) => Ok(zone.name().to_owned()),
        Err(_) => Err(FieldError::new("timezone", "is an IANA time zone like Asia/Shanghai")),
    }
}

/// Which doctors somebody looks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DoctorSearch {
    /// Part of name, hospital, department or title.
    pub text: Option<String>,
}

/// Stores doctors.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait DoctorRepository: Send {
    async fn find(&mut self, id: DoctorId) -> Result<Option<Doctor>, StoreError>;
    /// The doctors among `ids` that exist, in no particular order.
    async fn find_all(&mut self, ids: &[DoctorId]) -> Result<Vec<Doctor>, StoreError>;
    /// Like `find_all`, and nobody can change them until the unit ends; locked in id order.
    async fn find_all_shared(&mut self, ids: &[DoctorId]) -> Result<Vec<Doctor>, StoreError>;
    async fn find_by_user(&mut self, user: UserId) -> Result<Option<Doctor>, StoreError>;
    /// The oldest doctor with this phone that no account signs in as yet.
    async fn find_unlinked_by_phone(&mut self, phone: &Phone) -> Result<Option<Doctor>, StoreError>;
    /// Certified doctors whose account is open, newest first.
    async fn search_certified(&mut self, search: &DoctorSearch, page: PageRequest) -> Result<Page<Doctor>, StoreError>;
    /// Doctors in any state of certification, or in the one asked for, closed accounts included; newest first.
    async fn search_all(
        &mut self,
        search: &DoctorSearch,
        state: Option<Certification>,
        page: PageRequest,
    ) -> Result<Page<Doctor>, StoreError>;
    /// Doctors in one state of certification whose account is open, newest first.
    async fn list_by_certification(
        &mut self,
        state: Certification,
        page: PageRequest,
    ) -> Result<Page<Doctor>, StoreError>;
    async fn insert(&mut self, doctor: &Doctor) -> Result<(), StoreError>;
    /// Writes the doctor if its version is still the one read, and bumps it; else [`StoreError::Conflict`].
    async fn update(&mut self, doctor: &Doctor) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doctor() -> Doctor {
        Doctor::new(DoctorId("5daeb07b7b968a0074945056".parse().unwrap()), Timestamp::EPOCH)
    }

    #[test]
    fn a_closed_doctor_is_reached_by_nothing_and_cannot_be_consulted() {
        let mut doctor = doctor();
        (doctor.phone, doctor.openid, doctor.unionid) =
            (Some("13900000000".parse().unwrap()), Some("o".into()), Some("u".into()));
        doctor.certification = Certification::Certified;
        assert!(doctor.is_certified());
        doctor.close(Timestamp::from_millis(5));
        assert_eq!((&doctor.phone, &doctor.openid, &doctor.unionid), (&None, &None, &None));
        assert_eq!((doctor.certification, doctor.is_certified()), (Certification::Certified, false));
    }

    #[test]
    fn hours_are_normalised_and_need_both_sides() {
        let mut doctor = doctor();
        let start_only = DoctorPatch { start_consultation_time: Patch::Set("8:00".into()), ..DoctorPatch::default() };
        assert_eq!(doctor.apply(start_only.clone()).unwrap_err()[0].field, "endConsultationTime");
        let both = DoctorPatch { end_consultation_time: Patch::Set("22：00".into()), ..start_only };
        doctor.apply(both).unwrap();
        assert_eq!(doctor.start_consultation_time.as_deref(), Some("08:00"));
        assert_eq!(doctor.end_consultation_time.as_deref(), Some("22:00"));
    }

    #[test]
    fn an_unrelated_patch_leaves_unreadable_imported_hours_alone() {
        let mut doctor = doctor();
        doctor.start_consultation_time = Some("9点".into());
        doctor.apply(DoctorPatch { title: Patch::Set("主任医师".into()), ..DoctorPatch::default() }).unwrap();
        assert_eq!(doctor.start_consultation_time.as_deref(), Some("9点"));
    }

    #[test]
    fn faults_name_their_fields() {
        let patch = DoctorPatch {
            timezone: Patch::Set("Asia/Nowhere".into()),
            normal_price_fen: Patch::Set(-1),
            ..DoctorPatch::default()
        };
        let faults = doctor().apply(patch).unwrap_err();
        assert_eq!(faults.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(), ["normalConsultingPrice", "timezone"]);
    }
}
