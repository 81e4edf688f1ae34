//! Black-box suites over the real binaries, and the tools that measure them.

pub mod dialog;
pub mod leancloud;
pub mod load;
pub mod server;
pub mod socket;
pub mod world;
