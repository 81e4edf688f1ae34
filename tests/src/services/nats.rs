//! `nats-server`, to be stopped and started.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::command;
use crate::server::free_port;

/// A running or stopped NATS server on a port of its own.
pub struct Nats {
    port: u16,
    process: Option<Child>,
}

impl Nats {
    /// # Panics
    /// When `nats-server` is not installed or does not listen in time.
    pub fn start() -> Self {
        let mut nats = Self { port: free_port(), process: None };
        nats.run();
        nats
    }

    /// Its address, for `fanout.url`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Starts it again on the same port.
    ///
    /// # Panics
    /// When it does not listen in time.
    pub fn run(&mut self) {
        let mut nats = command(Path::new("nats-server"));
        nats.args(["-a", "127.0.0.1", "-p", &self.port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(nats.spawn().expect("nats-server runs; scripts/setup.sh services installs it"));
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "nats-server does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it at once.
    ///
    /// # Panics
    /// When it cannot be ended.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("nats-server is ended");
            process.wait().expect("nats-server is reaped");
        }
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.stop();
    }
}
