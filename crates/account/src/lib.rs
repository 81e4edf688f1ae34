//! Who people are and how they prove it: application credentials, users, sessions, SMS codes, agents,
//! profiles, files and idempotency keys.
//!
//! Rules are plain functions and values ([`limits`], [`counter`], [`challenge`], [`password`]); use cases are
//! methods of [`Accounts`] in the file named for their subject; ports are in [`unit`] and beside their entities.

pub mod agent;
pub mod application;
pub mod captcha;
pub mod challenge;
pub mod closure;
pub mod codes;
pub mod counter;
pub mod error;
pub mod files;
pub mod housekeeping;
pub mod idempotency;
pub mod identity;
pub mod identity_sign_in;
pub mod keys;
pub mod limits;
pub mod oversight;
pub mod own_account;
pub mod password;
pub mod phone_binding;
pub mod phone_reveal;
pub mod profile;
pub mod service;
pub mod session;
pub mod sign_in;
pub mod staff;
mod text;
mod throttle;
pub mod unit;
pub mod uploads;
pub mod user;
pub mod user_password;

#[cfg(test)]
mod memory;

pub use application::{AppAccess, AppCredentials, AppHeaders};
pub use error::AccountError;
pub use keys::AccountKeys;
pub use service::{AccountPorts, AccountSettings, Accounts};
pub use unit::{AccountStore, AccountUnit};
