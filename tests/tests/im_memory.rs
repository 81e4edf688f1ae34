//! What an idle socket costs the server. The figures of the release build are in `docs/benchmarks.md`; this holds a
//! bound that also a debug build keeps, so that a buffer or a task too many is noticed.

use std::fs;

use serde_json::json;
use tests::dialog::Dialog;
use tests::server::{Api, Database, Deployment};
use tests::socket::Socket;

const SOCKETS: usize = 800;
/// The library's own default buffers alone would cost 134 KiB.
const MOST_BYTES_EACH: usize = 24 * 1024;

/// Resident memory of the process.
fn resident_bytes(api: &Api) -> usize {
    let status = fs::read_to_string(format!("/proc/{}/status", api.process.id())).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of memory");
    let kilobytes: usize = line.trim().trim_end_matches("kB").trim().parse().expect("a number");
    kilobytes * 1024
}

#[test]
fn an_idle_socket_costs_little_and_stays_alive() {
    let deployment = Deployment::new(Database::Sqlite)
        .with("im.max_sockets_per_user", "100000")
        .with("im.frames_per_second", "10000");
    let (api, dialog) = Dialog::begin(&deployment);
    // What the first ones cost once is not counted.
    let mut sockets: Vec<Socket> = (0..100).map(|_| Socket::open(&api, &dialog.doctor).0).collect();
    let before = resident_bytes(&api);
    sockets.extend((0..SOCKETS).map(|_| Socket::open(&api, &dialog.doctor).0));
    let each = resident_bytes(&api).saturating_sub(before) / SOCKETS;
    println!("{each} bytes for each idle socket");
    assert!(each <= MOST_BYTES_EACH, "{each} bytes for each idle socket");

    let (mut patient, _) = Socket::open(&api, &dialog.patient);
    patient.sent(&dialog.id, "1", "还在吗");
    for socket in &mut sockets {
        // Before it may come the line that began the consultation.
        while socket.expect("event")["message"]["content"] != json!({ "text": "还在吗" }) {}
    }
}
