//! The patient and the checks on what may be written into one.

use std::collections::BTreeMap;

use async_trait::async_trait;
use chrono::NaiveDate;
use serde_json::{Map, Value};

use crate::gender::Gender;
use crate::id::{FileId, PatientId, ReportId, UserId};
use crate::{FieldError, Patch, Phone, StoreError, Timestamp, text};

/// A person who consults doctors (`Patients` on LeanCloud).
#[derive(Debug, Clone, PartialEq)]
pub struct Patient {
    pub id: PatientId,
    /// The account that signs in as this patient.
    pub user_id: Option<UserId>,
    pub name: Option<String>,
    pub gender: Option<Gender>,
    pub birthday: Option<NaiveDate>,
    pub height_cm: Option<f64>,
    pub weight_kg: Option<f64>,
    pub phone: Option<Phone>,
    pub icon: Option<FileId>,
    /// City, free text.
    pub location: Option<String>,
    /// WeChat openid per app name.
    pub openids: Map<String, Value>,
    pub unionid: Option<String>,
    pub latest_report_id: Option<ReportId>,
    /// Imported fields this product does not model, under their wire names.
    pub extra: Map<String, Value>,
    /// When the account was closed: from then on nobody sees the profile but those who look after the records.
    pub closed_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// Grows by one with every write; a write names the version it read.
    pub version: i64,
}

impl Patient {
    /// A new patient with nothing filled in.
    pub fn new(id: PatientId, now: Timestamp) -> Self {
        Self {
            id,
            user_id: None,
            name: None,
            gender: None,
            birthday: None,
            height_cm: None,
            weight_kg: None,
            phone: None,
            icon: None,
            location: None,
            openids: Map::new(),
            unionid: None,
            latest_report_id: None,
            extra: Map::new(),
            closed_at: None,
            created_at: now,
            updated_at: now,
            version: 1,
        }
    }

    pub const fn is_closed(&self) -> bool {
        self.closed_at.is_some()
    }

    /// Hides the profile and sets free what the person is reached by. The rest is a record and stays.
    pub fn close(&mut self, now: Timestamp) {
        (self.phone, self.unionid) = (None, None);
        self.openids.clear();
        (self.closed_at, self.updated_at) = (Some(now), now);
    }

    /// Applies a patch after checking every field of it.
    ///
    /// # Errors
    /// All fields at fault at once; the patient is then unchanged.
    pub fn apply(&mut self, patch: PatientPatch, today: NaiveDate) -> Result<(), Vec<FieldError>> {
        let mut faults = Vec::new();
        let mut next = self.clone();
        take(&mut faults, patch.name, &mut next.name, |v| text::required("name", &v, MAX_NAME_CHARS));
        take(&mut faults, patch.gender, &mut next.gender, |v| {
            Gender::parse(&v).ok_or_else(|| FieldError::new("gender", "is male, female or unknown"))
        });
        take(&mut faults, patch.birthday, &mut next.birthday, |v| check_birthday(&v, today));
        take(&mut faults, patch.height_cm, &mut next.height_cm, |v| check_range("height", v, HEIGHT_CM));
        take(&mut faults, patch.weight_kg, &mut next.weight_kg, |v| check_range("weight", v, WEIGHT_KG));
        take(&mut faults, patch.icon, &mut next.icon, Ok);
        take(&mut faults, patch.location, &mut next.location, |v| text::bounded("location", &v, MAX_LOCATION_CHARS));
        apply_extra(&mut next.extra, patch.extra);
        if faults.is_empty() {
            *self = next;
            Ok(())
        } else {
            Err(faults)
        }
    }
}

/// What may be changed through a profile. The phone changes only by proving the new one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PatientPatch {
    pub name: Patch<String>,
    pub gender: Patch<String>,
    /// `YYYY-MM-DD`.
    pub birthday: Patch<String>,
    pub height_cm: Patch<f64>,
    pub weight_kg: Patch<f64>,
    pub icon: Patch<FileId>,
    pub location: Patch<String>,
    /// Fields this product does not model, by their wire names; `None` removes one.
    pub extra: BTreeMap<String, Option<Value>>,
}

/// Writes and removes unmodelled fields.
pub fn apply_extra(extra: &mut Map<String, Value>, changes: BTreeMap<String, Option<Value>>) {
    for (key, value) in changes {
        match value {
            Some(value) => _ = extra.insert(key, value),
            None => _ = extra.remove(&key),
        }
    }
}

pub const MAX_NAME_CHARS: usize = 50;
pub const MAX_LOCATION_CHARS: usize = 100;
/// Human bounds, inclusive.
pub const HEIGHT_CM: (f64, f64) = (20.0, 280.0);
pub const WEIGHT_KG: (f64, f64) = (0.3, 700.0);

