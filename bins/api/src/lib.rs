//! `zhaoguan-api`: the server's transport. Parses, calls one use case, converts; rules live below.

pub mod app;
pub mod commands;
pub mod console;
mod content_gate;
pub mod gateway;
pub mod http;
pub mod leancloud;
pub mod listen;
pub mod messaging;
pub mod settings;
pub mod standin;
