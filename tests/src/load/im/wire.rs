//! One WebSocket of the messaging protocol, written by hand on a TCP stream: frames are prepared once and stamped in
//! place, answers are looked at and not parsed, so that on a shared machine the server is measured and not the client.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Bytes read at once.
const READ_BYTES: usize = 4 * 1024;
/// Longest frame that is accepted.
const MAX_FRAME_BYTES: usize = 1024 * 1024;

/// What a frame is, as far as the load generator cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ready,
    Ack,
    Message,
    Pong,
    /// An error or a good-bye.
    Refusal,
    Other,
}

/// The stamp in the name of a message: which run it belongs to, when it was sent, and the how manieth it is.
#[derive(Debug, Clone, Copy)]
pub struct Stamper {
    run: u64,
    started: Instant,
}

/// Digits of a name: run, microseconds, count.
const NAME_DIGITS: usize = 16 + 12 + 12;

impl Stamper {
    pub fn new() -> Self {
        use std::hash::{BuildHasher, Hasher};
        // Any number that no earlier run has had.
        let run = std::hash::RandomState::new().build_hasher().finish();
        Self { run, started: Instant::now() }
    }

    fn micros(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// How long ago the message with this name was sent, in microseconds; none for one of another run.
    fn age(&self, name: &[u8]) -> Option<u64> {
        let name = std::str::from_utf8(name).ok()?;
        let run = u64::from_str_radix(name.get(..16)?, 16).ok()?;
        let sent = u64::from_str_radix(name.get(16..28)?, 16).ok()?;
        (run == self.run).then(|| self.micros().saturating_sub(sent))
    }
}

impl Default for Stamper {
    fn default() -> Self {
        Self::new()
    }
}

/// A `send` frame of one conversation, ready but for its name.
pub struct Prepared {
    bytes: Vec<u8>,
    name_at: usize,
    count: u64,
}

impl Prepared {
    /// `salt` keeps the names of several senders apart.
    pub fn new(conversation: &str, text: &str, salt: u32) -> Self {
        let head = r#"{"type":"send","clientMessageId":""#;
        let zeros = "0".repeat(NAME_DIGITS);
        let json = format!(
            r#"{head}{zeros}","conversationId":"{conversation}","messageType":"text","content":{{"text":"{text}"}}}}"#
        );
        let mut bytes = Vec::new();
        let json_at = put_text_frame(&mut bytes, json.as_bytes());
        Self { bytes, name_at: json_at + head.len(), count: u64::from(salt) * 0x1000_0000 }
    }

