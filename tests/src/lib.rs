//! Black-box suites over the real binaries, and the tools that measure them.

pub mod dialog;
pub mod history;
pub mod leancloud;
pub mod leancloud_rest;
pub mod load;
pub mod sdk;
pub mod secrecy;
pub mod server;
pub mod services;
pub mod socket;
pub mod waiting;
pub mod wechat;
pub mod world;
