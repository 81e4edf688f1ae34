//! Measuring from outside: a synthetic application to import, and a small HTTP client that costs next to nothing.

pub mod client;
pub mod export;
pub mod figures;
