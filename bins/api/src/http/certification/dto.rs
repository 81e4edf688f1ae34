//! Certification on the wire.

use domain::doctor::Doctor;
use poem_openapi::Object;

use crate::http::values::{Id, Instant};
use crate::http::words::CertificationState;

/// Where a doctor's certification stands, with the pictures that were submitted.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct CertificationView {
    /// The doctor.
    pub id_doctor: Id,
    /// State of certification.
    pub authenticated: CertificationState,
    /// Name.
    pub name: Option<String>,
    /// Hospital.
    pub hospital: Option<String>,
    /// Department.
    pub department: Option<String>,
    /// Professional title.
    pub title: Option<String>,
    /// Medical qualification certificate, first picture: id of a file.
    pub certificate1: Option<Id>,
    /// Medical qualification certificate, second picture: id of a file.
    pub certificate2: Option<Id>,
    /// Practice licence, first picture: id of a file.
    pub licence1: Option<Id>,
    /// Practice licence, second picture: id of a file.
    pub licence2: Option<Id>,
    /// Why it was rejected or revoked.
    pub reject_reason: Option<String>,
    /// When it was last reviewed.
    pub reviewed_at: Option<Instant>,
    /// When the doctor's record last changed.
    pub updated_at: Instant,
}

impl From<Doctor> for CertificationView {
    fn from(doctor: Doctor) -> Self {
        Self {
            id_doctor: doctor.id.into(),
            authenticated: doctor.certification.into(),
            name: doctor.name,
            hospital: doctor.hospital,
            department: doctor.department,
            title: doctor.title,
            certificate1: doctor.certificate1.map(Id::from),
            certificate2: doctor.certificate2.map(Id::from),
            licence1: doctor.licence1.map(Id::from),
            licence2: doctor.licence2.map(Id::from),
            reject_reason: doctor.reject_reason,
            reviewed_at: doctor.reviewed_at.map(Instant),
            updated_at: Instant(doctor.updated_at),
        }
    }
}
