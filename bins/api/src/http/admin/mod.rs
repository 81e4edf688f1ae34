//! Administration: reviewing certifications, and setting single consultations right.

pub mod certifications;
pub mod consultations;
pub mod dto;
