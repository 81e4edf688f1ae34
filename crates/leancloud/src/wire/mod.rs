//! Frozen wire forms of LeanCloud: typed values inside objects, and error bodies.
//!
//! These never change: unmodified SDK clients and old exports speak them.

mod error;
mod value;

pub use error::ErrorBody;
pub use value::{FileValue, GeoPoint, Pointer, Typed, date};
