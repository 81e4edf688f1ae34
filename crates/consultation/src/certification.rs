//! The steps of certification, as pure functions of the doctor and what is asked.

use domain::certification::Certification;
use domain::doctor::Doctor;
use domain::file::File;
use domain::id::{AgentId, FileId};
use domain::{Coded, ErrorKind, FieldError, Timestamp};

/// A step that the doctor's state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificationError {
    #[error("a doctor in certification state {} cannot be {attempted}", state.as_str())]
    WrongState { state: Certification, attempted: &'static str },
    #[error("at least one picture of the certificate and one of the licence are needed")]
    PicturesMissing(Vec<FieldError>),
}

impl Coded for CertificationError {
    fn code(&self) -> &'static str {
        match self {
            Self::WrongState { .. } => "certification.wrong_state",
            Self::PicturesMissing(_) => "certification.pictures_missing",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::WrongState { .. } => ErrorKind::Conflict,
            Self::PicturesMissing(_) => ErrorKind::Invalid,
        }
    }

    fn fields(&self) -> Vec<FieldError> {
        match self {
            Self::PicturesMissing(faults) => faults.clone(),
            Self::WrongState { .. } => Vec::new(),
        }
    }
}

/// The pictures of a submission; those not sent keep what was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pictures {
    pub certificate1: Option<FileId>,
    pub certificate2: Option<FileId>,
    pub licence1: Option<FileId>,
    pub licence2: Option<FileId>,
}

/// "0" or "3" → "2". Needs at least one certificate and one licence picture.
///
/// # Errors
/// [`CertificationError`]; the doctor is then unchanged.
pub fn submit(doctor: &Doctor, pictures: Pictures) -> Result<Doctor, CertificationError> {
    if !matches!(doctor.certification, Certification::None | Certification::Rejected) {
        return Err(CertificationError::WrongState { state: doctor.certification, attempted: "submitted" });
    }
    let mut next = doctor.clone();
    next.certificate1 = pictures.certificate1.or(doctor.certificate1);
    next.certificate2 = pictures.certificate2.or(doctor.certificate2);
    next.licence1 = pictures.licence1.or(doctor.licence1);
    next.licence2 = pictures.licence2.or(doctor.licence2);
    let mut faults = Vec::new();
    if next.certificate1.or(next.certificate2).is_none() {
        faults.push(FieldError::new("certificate1", "at least one certificate picture is needed"));
    }
    if next.licence1.or(next.licence2).is_none() {
        faults.push(FieldError::new("licence1", "at least one licence picture is needed"));
    }
    if !faults.is_empty() {
        return Err(CertificationError::PicturesMissing(faults));
    }
    next.certification = Certification::UnderReview;
    next.reject_reason = None;
    Ok(next)
}

/// What a reviewer decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// "2" → "1".
    Approve,
    /// "2" → "3".
    Reject { reason: String },
    /// "1" → "0".
    Revoke { reason: String },
}

/// Applies a reviewer's verdict.
///
/// # Errors
/// [`CertificationError::WrongState`]; the doctor is then unchanged.
pub fn review(
    doctor: &Doctor,
    verdict: &Verdict,
    reviewer: AgentId,
    now: Timestamp,
) -> Result<Doctor, CertificationError> {
    let (needed, next_state, attempted) = match verdict {
        Verdict::Approve => (Certification::UnderReview, Certification::Certified, "approved"),
        Verdict::Reject { .. } => (Certification::UnderReview, Certification::Rejected, "rejected"),
        Verdict::Revoke { .. } => (Certification::Certified, Certification::None, "revoked"),
    };
    if doctor.certification != needed {
        return Err(CertificationError::WrongState { state: doctor.certification, attempted });
    }
    let reason = match verdict {
        Verdict::Approve => None,
        Verdict::Reject { reason } | Verdict::Revoke { reason } => Some(reason.clone()),
    };
    Ok(Doctor {
        certification: next_state,
        reject_reason: reason,
        reviewer: Some(reviewer),
        reviewed_at: Some(now),
        ..doctor.clone()
    })
}

/// Whether a change of the profile sends a certified doctor back to review ("1" → "2").
pub fn needs_review_after(before: &Doctor, after: &Doctor) -> bool {
    let identity = |d: &Doctor| (d.name.clone(), d.hospital.clone(), d.department.clone(), d.title.clone());
    let licence = |d: &Doctor| (d.licence1, d.licence2);
    before.is_certified() && (identity(before) != identity(after) || licence(before) != licence(after))
}

