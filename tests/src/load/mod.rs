//! Measuring from outside: a synthetic application to import, and small clients that cost next to nothing.

pub mod client;
pub mod export;
pub mod figures;
pub mod im;
pub mod initiate;
pub mod usage;
