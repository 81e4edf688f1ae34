//! A client of the WebSocket protocol that does nothing by itself.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::protocol::CloseFrame;
use tungstenite::{Error, Message, WebSocket};

use crate::server::Api;
use crate::world::As;

/// Longest wait for a frame that must come.
const FRAME_LIMIT: Duration = Duration::from_secs(10);

/// One WebSocket.
pub struct Socket {
    socket: WebSocket<TcpStream>,
    /// The close frame, once it came.
    pub closed: Option<CloseFrame>,
}

impl Socket {
    /// Connects without saying anything.
    ///
    /// # Panics
    /// When the server does not take it.
    pub fn connect(api: &Api) -> Self {
        let stream = TcpStream::connect(&api.address).expect("the api listens");
        stream.set_nodelay(true).expect("a TCP stream");
        stream.set_read_timeout(Some(Duration::from_millis(50))).expect("a TCP stream");
        let url = format!("ws://{}/im/v1/ws", api.address);
        let request = tungstenite::client::IntoClientRequest::into_client_request(url).expect("an address");
        let mut tried = tungstenite::client::client(request, stream);
        loop {
            match tried {
                Ok((socket, _)) => return Self { socket, closed: None },
                Err(tungstenite::HandshakeError::Interrupted(half)) => tried = half.handshake(),
                Err(tungstenite::HandshakeError::Failure(error)) => panic!("no WebSocket: {error}"),
            }
        }
    }

    /// Connects and says hello; answers the socket and its `ready`.
    ///
    /// # Panics
    /// When it is not welcome.
    pub fn open(api: &Api, who: &As) -> (Self, Value) {
        let mut socket = Self::connect(api);
        socket.say(&json!({ "type": "hello", "token": token(who) }));
        let ready = socket.expect("ready");
        (socket, ready)
    }

    /// Connects and goes on from a `ready` or an event of before.
    ///
    /// # Panics
    /// When the server does not take it.
    pub fn resume(api: &Api, who: &As, cursor: i64, epoch: &str) -> Self {
        let mut socket = Self::connect(api);
        socket.say(&json!({ "type": "hello", "token": token(who), "cursor": cursor, "epoch": epoch }));
        socket
    }

    /// Sends a frame. A server that has closed meanwhile is no error here.
    pub fn say(&mut self, frame: &Value) {
        self.say_text(&frame.to_string());
    }

    pub fn say_text(&mut self, text: &str) {
        let _ = self.socket.send(Message::text(text));
    }

    pub fn send_text(&mut self, conversation: &str, name: &str, text: &str) {
        self.say(&json!({ "type": "send", "clientMessageId": name, "conversationId": conversation,
            "messageType": "text", "content": { "text": text } }));
    }

    /// Sends a text and answers its ack.
    ///
    /// # Panics
    /// When it is not acknowledged.
    pub fn sent(&mut self, conversation: &str, name: &str, text: &str) -> Value {
        self.send_text(conversation, name, text);
        let ack = self.expect("ack");
        assert_eq!(ack["clientMessageId"], name, "{ack}");
        ack
    }

    /// The next frame, of any type, within `limit`; none when there is none or the socket is closed.
    ///
    /// # Panics
    /// When a frame is not JSON.
    pub fn next_within(&mut self, limit: Duration) -> Option<Value> {
        let until = Instant::now() + limit;
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).expect("frames are JSON")),
                Ok(Message::Close(frame)) => self.closed = frame.or(self.closed.take()),
                Ok(_) => {}
                Err(Error::Io(error)) if is_timeout(&error) => {
                    if Instant::now() >= until {
                        return None;
                    }
                }
                Err(_) => return None,
            }
        }
    }

    /// The next frame of a type; others before it are passed over.
    ///
    /// # Panics
    /// When it does not come.
    pub fn expect(&mut self, kind: &str) -> Value {
        let mut others = Vec::new();
        let until = Instant::now() + FRAME_LIMIT;
        while Instant::now() < until {
            match self.next_within(until.saturating_duration_since(Instant::now())) {
                Some(frame) if frame["type"] == kind => return frame,
                Some(frame) => others.push(frame),
                None => break,
            }
        }
        panic!("no {kind} came, but {others:?} and then {:?}", self.closed);
    }

    /// The frames up to the answer to a `ping`, without it.
    ///
    /// # Panics
    /// When it does not come.
    pub fn until_pong(&mut self) -> Vec<Value> {
        self.say(&json!({ "type": "ping" }));
        let mut frames = Vec::new();
        loop {
            let frame = self.next_within(FRAME_LIMIT).expect("a pong");
            if frame["type"] == "pong" {
                return frames;
            }
            frames.push(frame);
        }
    }

    /// The `bye`, with its reason, and that the socket is closed after it.
    ///
    /// # Panics
    /// When it does not come.
    pub fn expect_bye(&mut self, reason: &str) -> Value {
        let bye = self.expect("bye");
        assert_eq!(bye["reason"], reason, "{bye}");
        assert_eq!(self.next_within(FRAME_LIMIT), None, "nothing comes after bye");
        assert!(self.closed.is_some(), "a close frame follows");
        bye
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

/// The token of somebody with a session.
///
/// # Panics
/// For anybody else.
pub fn token(who: &As) -> &str {
    match who {
        As::Session(token) => token,
        other => panic!("{other:?} has no session"),
    }
}
