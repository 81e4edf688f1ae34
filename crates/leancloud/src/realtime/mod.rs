//! The realtime protocol of LeanCloud clients: its frames, one socket as a state machine, and the use cases behind its
//! commands. Conversations, messages, receipts and unread counts are the rows every other client sees.
//!
//! [`wire`] holds the commands as the protocol buffers say, [`frame`] how they lie in frames, [`socket`] decides about
//! each frame without input or output, [`Realtime`] does what the commands say, and [`signature`] proves who signs.

pub mod frame;
pub mod policy;
pub mod refusal;
mod service;
pub mod signature;
pub mod socket;
pub mod store;
pub mod ticket;

/// The commands, generated from `proto/realtime.proto`.
#[expect(clippy::all, clippy::pedantic, reason = "generated")]
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/realtime.rs"));
}

pub use policy::{LoginPolicy, RealtimePolicy};
pub use refusal::Refusal;
pub use service::{
    Client, Devices, OpenRequest, Opened, Push, Realtime, RealtimePorts, Relay, RoomKind, Sending, ServiceTarget,
};
pub use store::{Party, RealtimeRepository, RealtimeStore, RealtimeUnit, WrittenSpan};
pub use ticket::Ticket;
