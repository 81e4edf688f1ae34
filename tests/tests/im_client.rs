//! The client in `clients/ts`: its types are compiled, and it talks through the real server with connections cut on the
//! way. Needs Node 20 or newer.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::dialog::Dialog;
use tests::server::{Database, Deployment};
use tests::socket::token;

fn client_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../clients/ts")
}

fn run(command: &mut Command) {
    let output = command.current_dir(client_folder()).output().expect("Node.js is needed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{text}");
}

fn node() -> Command {
    let version = Command::new("node").arg("--version").output().expect("node runs");
    let version = String::from_utf8(version.stdout).expect("a version");
    let mut node = Command::new("node");
    if version.starts_with("v20.") {
        node.arg("--experimental-websocket");
    }
    node
}

/// One test, since its parts need the same compiled client.
#[test]
fn the_client_is_sound_and_delivers_everything_once_and_in_order() {
    if !client_folder().join("node_modules/typescript/package.json").is_file() {
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]));
    }
    // Types, and the client alone against a server that is none.
    run(Command::new("npm").arg("test"));

    let deployment = Deployment::new(Database::Sqlite).with("im.frames_per_second", "10000");
    let (api, dialog) = Dialog::begin(&deployment);
    run(node()
        .arg("test/real_server.mjs")
        .env("IM_URL", format!("ws://{}/im/v1/ws", api.address))
        .env("IM_CONVERSATION", &dialog.id)
        .env("IM_TOKENS", format!("{},{}", token(&dialog.patient), token(&dialog.doctor))));
}
