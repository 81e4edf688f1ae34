//! Text messages: signing, providers, what their codes mean, and how a message reaches a phone once and only once.
//!
//! Rules are pure functions and values ([`class`], [`reaction`], [`breaker`], [`route`], [`budget`], the states in
//! [`message`]); adapters of providers speak over the small port in [`http`]; use cases are in [`dispatch`],
//! [`reconcile`], [`poll`], [`inbox`] and [`oversight`].

pub mod acs3;
pub mod aliyun;
pub mod breaker;
pub mod budget;
pub mod callback;
pub mod class;
pub mod context;
pub mod digest;
pub mod dispatch;
pub mod encoding;
pub mod error;
pub mod http;
pub mod inbox;
pub mod keys;
mod lenient;
pub mod message;
pub mod oversight;
pub mod poll;
pub mod provider;
pub mod reaction;
pub mod receipt;
pub mod reconcile;
pub mod route;
pub mod tc3;
pub mod template;
pub mod tencent;
pub mod unit;
pub mod webhook;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod vectors;

pub use context::{SmsContext, SmsSettings, TokioPause};
pub use dispatch::{Dispatcher, Draft};
pub use error::SmsError;
pub use keys::{Credential, SmsKeys};
pub use provider::{ProviderName, SmsProvider};
pub use unit::{SmsStore, SmsUnit};
