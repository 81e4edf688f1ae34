//! The official SDKs from npm, installed exactly as their lock files say.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of a set of SDKs.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Installs what the lock file says, unless it is installed since it changed. Tests that need it at the same time wait
/// for each other.
///
/// # Panics
/// When npm is missing or fails.
pub fn install(name: &str) {
    let only_one = File::open(folder(name).join("package.json")).expect("a set of SDKs");
    only_one.lock().expect("a lock");
    let changed_at = |file: &str| folder(name).join(file).metadata().and_then(|about| about.modified()).ok();
    let installed_at = changed_at("node_modules/.package-lock.json");
    if installed_at.is_some() && installed_at >= changed_at("package-lock.json") {
        return;
    }
    let arguments = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps"];
    let installed = Command::new("npm").args(arguments).current_dir(folder(name)).output();
    let output = installed.expect("npm is needed: install Node.js");
    assert!(output.status.success(), "npm ci failed\n{}", String::from_utf8_lossy(&output.stderr));
}
