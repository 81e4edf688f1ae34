//! The official SDKs from npm, installed exactly as their lock files say, and scripts that drive them against a server
//! behind TLS. Needs Node.js and openssl.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::server::{APP_ID, APP_KEY, Api, Deployment, MASTER_KEY, free_port};

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

/// A server that a script is to be run against, under the address that the SDKs are given.
pub struct Stage {
    pub deployment: Deployment,
    pub api: Api,
    /// `https://localhost:…`.
    url: String,
    certificate: String,
    _front: Front,
}

impl Stage {
    /// Starts the server, after `prepare` has filled its database.
    ///
    /// # Panics
    /// When something does not start.
    pub fn new(deployment: Deployment, prepare: impl FnOnce(&Deployment)) -> Self {
        let port = free_port();
        let url = format!("https://localhost:{port}");
        let deployment = deployment.with("http.public_url", &format!("\"{url}\""));
        prepare(&deployment);
        let api = deployment.start_api();
        let (certificate, key) = certificate(deployment.path());
        let front = Front::start(port, &api.address, &certificate, &key);
        Self { deployment, api, url, certificate, _front: front }
    }

    /// Runs a script with a set of SDKs: it is given the set's folder, the addresses with and without TLS, the
    /// application's id and keys, and `more`.
    ///
    /// # Panics
    /// When it fails, with what it printed.
    pub fn run(&self, sdk: &str, script: &str, more: &[&str]) {
        install("sdk");
        install(sdk);
        let output = Command::new("node")
            .args([script, &folder(sdk).display().to_string(), &self.url, &self.api.url("")])
            .args([APP_ID, APP_KEY, MASTER_KEY])
            .args(more)
            .env("NODE_EXTRA_CA_CERTS", &self.certificate)
            .current_dir(folder("sdk"))
            .output()
            .expect("node is needed: install Node.js");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}\n{text}", self.deployment.database());
    }
}

/// A certificate for localhost, signed by itself, for this run only.
fn certificate(dir: &Path) -> (String, String) {
    let (certificate, key) = (dir.join("localhost.pem"), dir.join("localhost.key"));
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", &certificate, "-keyout", &key])
        .output()
        .expect("openssl is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (certificate, key)
}

/// Ends TLS in front of the server; killed when dropped.
struct Front(Child);

impl Front {
    fn start(port: u16, target: &str, certificate: &str, key: &str) -> Self {
        let target = target.rsplit(':').next().expect("a port");
        let mut child = Command::new("node")
            .args(["tls.mjs", &port.to_string(), target, certificate, key])
            .current_dir(folder("sdk"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is needed: install Node.js");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its output");
        assert_eq!(line.trim(), "listening");
        Self(child)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
