//! Frozen wire forms of LeanCloud: typed values inside objects, error bodies, request signatures.
//!
//! These never change: unmodified SDK clients and old exports speak them.

mod error;
mod sign;
mod value;

pub use error::ErrorBody;
pub use sign::{KeyKind, verify_sign};
pub use value::{FileValue, GeoPoint, Pointer, Typed, date};
