//! The native API over HTTP: what surrounds every request, and the areas with their operations.

pub mod body;
pub mod caller;
pub mod catalogue;
pub mod context;
pub mod frame;
pub mod framework_errors;
mod measure;
pub mod problem;
pub mod shape;
pub mod spec;
pub mod values;

#[cfg(test)]
mod testing;

/// All areas of the native API.
pub const fn apis() {}
