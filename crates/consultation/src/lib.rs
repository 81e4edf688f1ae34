//! The business: consultations and their state machine, relations, certification, office hours and
//! the decision whom to notify when.
//!
//! Rules are pure functions ([`machine`], [`certification`], [`decision`]); use cases
//! ([`service`]) load, decide, write and commit; ports are in [`unit`].

pub mod certification;
pub mod consultation;
pub mod decision;
pub mod desk_task;
pub mod dialog;
pub mod error;
pub mod machine;
pub mod notification;
pub mod policy;
pub mod relation;
pub mod retention;
pub mod service;
pub mod trace;
pub mod unit;

pub use consultation::{Consultation, ConsultationType, EndReason, Status};
pub use error::ConsultationError;
pub use policy::ConsultationPolicy;
pub use relation::Relation;
pub use unit::{ConsultationStore, ConsultationUnit};
