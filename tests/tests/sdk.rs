//! The official LeanCloud SDK from npm, unmodified, against the real server after an import. Needs Node.js.

use std::path::Path;
use std::process::Command;

use tests::sdk::{folder, install};
use tests::server::{APP_ID, APP_KEY, Database, Deployment, MASTER_KEY};

#[test]
fn the_official_sdk_stores_finds_and_guards_objects() {
    install("sdk");
    for database in Database::available() {
        let deployment = Deployment::new(database);
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/leancloud-export");
        deployment.run_ok(&["import-leancloud", &sample.display().to_string()]);
        let api = deployment.start_api();
        let output = Command::new("node")
            .args(["storage.mjs", &api.url(""), APP_ID, APP_KEY, MASTER_KEY])
            .current_dir(folder("sdk"))
            .output()
            .expect("node is needed: install Node.js");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{database:?}\n{text}");
    }
}

#[test]
fn the_official_sdk_starts_a_consultation_as_documented() {
    install("sdk");
    for database in Database::available() {
        let deployment = Deployment::new(database);
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/leancloud-export");
        deployment.run_ok(&["import-leancloud", &sample.display().to_string()]);
        let api = deployment.start_api();
        let output = Command::new("node")
            .args(["initiate.mjs", &api.url(""), APP_ID, APP_KEY])
            .current_dir(folder("sdk"))
            .output()
            .expect("node is needed: install Node.js");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{database:?}\n{text}");
    }
}