/// Pictures must be the submitter's own images.
///
/// # Errors
/// A [`FieldError`] naming `field`.
pub fn check_picture(field: &str, file: &File) -> Result<(), FieldError> {
    if file.mime_type.starts_with("image/") { Ok(()) } else { Err(FieldError::new(field, "must be a picture")) }
}

#[cfg(test)]
mod tests {
    use domain::ObjectId;
    use domain::id::DoctorId;
    use rstest::rstest;

    use super::*;

    fn doctor(state: Certification) -> Doctor {
        let mut doctor = Doctor::new(DoctorId(ObjectId::from_parts(1, [0; 5], 1)), Timestamp::EPOCH);
        doctor.certification = state;
        doctor
    }

    const PICTURE: Option<FileId> = Some(FileId(ObjectId::from_bytes([2; 12])));

    #[rstest]
    #[case(Certification::None, true)]
    #[case(Certification::Rejected, true)]
    #[case(Certification::UnderReview, false)]
    #[case(Certification::Certified, false)]
    fn submitting_leads_to_review_from_none_and_rejected(#[case] from: Certification, #[case] works: bool) {
        let pictures = Pictures { certificate2: PICTURE, licence1: PICTURE, ..Pictures::default() };
        let submitted = submit(&doctor(from), pictures).map(|d| d.certification);
        assert_eq!(submitted.ok(), works.then_some(Certification::UnderReview));
    }

    #[test]
    fn both_kinds_of_picture_are_needed_and_named() {
        let fields = |pictures| submit(&doctor(Certification::None), pictures).unwrap_err().fields();
        assert_eq!(fields(Pictures::default()).len(), 2);
        let only_certificate = Pictures { certificate1: PICTURE, ..Pictures::default() };
        assert_eq!(fields(only_certificate)[0].field, "licence1");
    }

    #[test]
    fn a_resubmission_may_keep_earlier_pictures() {
        let mut rejected = doctor(Certification::Rejected);
        rejected.licence1 = PICTURE;
        let pictures = Pictures { certificate1: PICTURE, ..Pictures::default() };
        assert!(submit(&rejected, pictures).is_ok());
    }

    #[rstest]
    #[case(Certification::UnderReview, Verdict::Approve, Some(Certification::Certified))]
    #[case(Certification::UnderReview, Verdict::Reject { reason: "看不清".into() }, Some(Certification::Rejected))]
    #[case(Certification::Certified, Verdict::Revoke { reason: "过期".into() }, Some(Certification::None))]
    #[case(Certification::None, Verdict::Approve, None)]
    #[case(Certification::Certified, Verdict::Approve, None)]
    #[case(Certification::Rejected, Verdict::Reject { reason: "x".into() }, None)]
    #[case(Certification::UnderReview, Verdict::Revoke { reason: "x".into() }, None)]
    fn verdicts_follow_the_table(
        #[case] from: Certification,
        #[case] verdict: Verdict,
        #[case] to: Option<Certification>,
    ) {
        let reviewer = AgentId(ObjectId::from_parts(1, [0; 5], 3));
        let reviewed = review(&doctor(from), &verdict, reviewer, Timestamp::from_millis(7));
        assert_eq!(reviewed.as_ref().ok().map(|d| d.certification), to);
        if let Ok(d) = reviewed {
            assert_eq!((d.reviewer, d.reviewed_at), (Some(reviewer), Some(Timestamp::from_millis(7))));
        }
    }

    #[test]
    fn only_identity_and_licence_changes_call_for_a_new_review() {
        let before = doctor(Certification::Certified);
        let with = |change: fn(&mut Doctor)| {
            let mut after = before.clone();
            change(&mut after);
            needs_review_after(&before, &after)
        };
        assert!(with(|d| d.name = Some("新".into())));
        assert!(with(|d| d.hospital = Some("新".into())));
        assert!(with(|d| d.department = Some("新".into())));
        assert!(with(|d| d.title = Some("新".into())));
        assert!(with(|d| d.licence2 = PICTURE));
        assert!(!with(|d| d.description = Some("新".into())));
        assert!(!with(|d| d.certificate1 = PICTURE));
        assert!(!needs_review_after(
            &doctor(Certification::None),
            &Doctor { name: Some("新".into()), ..before.clone() }
        ));
    }
}
