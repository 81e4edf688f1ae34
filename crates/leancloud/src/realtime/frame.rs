//! How commands lie in frames, and how answers and pushes are written.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;

use super::refusal::Refusal;
use super::wire::{CommandType, ErrorCommand, GenericCommand, OpType};

/// How frames are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// Protocol buffers in binary frames.
    Binary,
    /// The same as Base64 in text frames.
    Text,
}

/// The subprotocol a socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subprotocol {
    pub coding: Coding,
    /// The client wants messages it missed pushed to it instead of a summary of what is unread.
    pub pushes_missed: bool,
    /// As the client named it.
    pub name: &'static str,
}

/// The subprotocols that are spoken, the best first.
pub const SUBPROTOCOLS: [Subprotocol; 4] = [
    Subprotocol { coding: Coding::Binary, pushes_missed: false, name: "lc.protobuf2.3" },
    Subprotocol { coding: Coding::Text, pushes_missed: false, name: "lc.proto2base64.3" },
    Subprotocol { coding: Coding::Binary, pushes_missed: true, name: "lc.protobuf2.1" },
    Subprotocol { coding: Coding::Text, pushes_missed: true, name: "lc.proto2base64.1" },
];

/// The subprotocol a client asks for by a list of names.
pub fn subprotocol(names: &str) -> Option<Subprotocol> {
    names.split(',').map(str::trim).find_map(|name| SUBPROTOCOLS.into_iter().find(|known| known.name == name))
}

/// Reads a frame.
///
/// # Errors
/// [`Refusal`] for what is no command.
pub fn decode(bytes: &[u8]) -> Result<GenericCommand, Refusal> {
    GenericCommand::decode(bytes).map_err(|_garbage| Refusal::malformed())
}

/// Reads a frame of the text coding.
///
/// # Errors
/// [`Refusal`] for what is no command.
pub fn decode_text(text: &str) -> Result<GenericCommand, Refusal> {
    let bytes = STANDARD.decode(text.trim()).map_err(|_garbage| Refusal::malformed())?;
    decode(&bytes)
}

/// Writes a frame.
pub fn encode(command: &GenericCommand) -> Vec<u8> {
    command.encode_to_vec()
}

/// Writes a frame of the text coding.
pub fn encode_text(command: &GenericCommand) -> String {
    STANDARD.encode(command.encode_to_vec())
}

/// An empty command. `session` is written out though it is zero.
pub fn command(cmd: CommandType, op: Option<OpType>) -> GenericCommand {
    GenericCommand { cmd: Some(cmd.into()), op: op.map(Into::into), ..GenericCommand::default() }
}

/// The `error` that answers a command.
pub fn error(refusal: &Refusal) -> GenericCommand {
    GenericCommand { error_message: Some(error_of(refusal)), ..command(CommandType::Error, None) }
}

/// A refusal as it stands in answers.
pub fn error_of(refusal: &Refusal) -> ErrorCommand {
    ErrorCommand {
        code: refusal.code,
        reason: refusal.reason.clone(),
        app_code: refusal.app_code,
        app_msg: refusal.app_message.clone(),
        detail: None,
        pids: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::realtime::wire::SessionCommand;

    #[test]
    fn the_command_session_is_written_though_it_is_zero() {
        let opened = GenericCommand { i: Some(1), ..command(CommandType::Session, Some(OpType::Opened)) };
        assert_eq!(encode(&opened), [0x08, 0, 0x10, 5, 0x28, 1]);
        assert!(decode_text(&encode_text(&opened)) == Ok(opened));
    }

    #[test]
    fn what_is_not_known_is_skipped() {
        // Field 111 (room) and field 2000.
        let bytes = [0x08, 1, 0xfa, 6, 2, 8, 1, 0x80, 0x7d, 7];
        assert_eq!(decode(&bytes).map(|c| c.cmd), Ok(Some(1)));
        assert_eq!(
            decode(&[0x08, 0x63]).map(|c| c.cmd),
            Ok(Some(0x63)),
            "a command of the future is no malformed frame"
        );
    }

    #[test]
    fn the_best_subprotocol_that_is_spoken_is_chosen() {
        assert_eq!(subprotocol("lc.protobuf2.3").unwrap().name, "lc.protobuf2.3");
        assert_eq!(subprotocol("x, lc.proto2base64.1").unwrap().coding, Coding::Text);
        assert!(subprotocol("lc.protobuf2.1").unwrap().pushes_missed);
        assert_eq!(subprotocol("lc.json.3"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..400), text in any::<String>()) {
            _ = decode(&bytes);
            _ = decode_text(&text);
            _ = decode_text(&STANDARD.encode(&bytes));
        }

        #[test]
        fn what_is_cut_off_or_flipped_never_breaks_the_reader(cut in 0_usize..60, flip in 0_usize..60, peer in "[a-z]{0,20}") {
            let session = SessionCommand { st: Some(peer.clone()), r: Some(true), ..SessionCommand::default() };
            let whole = GenericCommand {
                peer_id: Some(peer), session_message: Some(session), ..command(CommandType::Session, Some(OpType::Open))
            };
            let mut bytes = encode(&whole);
            prop_assert!(decode(&bytes) == Ok(whole));
            if let Some(byte) = bytes.get_mut(flip) { *byte ^= 0x55; }
            bytes.truncate(cut);
            _ = decode(&bytes);
        }
    }
}
