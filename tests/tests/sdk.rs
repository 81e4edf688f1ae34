//! The official LeanCloud SDK from npm, unmodified, against the real server after an import. Needs Node.js.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::server::{APP_ID, APP_KEY, Database, Deployment, MASTER_KEY};

fn sdk_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk")
}

/// Installs exactly what the lock file says, once.
fn install() {
    if sdk_folder().join("node_modules/leancloud-storage/package.json").is_file() {
        return;
    }
    let status = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
        .current_dir(sdk_folder())
        .status()
        .expect("npm is needed: install Node.js");
    assert!(status.success(), "npm ci failed");
}

#[test]
fn the_official_sdk_stores_finds_and_guards_objects() {
    install();
    for database in Database::available() {
        let deployment = Deployment::new(database);
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/leancloud-export");
        deployment.run_ok(&["import-leancloud", &sample.display().to_string()]);
        let api = deployment.start_api();
        let output = Command::new("node")
            .args(["storage.mjs", &api.url(""), APP_ID, APP_KEY, MASTER_KEY])
            .current_dir(sdk_folder())
            .output()
            .expect("node is needed: install Node.js");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{database:?}\n{text}");
    }
}

#[test]
fn the_official_sdk_starts_a_consultation_as_documented() {
    install();
    for database in Database::available() {
        let deployment = Deployment::new(database);
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/leancloud-export");
        deployment.run_ok(&["import-leancloud", &sample.display().to_string()]);
        let api = deployment.start_api();
        let output = Command::new("node")
            .args(["initiate.mjs", &api.url(""), APP_ID, APP_KEY])
            .current_dir(sdk_folder())
            .output()
            .expect("node is needed: install Node.js");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{database:?}\n{text}");
    }
}
