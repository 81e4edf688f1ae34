//! The frames of the WebSocket protocol, as `openapi/im-protocol.md` documents them: one JSON object per text frame,
//! named by its `type`.

mod client;
mod server;

pub use client::{
    ClientFrame, ConversationFrame, HelloFrame, Malformed, PresenceFrame, RangeFrame, SendFrame, SeqFrame,
};
pub use server::{
    AckFrame, Bye, ByeReason, ErrorField, ErrorFrame, EventBody, EventFrame, LimitsView, MessageView, RangeResult,
    ReadyFrame, ReceiptFrame, ResyncFrame, ServerFrame, TypingFrame, ViewingFrame,
};

#[cfg(test)]
mod tests;
