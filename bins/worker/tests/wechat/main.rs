//! WeChat end to end: the use cases over both databases, the real connection, and the stand-in at the other end.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test panics where something is not as it should be"
)]

mod checks;
mod codes;
mod consents;
mod logins;
mod messages;
mod notifications;
mod pushes;
mod support;
mod tokens;
