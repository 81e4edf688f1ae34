//! A stand-in for the platform, for development and tests: it keeps the documented rules and remembers what it did.
//!
//! Everything below `/_standin/` is its own: people sign in there, consent, follow and write, and faults are set. It
//! listens on this machine only, knows nobody real and forgets everything when it stops.

mod api;
mod control;
mod faults;
mod platform;
mod push;
mod rules;
mod server;

pub use faults::{Fault, FaultKind};
pub use platform::{Delivered, Platform, StandinApp, StandinPush, StandinTemplate};
pub use server::{Standin, StandinError};