/// Applies one field of a patch, collecting the fault if its check fails.
pub(crate) fn take<T, U>(
    faults: &mut Vec<FieldError>,
    patch: Patch<T>,
    field: &mut Option<U>,
    check: impl FnOnce(T) -> Result<U, FieldError>,
) {
    match patch.try_map(check) {
        Ok(checked) => checked.apply(field),
        Err(fault) => faults.push(fault),
    }
}

/// `YYYY-MM-DD`, not before 1900 and not in the future.
///
/// # Errors
/// A [`FieldError`] naming `birthday`.
pub fn check_birthday(text: &str, today: NaiveDate) -> Result<NaiveDate, FieldError> {
    let is_padded = text.len() == 10;
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| is_padded);
    let date = date.ok_or_else(|| FieldError::new("birthday", "is a date like 1980-01-31"))?;
    if date > today {
        return Err(FieldError::new("birthday", "must not be in the future"));
    }
    if date < NaiveDate::from_ymd_opt(1900, 1, 1).unwrap_or_default() {
        return Err(FieldError::new("birthday", "must not be before 1900"));
    }
    Ok(date)
}

/// # Errors
/// A [`FieldError`] naming `field` when `value` is outside `bounds` or not a number.
pub fn check_range(field: &str, value: f64, bounds: (f64, f64)) -> Result<f64, FieldError> {
    if (bounds.0..=bounds.1).contains(&value) {
        Ok(value)
    } else {
        Err(FieldError::new(field, format!("must be between {} and {}", bounds.0, bounds.1)))
    }
}

/// Stores patients.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PatientRepository: Send {
    async fn find(&mut self, id: PatientId) -> Result<Option<Patient>, StoreError>;
    /// The patients among `ids` that exist, in no particular order.
    async fn find_all(&mut self, ids: &[PatientId]) -> Result<Vec<Patient>, StoreError>;
    async fn find_by_user(&mut self, user: UserId) -> Result<Option<Patient>, StoreError>;
    /// The oldest patient with this phone that no account signs in as yet.
    async fn find_unlinked_by_phone(&mut self, phone: &Phone) -> Result<Option<Patient>, StoreError>;
    async fn insert(&mut self, patient: &Patient) -> Result<(), StoreError>;
    /// Writes the patient if its version is still the one read, and bumps it; else [`StoreError::Conflict`].
    async fn update(&mut self, patient: &Patient) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 23).unwrap()
    }

    fn patient() -> Patient {
        Patient::new(PatientId("5db2cf72f884af0073deb1bc".parse().unwrap()), Timestamp::EPOCH)
    }

    #[test]
    fn birthdays_are_checked_at_the_boundary() {
        assert!(check_birthday("2026-11-23", today()).is_ok());
        for bad in ["2026-11-24", "1899-12-31", "1980-1-1", "1980-02-30", "1980/01/01", ""] {
            assert_eq!(check_birthday(bad, today()).unwrap_err().field, "birthday", "{bad}");
        }
    }

    #[test]
    fn every_fault_is_reported_and_nothing_is_changed() {
        let mut patient = patient();
        let patch = PatientPatch {
            name: Patch::Set("王".into()),
            gender: Patch::Set("x".into()),
            height_cm: Patch::Set(19.9),
            weight_kg: Patch::Set(f64::NAN),
            ..PatientPatch::default()
        };
        let faults = patient.apply(patch, today()).unwrap_err();
        assert_eq!(faults.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(), ["gender", "height", "weight"]);
        assert_eq!(patient.name, None);
    }

    #[test]
    fn a_closed_patient_is_reached_by_nothing_and_keeps_the_record() {
        let mut patient = patient();
        (patient.name, patient.phone, patient.unionid) =
            (Some("王".into()), Some("13900000000".parse().unwrap()), Some("u".into()));
        patient.openids.insert("app".into(), "o".into());
        let now = Timestamp::from_millis(5);
        patient.close(now);
        assert!(patient.is_closed());
        assert_eq!((&patient.phone, &patient.unionid, patient.openids.len()), (&None, &None, 0));
        assert_eq!((patient.name.as_deref(), patient.updated_at), (Some("王"), now));
    }

    #[test]
    fn null_clears_and_absent_keeps() {
        let mut patient = patient();
        patient.name = Some("王".into());
        patient.location = Some("上海".into());
        patient.apply(PatientPatch { location: Patch::Null, ..PatientPatch::default() }, today()).unwrap();
        assert_eq!((patient.name.as_deref(), patient.location), (Some("王"), None));
    }
}
