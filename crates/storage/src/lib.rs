//! The product's rows in SQLite and PostgreSQL, through sea-orm.
//!
//! [`SeaStore`] opens units of work; one [`SeaUnit`] implements every repository of every domain crate by
//! returning itself. Entities stay private to this crate. Only [`backend`] knows how the two databases differ.

mod account;
mod audit;
pub mod backend;
mod bulk;
mod consulting;
mod convert;
mod desk;
mod im;
mod import;
pub mod inspect;
mod leancloud;
mod migration;
mod outbox;
mod oversight;
mod people;
mod proof;
mod seal;
mod sms;
mod store;
mod turns;
mod values;
mod wechat;

pub use backend::{Backend, ConnectError, DatabaseOptions, SqliteSync, copy_sqlite};
pub use consulting::RecordingNotifier;
pub use leancloud::DocumentIndex;
pub use proof::SealError;
pub use seal::Seal;
pub use store::{SeaStore, SeaUnit};
pub use turns::in_background;
