//! The words every other crate shares: ids, time, errors, people, files, audit and the outbox port.
//!
//! Nothing here talks to a database, a network or a clock; those are ports implemented above.

pub mod actor;
pub mod audit;
pub mod certification;
pub mod closure;
pub mod doctor;
pub mod error;
pub mod file;
pub mod gender;
pub mod hours;
pub mod id;
pub mod money;
pub mod office_hours;
pub mod outbox;
pub mod page;
pub mod patch;
pub mod patient;
pub mod phone;
pub mod rng;
pub mod sms;
pub mod text;
pub mod time;

pub use actor::Actor;
pub use error::{Coded, ErrorKind, FieldError, StoreError};
pub use id::ObjectId;
pub use patch::Patch;
pub use phone::Phone;
pub use time::{Clock, Timestamp};
