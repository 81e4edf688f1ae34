//! Building doctors.

use domain::certification::Certification;
use domain::doctor::Doctor;
use domain::money::Fen;
use domain::{Phone, Timestamp};

use super::{doctor_id, user_id};
use crate::clock::MONDAY_MORNING;

/// See [`doctor`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `done`"]
pub struct DoctorBuilder(Doctor);

/// A doctor with nothing filled in, not certified, made at [`MONDAY_MORNING`].
pub fn doctor(n: u32) -> DoctorBuilder {
    DoctorBuilder(Doctor::new(doctor_id(n), MONDAY_MORNING))
}

impl DoctorBuilder {
    pub fn done(self) -> Doctor {
        self.0
    }

    /// Certified, wants to be told of consultations, open for normal consultations, reachable by WeChat.
    pub fn certified(mut self) -> Self {
        self.0.certification = Certification::Certified;
        self.0.start_consultation = Some(true);
        self.0.is_normal_open = Some(true);
        let id = self.0.id;
        self.0.openid.get_or_insert_with(|| format!("openid-of-{id}"));
        self
    }

    pub fn certification(mut self, state: Certification) -> Self {
        self.0.certification = state;
        self
    }

    /// Daily hours, as written.
    pub fn hours(mut self, start: &str, end: &str) -> Self {
        self.0.start_consultation_time = Some(start.to_owned());
        self.0.end_consultation_time = Some(end.to_owned());
        self
    }

    /// Wants to be told of consultations, or not.
    pub fn consulting(mut self, on: bool) -> Self {
        self.0.start_consultation = Some(on);
        self
    }

    pub fn phone_open(mut self, open: bool) -> Self {
        self.0.is_phone_open = Some(open);
        self
    }

    pub fn normal_open(mut self, open: bool) -> Self {
        self.0.is_normal_open = Some(open);
        self
    }

    /// Prices of normal and phone consultations, in fen.
    pub fn prices(mut self, normal: i64, phone: i64) -> Self {
        self.0.normal_price = Some(Fen::from_stored(normal));
        self.0.phone_price = Some(Fen::from_stored(phone));
        self
    }

    pub fn name(mut self, name: &str) -> Self {
        self.0.name = Some(name.to_owned());
        self
    }

    pub fn hospital(mut self, hospital: &str) -> Self {
        self.0.hospital = Some(hospital.to_owned());
        self
    }

    pub fn department(mut self, department: &str) -> Self {
        self.0.department = Some(department.to_owned());
        self
    }

    pub fn title(mut self, title: &str) -> Self {
        self.0.title = Some(title.to_owned());
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