    /// The frame for the next message, sent now.
    pub fn next(&mut self, stamper: &Stamper) -> &[u8] {
        self.count += 1;
        let name = format!("{:016x}{:012x}{:012x}", stamper.run, stamper.micros(), self.count);
        if let Some(place) = self.bytes.get_mut(self.name_at..self.name_at + NAME_DIGITS) {
            place.copy_from_slice(&name.as_bytes()[..NAME_DIGITS]);
        }
        &self.bytes
    }
}

/// Appends a masked text frame whose mask is zero, so that the text stays as it is; answers where the text begins.
fn put_text_frame(bytes: &mut Vec<u8>, text: &[u8]) -> usize {
    bytes.push(0x81);
    match u16::try_from(text.len()) {
        Ok(short @ 0..126) => bytes.push(0x80 | u8::try_from(short).unwrap_or_default()),
        Ok(length) => {
            bytes.push(0x80 | 0x7e);
            bytes.extend(length.to_be_bytes());
        }
        Err(_) => {
            bytes.push(0x80 | 0x7f);
            bytes.extend((text.len() as u64).to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    let at = bytes.len();
    bytes.extend(text);
    at
}

fn text_frame(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 14);
    put_text_frame(&mut bytes, text.as_bytes());
    bytes
}

/// The sending half of a [`Wire`].
#[derive(Clone)]
pub struct Mouth(Arc<OwnedWriteHalf>);

impl Mouth {
    /// # Errors
    /// When the connection breaks.
    pub async fn say(&self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            match self.0.try_write(bytes) {
                Ok(written) if written == bytes.len() => return Ok(()),
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.0.writable().await?,
                Err(error) => return Err(error),
            }
        }
    }
}

/// An open socket that has said hello.
pub struct Wire {
    mouth: Mouth,
    ear: OwnedReadHalf,
    inbox: Vec<u8>,
    /// What was read and not looked at yet.
    unread: Range<usize>,
}

impl Wire {
    /// Connects, says hello and waits for `ready`.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn open(address: &str, token: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (ear, mouth) = stream.into_split();
        let mut wire = Self { mouth: Mouth(Arc::new(mouth)), ear, inbox: Vec::new(), unread: 0..0 };
        let upgrade = format!(
            "GET /im/v1/ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        );
        wire.mouth.say(upgrade.as_bytes()).await?;
        wire.pass_over_head().await?;
        wire.mouth.say(&text_frame(&format!(r#"{{"type":"hello","token":"{token}"}}"#))).await?;
        wire.until(Kind::Ready).await?;
        Ok(wire)
    }

    pub fn mouth(&self) -> Mouth {
        self.mouth.clone()
    }

    /// # Errors
    /// When the connection breaks.
    pub async fn say(&self, bytes: &[u8]) -> io::Result<()> {
        self.mouth.say(bytes).await
    }

    /// Asks whether the server is there.
    ///
    /// # Errors
    /// When it is not.
    pub async fn ping(&mut self) -> io::Result<()> {
        self.mouth.say(&text_frame(r#"{"type":"ping"}"#)).await?;
        self.until(Kind::Pong).await
    }

    /// Waits for a frame of this kind, passing over others.
    ///
    /// # Errors
    /// When the connection breaks or something is refused.
    pub async fn until(&mut self, kind: Kind) -> io::Result<()> {
        while self.next().await?.0 != kind {}
        Ok(())
    }

    /// Waits for an ack or a message of this run and answers its age in microseconds.
    ///
    /// # Errors
    /// When the connection breaks or something is refused.
    pub async fn until_stamped(&mut self, kind: Kind, stamper: &Stamper) -> io::Result<u64> {
        loop {
            let (found, payload) = self.next().await?;
            if found == kind
                && let Some(age) = self.name(payload).and_then(|name| stamper.age(name))
            {
                return Ok(age);
            }
        }
    }

    /// The next ack or message of this run, with its age in microseconds.
    ///
    /// # Errors
    /// When the connection breaks or something is refused.
    pub async fn next_stamped(&mut self, stamper: &Stamper) -> io::Result<(Kind, u64)> {
        loop {
            let (kind, payload) = self.next().await?;
            if matches!(kind, Kind::Ack | Kind::Message)
                && let Some(age) = self.name(payload).and_then(|name| stamper.age(name))
            {
                return Ok((kind, age));
            }
        }
    }

    /// The next text frame: its kind, and where its text is. Pings are answered.
    ///
    /// # Errors
    /// When the connection breaks or something is refused.
    pub async fn next(&mut self) -> io::Result<(Kind, Range<usize>)> {
        loop {
            let Some((opcode, payload)) = self.take_frame()? else {
                self.fill().await?;
                continue;
            };
            let text = self.inbox.get(payload.clone()).unwrap_or_default();
            if opcode == 8 {
                return Err(refused(text));
            }
            if opcode != 1 {
                continue;
            }
            let kind = kind_of(text);
            match kind {
                Some(Kind::Refusal) => return Err(refused(text)),
                Some(kind) => return Ok((kind, payload)),
                // The heartbeat.
                None => self.mouth.say(&text_frame(r#"{"type":"pong"}"#)).await?,
            }
        }
    }

    /// The client's name of the message in a frame.
    fn name(&self, payload: Range<usize>) -> Option<&[u8]> {
        const KEY: &[u8] = br#""clientMessageId":""#;
        let text = self.inbox.get(payload)?;
        let at = text.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
        text.get(at..at + NAME_DIGITS)
    }

    /// The frame that is there already, if a whole one is.
    fn take_frame(&mut self) -> io::Result<Option<(u8, Range<usize>)>> {
        let Some(bytes) = self.inbox.get(self.unread.clone()) else { return Ok(None) };
        let (Some(first), Some(second)) = (bytes.first(), bytes.get(1)) else { return Ok(None) };
        let (head, length) = match second & 0x7f {
            126 => match bytes.get(2..4) {
                Some(&[a, b]) => (4, usize::from(u16::from_be_bytes([a, b]))),
                _ => return Ok(None),
            },
            127 => match bytes.get(2..10).and_then(|bytes| bytes.try_into().ok()) {
                Some(length) => (10, usize::try_from(u64::from_be_bytes(length)).unwrap_or(usize::MAX)),
                None => return Ok(None),
            },
            short => (2, usize::from(short)),
        };
        if length > MAX_FRAME_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too long"));
        }
        if bytes.len() < head + length {
            return Ok(None);
        }
        let opcode = first & 0x0f;
        let start = self.unread.start + head;
        self.unread.start = start + length;
        Ok(Some((opcode, start..start + length)))
    }

    /// Reads what has come, at least one byte.
    async fn fill(&mut self) -> io::Result<()> {
        if self.unread.is_empty() {
            self.unread = 0..0;
        } else if self.unread.start > 0 {
            self.inbox.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        let room = self.unread.end + READ_BYTES;
        if self.inbox.len() < room {
            self.inbox.resize(room, 0);
        }
        match self.ear.read(self.inbox.get_mut(self.unread.end..).unwrap_or_default()).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.unread.end += read;
                Ok(())
            }
        }
    }

    /// Reads the answer to the upgrade.
    async fn pass_over_head(&mut self) -> io::Result<()> {
        loop {
            self.fill().await?;
            let bytes = self.inbox.get(self.unread.clone()).unwrap_or_default();
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                if bytes.get(9..12) != Some(b"101") {
                    return Err(refused(bytes));
                }
                self.unread.start += end + 4;
                return Ok(());
            }
        }
    }
}

/// None for a ping.
fn kind_of(text: &[u8]) -> Option<Kind> {
    const KEY: &[u8] = br#""type":""#;
    let at = text.windows(KEY.len()).position(|window| window == KEY).map_or(text.len(), |at| at + KEY.len());
    let word = text.get(at..).and_then(|rest| rest.split(|byte| *byte == b'"').next()).unwrap_or_default();
    Some(match word {
        b"ping" => return None,
        b"ready" => Kind::Ready,
        b"ack" => Kind::Ack,
        b"event" if text.windows(16).take(120).any(|window| window == br#""kind":"message""#) => Kind::Message,
        b"pong" => Kind::Pong,
        b"error" | b"bye" => Kind::Refusal,
        _ => Kind::Other,
    })
}

fn refused(text: &[u8]) -> io::Error {
    let shown: String = String::from_utf8_lossy(text).chars().take(300).collect();
    io::Error::new(io::ErrorKind::ConnectionRefused, shown)
}
