//! A client of LeanCloud's realtime protocol that does nothing by itself, so that it can say what no SDK would.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use leancloud::realtime::frame::{self, command};
use leancloud::realtime::wire::{
    CommandType, ConvCommand, DirectCommand, GenericCommand, JsonObjectMessage, LogsCommand, OpType, SessionCommand,
};
use serde_json::Value;
use tungstenite::http::HeaderValue;
use tungstenite::{Error, Message, WebSocket};

use crate::server::{APP_ID, Api};

/// Longest wait for an answer that must come.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How a socket asks for its subprotocol.
#[derive(Debug, Clone, Copy)]
pub enum Asks {
    ByHeader(&'static str),
    ByAddress(&'static str),
}

/// One socket.
pub struct Socket {
    stream: WebSocket<TcpStream>,
    is_text: bool,
    i: i32,
    /// What came without being asked for.
    pub pushed: Vec<GenericCommand>,
    /// What the server answered to the subprotocol.
    pub subprotocol: Option<String>,
}

impl Socket {
    /// # Panics
    /// When the server does not take it.
    pub fn connect(api: &Api) -> Self {
        Self::connect_with(api, Asks::ByHeader("lc.protobuf2.3"))
    }

    /// # Panics
    /// When the server does not take it.
    pub fn connect_with(api: &Api, asks: Asks) -> Self {
        let stream = TcpStream::connect(&api.address).expect("the api listens");
        stream.set_nodelay(true).expect("a TCP stream");
        stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a TCP stream");
        let (query, name) = match asks {
            Asks::ByHeader(name) => (String::new(), name),
            Asks::ByAddress(name) => (format!("?subprotocol={name}"), name),
        };
        let url = format!("ws://{}/ws{query}", api.address);
        let mut request = tungstenite::client::IntoClientRequest::into_client_request(url).expect("an address");
        if matches!(asks, Asks::ByHeader(_)) {
            request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(name));
        }
        let mut tried = tungstenite::client::client(request, stream);
        let (stream, response) = loop {
            match tried {
                Ok(opened) => break opened,
                Err(tungstenite::HandshakeError::Interrupted(half)) => tried = half.handshake(),
                Err(tungstenite::HandshakeError::Failure(error)) => panic!("no WebSocket: {error}"),
            }
        };
        let echoed = response.headers().get("Sec-WebSocket-Protocol").and_then(|value| value.to_str().ok());
        let subprotocol = echoed.map(str::to_owned);
        Self { stream, is_text: name.contains("base64"), i: 0, pushed: Vec::new(), subprotocol }
    }

    /// Sends a command under a number of its own, and answers the number.
    ///
    /// # Panics
    /// When the socket is closed.
    pub fn say(&mut self, command: GenericCommand) -> i32 {
        self.i += 1;
        let command = GenericCommand { i: Some(self.i), ..command };
        let message = if self.is_text {
            Message::text(frame::encode_text(&command))
        } else {
            Message::binary(frame::encode(&command))
        };
        self.stream.send(message).expect("an open socket");
        self.i
    }

    /// Sends bytes as they are.
    pub fn say_bytes(&mut self, bytes: Vec<u8>) {
        let _ = self.stream.send(Message::binary(bytes));
    }

    /// The next command within `limit`.
    ///
    /// # Panics
    /// When a frame is no command.
    pub fn next_within(&mut self, limit: Duration) -> Option<GenericCommand> {
        let until = Instant::now() + limit;
        loop {
            let read = match self.stream.read() {
                Ok(Message::Binary(bytes)) => frame::decode(&bytes),
                Ok(Message::Text(text)) => frame::decode_text(&text),
                Ok(Message::Close(_)) => return None,
                Ok(_) => continue,
                Err(Error::Io(error)) if is_timeout(&error) => {
                    if Instant::now() >= until {
                        return None;
                    }
                    continue;
                }
                Err(_) => return None,
            };
            return Some(read.unwrap_or_else(|refusal| panic!("frames are commands: {refusal}")));
        }
    }

    /// Sends a command and answers what comes back.
    ///
    /// # Panics
    /// When no answer comes.
    pub fn ask(&mut self, command: GenericCommand) -> GenericCommand {
        let i = self.say(command);
        let until = Instant::now() + ANSWER_LIMIT;
        while let Some(came) = self.next_within(until.saturating_duration_since(Instant::now())) {
            if came.i == Some(i) {
                return came;
            }
            self.pushed.push(came);
        }
        panic!("no answer to command {i}");
    }

    /// The next push of a kind; others are kept.
    ///
    /// # Panics
    /// When it does not come.
    pub fn expect(&mut self, cmd: CommandType, op: Option<OpType>) -> GenericCommand {
        let fits = |c: &GenericCommand| {
            c.cmd == Some(cmd.into()) && c.i.is_none() && op.is_none_or(|op| c.op == Some(op.into()))
        };
        if let Some(at) = self.pushed.iter().position(fits) {
            return self.pushed.remove(at);
        }
        let until = Instant::now() + ANSWER_LIMIT;
        while let Some(came) = self.next_within(until.saturating_duration_since(Instant::now())) {
            if fits(&came) {
                return came;
            }
            self.pushed.push(came);
        }
        panic!("no push of kind {}", cmd.as_str_name());
    }

    /// Opens a session, however it ends.
    pub fn try_open(&mut self, peer: &str, session: SessionCommand) -> GenericCommand {
        self.ask(GenericCommand {
            app_id: Some(APP_ID.to_owned()),
            peer_id: (!peer.is_empty()).then(|| peer.to_owned()),
            session_message: Some(session),
            ..command(CommandType::Session, Some(OpType::Open))
        })
    }

    /// Opens a session and answers its token.
    ///
    /// # Panics
    /// When it is refused.
    pub fn open(&mut self, peer: &str) -> String {
        let opened = self.try_open(peer, SessionCommand::default());
        assert_eq!(code_of(&opened), None, "{peer} is opened");
        assert_eq!(opened.peer_id.as_deref(), Some(peer));
        opened.session_message.and_then(|session| session.st).expect("the first answer has a token")
    }

    pub fn conv(&mut self, op: OpType, conv: ConvCommand) -> GenericCommand {
        self.ask(GenericCommand { conv_message: Some(conv), ..command(CommandType::Conv, Some(op)) })
    }

    /// Starts a conversation and answers its id.
    ///
    /// # Panics
    /// When it is refused.
    pub fn start(&mut self, members: &[&str], is_unique: bool) -> String {
        let m = members.iter().map(|m| (*m).to_owned()).collect();
        let started = self.conv(OpType::Start, ConvCommand { m, unique: Some(is_unique), ..ConvCommand::default() });
        started.conv_message.and_then(|conv| conv.cid).expect("a conversation is started")
    }

    /// The rows of a query.
    ///
    /// # Panics
    /// When it is refused.
    pub fn query(&mut self, filter: &Value) -> Vec<Value> {
        let data = filter.to_string();
        let conv =
            ConvCommand { r#where: Some(JsonObjectMessage { data }), limit: Some(100), ..ConvCommand::default() };
        let found = self.conv(OpType::Query, conv).conv_message.and_then(|conv| conv.results).expect("results");
        serde_json::from_str(&found.data).expect("rows are JSON")
    }

    pub fn send(&mut self, direct: DirectCommand) -> GenericCommand {
        self.ask(direct_command(direct))
    }

    /// Sends a text and answers its id and time.
    ///
    /// # Panics
    /// When it is refused.
    pub fn sent(&mut self, cid: &str, text: &str) -> (String, i64) {
        let direct = DirectCommand { cid: Some(cid.into()), msg: Some(text.into()), ..DirectCommand::default() };
        let ack = self.send(direct).ack_message.expect("an ack");
        assert_eq!(ack.code, None, "{:?}", ack.reason);
        (ack.uid.expect("an id"), ack.t.expect("a time"))
    }

    pub fn logs(&mut self, logs: LogsCommand) -> GenericCommand {
        self.ask(GenericCommand { logs_message: Some(logs), ..command(CommandType::Logs, None) })
    }
}

/// A message on its way.
pub fn direct_command(direct: DirectCommand) -> GenericCommand {
    GenericCommand { direct_message: Some(direct), ..command(CommandType::Direct, None) }
}

/// The number of a refusal, wherever it stands.
pub fn code_of(answer: &GenericCommand) -> Option<i32> {
    let error = answer.error_message.as_ref().map(|error| error.code);
    let ack = answer.ack_message.as_ref().and_then(|ack| ack.code);
    error.or(ack).or(answer.session_message.as_ref().and_then(|session| session.code))
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}
