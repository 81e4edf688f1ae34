//! Administration: reviewing certifications, looking after agents, oversight, and setting single consultations right.

pub mod accounts;
pub mod agents;
pub mod certifications;
pub mod consultations;
pub mod directory;
pub mod dto;
pub mod oversight;
pub mod sms;
