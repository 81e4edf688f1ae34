//! One connection of a device: never panics, never waits long, and breaks off when anything is odd.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use tungstenite::{Error, HandshakeError, Message, WebSocket};

/// A read that finds nothing takes this long.
const LOOK: Duration = Duration::from_millis(2);
/// A server that takes longer to shake hands or to take a frame is as good as gone.
const PATIENCE: Duration = Duration::from_millis(800);

/// What a look at the line brought.
#[derive(Debug)]
pub enum Heard {
    Frame(Value),
    Nothing,
    /// The connection is over.
    Gone,
}

/// One WebSocket.
pub struct Line(WebSocket<TcpStream>);

impl Line {
    /// Connects without saying anything; `None` when nobody takes it.
    pub fn connect(address: &str) -> Option<Self> {
        let at: SocketAddr = address.parse().ok()?;
        let stream = TcpStream::connect_timeout(&at, PATIENCE).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(LOOK)).ok()?;
        stream.set_write_timeout(Some(PATIENCE)).ok()?;
        let mut tried = tungstenite::client(format!("ws://{address}/im/v1/ws"), stream);
        let until = Instant::now() + PATIENCE;
        loop {
            match tried {
                Ok((socket, _)) => return Some(Self(socket)),
                Err(HandshakeError::Interrupted(half)) if Instant::now() < until => tried = half.handshake(),
                Err(_) => return None,
            }
        }
    }

    /// Says a frame; false when the connection is over.
    pub fn say(&mut self, frame: &Value) -> bool {
        self.0.send(Message::text(frame.to_string())).is_ok()
    }

    /// The next frame, if one is there or comes at once.
    pub fn hear(&mut self) -> Heard {
        match self.0.read() {
            Ok(Message::Text(text)) => serde_json::from_str(&text).map_or(Heard::Gone, Heard::Frame),
            Ok(Message::Close(_)) => Heard::Gone,
            Ok(_) => Heard::Nothing,
            Err(Error::Io(error))
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                Heard::Nothing
            }
            Err(_) => Heard::Gone,
        }
    }
}
