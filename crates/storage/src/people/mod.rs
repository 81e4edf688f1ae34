//! Patients, doctors and files.

pub(crate) mod doctor;
pub(crate) mod file;
pub(crate) mod patient;
