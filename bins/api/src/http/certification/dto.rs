//! Certification on the wire.

use domain::doctor::Doctor;
use poem_openapi::types::multipart::Upload;
use poem_openapi::{Multipart, Object};

use crate::http::files::links::{FileRef, Links};
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
    /// Medical qualification certificate, first picture.
    pub certificate1: Option<FileRef>,
    /// Medical qualification certificate, second picture.
    pub certificate2: Option<FileRef>,
    /// Practice licence, first picture.
    pub licence1: Option<FileRef>,
    /// Practice licence, second picture.
    pub licence2: Option<FileRef>,
    /// Why it was rejected or revoked.
    pub reject_reason: Option<String>,
    /// When it was last reviewed.
    pub reviewed_at: Option<Instant>,
    /// When the doctor's record last changed.
    pub updated_at: Instant,
}

/// Pictures for a certification. Those not sent keep what was submitted before.
#[derive(Debug, Multipart)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificationForm {
    /// Medical qualification certificate, first picture.
    pub certificate1: Option<Upload>,
    /// Medical qualification certificate, second picture.
    pub certificate2: Option<Upload>,
    /// Practice licence, first picture.
    pub licence1: Option<Upload>,
    /// Practice licence, second picture.
    pub licence2: Option<Upload>,
}

impl CertificationView {
    pub fn of(doctor: Doctor, links: Links<'_>) -> Self {
        Self {
            id_doctor: doctor.id.into(),
            authenticated: doctor.certification.into(),
            name: doctor.name,
            hospital: doctor.hospital,
            department: doctor.department,
            title: doctor.title,
            certificate1: doctor.certificate1.map(|file| links.file(file)),
            certificate2: doctor.certificate2.map(|file| links.file(file)),
            licence1: doctor.licence1.map(|file| links.file(file)),
            licence2: doctor.licence2.map(|file| links.file(file)),
            reject_reason: doctor.reject_reason,
            reviewed_at: doctor.reviewed_at.map(Instant),
            updated_at: Instant(doctor.updated_at),
        }
    }
}
