//! The little of HTTP/1.1 that a stand-in needs, on threads: whoever drops the server waits for none of them.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Largest request that is read.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What was asked. Header names in lower case.
pub struct Request {
    pub path: String,
    /// As sent, without the question mark.
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
    }
}

/// What is answered.
pub enum Reply {
    Whole(u16, String),
    /// Promises the text and breaks off in its middle.
    Half(String),
    /// Breaks off without a word.
    None,
}

/// Answers until dropped.
pub(super) struct Server {
    address: SocketAddr,
    is_stopping: Arc<AtomicBool>,
}

impl Server {
    /// # Panics
    /// When the machine has no free port.
    pub(super) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound port");
        let is_stopping = Arc::new(AtomicBool::new(false));
        let (answer, stopping) = (Arc::new(answer), Arc::clone(&is_stopping));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(stream), answer) = (stream, Arc::clone(&answer)) else { continue };
                // A connection that breaks off is the client's affair.
                thread::spawn(move || drop(converse(&stream, &*answer)));
            }
        });
        Self { address, is_stopping }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::SeqCst);
        // Wakes the listener, which then stops; if it cannot be reached it has stopped.
        drop(TcpStream::connect(self.address));
    }
}

fn converse(stream: &TcpStream, answer: &(impl Fn(&Request) -> Reply + ?Sized)) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    while let Some(request) = read(&mut reader)? {
        match answer(&request) {
            Reply::Whole(status, text) => write!(writer, "{}{text}", head(status, text.len()))?,
            Reply::Half(text) => {
                let half: String = text.chars().take(text.chars().count() / 2).collect();
                write!(writer, "{}{half}", head(200, text.len()))?;
                return stream.shutdown(Shutdown::Both);
            }
            Reply::None => return stream.shutdown(Shutdown::Both),
        }
    }
    Ok(())
}

fn head(status: u16, length: usize) -> String {
    format!("HTTP/1.1 {status} OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {length}\r\n\r\n")
}

fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let target = line.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (path, query) = (path.to_owned(), query.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { path, query, headers, body: Vec::new() };
    let length: usize = request.header("content-length").parse().unwrap_or(0);
    if length > MAX_BODY_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    request.body = vec![0; length];
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}
