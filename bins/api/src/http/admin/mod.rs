//! Administration: reviewing certifications, looking after agents, and setting single consultations right.

pub mod agents;
pub mod certifications;
pub mod consultations;
pub mod dto;
