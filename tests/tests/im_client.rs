//! The client in `clients/ts` against the real server, with connections cut on the way. Needs Node 20 or newer.

use std::path::Path;
use std::process::Command;

use tests::dialog::Dialog;
use tests::server::{Database, Deployment};
use tests::socket::token;

#[test]
fn the_client_delivers_everything_once_and_in_order() {
    let deployment = Deployment::new(Database::Sqlite).with("im.frames_per_second", "10000");
    let (api, dialog) = Dialog::begin(&deployment);
    let version = Command::new("node").arg("--version").output().expect("node runs");
    let version = String::from_utf8(version.stdout).expect("a version");
    let mut node = Command::new("node");
    if version.starts_with("v20.") {
        node.arg("--experimental-websocket");
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients/ts/test/real_server.mjs");
    let output = node
        .arg(script)
        .env("IM_URL", format!("ws://{}/im/v1/ws", api.address))
        .env("IM_CONVERSATION", &dialog.id)
        .env("IM_TOKENS", format!("{},{}", token(&dialog.patient), token(&dialog.doctor)))
        .output()
        .expect("node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
