//! The official realtime SDKs from npm, unmodified, against the real server behind TLS. Needs Node.js and openssl.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tests::load::export::{doctor_phone, patient_phone};
use tests::sdk::{folder, install};
use tests::server::{APP_ID, APP_KEY, Database, Deployment, MASTER_KEY, free_port};
use tests::world::populate;

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

fn run(sdk: &str, script: &str) {
    install("sdk");
    install(sdk);
    for database in Database::available() {
        let port = free_port();
        let url = format!("https://localhost:{port}");
        let deployment = Deployment::new(database).with("http.public_url", &format!("\"{url}\""));
        populate(&deployment, 2, 2);
        let api = deployment.start_api();
        let (certificate, key) = certificate(deployment.path());
        let _front = Front::start(port, &api.address, &certificate, &key);
        let output = Command::new("node")
            .args([script, &folder(sdk).display().to_string(), &url, &api.url(""), APP_ID, APP_KEY, MASTER_KEY])
            .args([patient_phone(1), doctor_phone(1)])
            .env("NODE_EXTRA_CA_CERTS", &certificate)
            .current_dir(folder("sdk"))
            .output()
            .expect("node is needed: install Node.js");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{database:?}\n{text}");
    }
}

#[test]
fn the_usual_sdk_runs_the_whole_product() {
    run("sdk", "realtime.mjs");
}

#[test]
fn the_newest_sdk_runs_the_whole_product() {
    run("sdk5", "realtime.mjs");
}
