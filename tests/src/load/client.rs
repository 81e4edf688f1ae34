//! One keep-alive HTTP/1.1 connection that sends prepared bytes and reads answers with as little work as possible,
//! so that on a shared machine the server is measured and not the client.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Largest answer that is accepted.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// An open connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Status and body of an answer.
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

impl Connection {
    /// # Errors
    /// When nothing listens at `address`.
    pub async fn open(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends one request and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks or the answer is not HTTP with a content length.
    pub async fn call(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (body_start, body_len) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(shape) = shape(&self.buffer)? {
                break shape;
            }
        };
        let end = body_start + body_len;
        if end > MAX_ANSWER_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too large"));
        }
        while self.buffer.len() < end {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let status = self.buffer.get(9..12).and_then(|s| std::str::from_utf8(s).ok()).and_then(|s| s.parse().ok());
        let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer"))?;
        Ok(Answer { status, body: self.buffer.get(body_start..end).unwrap_or_default() })
    }
}

/// Where the body begins and how long it is, once the head is complete.
fn shape(buffer: &[u8]) -> io::Result<Option<(usize, usize)>> {
    let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(buffer.get(..end).unwrap_or_default());
    let length = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse().ok() } else { None }
    });
    let length =
        length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer has no content length"))?;
    Ok(Some((end + 4, length)))
}
