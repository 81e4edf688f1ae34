//! Building patients.

use domain::patient::Patient;
use domain::{Phone, Timestamp};

use super::{patient_id, user_id};
use crate::clock::MONDAY_MORNING;

/// See [`patient`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `done`"]
pub struct PatientBuilder(Patient);

/// A patient with nothing filled in, made at [`MONDAY_MORNING`].
pub fn patient(n: u32) -> PatientBuilder {
    PatientBuilder(Patient::new(patient_id(n), MONDAY_MORNING))
}

impl PatientBuilder {
    pub fn done(self) -> Patient {
        self.0
    }

    pub fn name(mut self, name: &str) -> Self {
        self.0.name = Some(name.to_owned());
        self
    }

    pub fn phone(mut self, phone: Phone) -> Self {
        self.0.phone = Some(phone);
        self
    }

    /// Signs in with the account `user_id(n)`.
    pub fn user(mut self, n: u32) -> Self {
        self.0.user_id = Some(user_id(n));
        self
    }

    pub fn created_at(mut self, at: Timestamp) -> Self {
        self.0.created_at = at;
        self.0.updated_at = at;
        self
    }
}
