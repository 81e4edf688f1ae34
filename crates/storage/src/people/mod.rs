//! Patients, doctors and files.

mod doctor;
mod file;
mod patient;
