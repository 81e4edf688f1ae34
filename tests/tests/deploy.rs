//! The files of `deploy/`: every setting they name is one the programs know, every program and path they name is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tests::server::{Database, Deployment};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join("deploy").join(name)).unwrap()
}

/// What stands in for the secrets of `.env`; all are made up.
fn filled_in(value: &str) -> String {
    let random = |n: usize| format!("{n}f3Kq8Zt7Wm2Xv9Rb4Yc6Pd1Lh5Ns0Jg{n}");
    let mut value = value.to_owned();
    for (n, name) in ["APP_ID", "APP_KEY", "MASTER_KEY", "SECRET", "POSTGRES_PASSWORD"].into_iter().enumerate() {
        value = value.replace(&format!("${{{name}:?}}"), &random(n));
    }
    value.replace("${PUBLIC_URL:?}", "https://api.example.com")
}

/// The settings that a file gives in the environment, each as a key of the configuration and its value.
fn settings(text: &str, between: &str) -> Vec<(String, String)> {
    let setting = |line: &str| {
        let line = line.trim().trim_start_matches("ENV ").trim_start_matches("Environment=").trim_end_matches(" \\");
        let (name, value) = line.strip_prefix("ZHAOGUAN__")?.split_once(between)?;
        Some((name.to_lowercase().replace("__", "."), filled_in(value.trim().trim_matches('\''))))
    };
    text.lines().filter_map(setting).collect()
}

/// A deployment under these settings, but on what a test has: a file as database and a folder for files.
fn configured(given: &[(String, String)]) -> Deployment {
    let elsewhere = ["database.url", "files.url", "fanout.url"];
    let given = given.iter().filter(|(key, _)| !elsewhere.contains(&key.as_str()));
    let deployment = given.fold(Deployment::new(Database::Sqlite), |d, (key, value)| d.with(key, value));
    let files = format!("fs://{}/files", deployment.path().display());
    deployment.with("files.url", &files)
}

#[test]
fn the_settings_of_the_containers_are_fine_in_production() {
    let mut given = settings(&read("compose.yaml"), ": ");
    let keys: BTreeSet<&str> = given.iter().map(|(key, _)| key.as_str()).collect();
    for key in ["profile", "http.public_url", "database.url", "fanout.url", "files.url", "app.id", "security.secret"] {
        assert!(keys.contains(key), "{key} is not in {keys:?}");
    }
    assert!(given.iter().all(|(_, value)| !value.contains("${")), "something is not filled in: {given:?}");
    given.extend(settings(&read("Dockerfile"), "="));
    let deployment = configured(&given);
    deployment.run_ok(&["migrate"]);
    assert!(deployment.run_ok(&["check"]).contains("configuration: fine"));
}

#[test]
fn a_setting_that_does_not_exist_would_be_found() {
    let mut given = settings(&read("compose.yaml"), ": ");
    given.push(("http.trusted_proxy".into(), "[]".into()));
    let output = configured(&given).run(&["check"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("http.trusted_proxy"), "{output:?}");
}

#[test]
fn the_settings_of_the_unit_and_the_example_are_known() {
    let unit = read("zhaoguan-api.service");
    let deployment = configured(&settings(&unit, "="));
    for secret in ["ZHAOGUAN__APP__KEY", "ZHAOGUAN__APP__MASTER_KEY", "ZHAOGUAN__SECURITY__SECRET"] {
        assert!(unit.contains(secret), "{secret}");
    }
    fs::write(deployment.path().join("zhaoguan.toml"), read("zhaoguan.example.toml")).unwrap();
    deployment.run_ok(&["--config", "zhaoguan.toml", "migrate"]);
    deployment.run_ok(&["--config", "zhaoguan.toml", "check"]);
}

/// The programs that the workspace builds for users.
const PROGRAMS: [&str; 2] = ["zhaoguan-api", "zhaoguan-worker"];

#[test]
fn programs_packages_and_folders_that_are_named_exist() {
    let dockerfile = read("Dockerfile");
    let copied = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    for line in copied {
        let words: Vec<&str> = line.split_whitespace().filter(|word| !word.starts_with("--")).collect();
        for source in &words[..words.len() - 1] {
            match source.rsplit_once("release/") {
                Some((_, program)) => assert!(PROGRAMS.contains(&program), "{line}"),
                None if source.starts_with("/src/console/") => {}
                None => assert!(root().join(source).exists(), "{line}"),
            }
        }
    }
    for package in dockerfile.split("--package ").skip(1) {
        let name = package.split_whitespace().next().unwrap();
        assert!(root().join("bins").join(name).is_dir(), "{name}");
    }
    let commands = ["CMD [\"", "command: [\"", "ExecStart=/usr/local/bin/"];
    let texts = [dockerfile, read("compose.yaml"), read("zhaoguan-api.service")];
    for (text, before) in texts.iter().zip(commands) {
        let (_, command) = text.split_once(before).unwrap_or_else(|| panic!("{before} is not in {text}"));
        let program: String = command.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        assert!(PROGRAMS.contains(&program.as_str()), "{program}");
    }
}

#[test]
fn the_ports_of_the_containers_are_those_that_are_listened_at() {
    let (dockerfile, compose) = (read("Dockerfile"), read("compose.yaml"));
    let port = dockerfile.split_once("HTTP__LISTEN=0.0.0.0:").unwrap().1.split_whitespace().next().unwrap().to_owned();
    assert!(dockerfile.contains(&format!("EXPOSE {port}")));
    let published: Vec<&str> = compose.lines().filter(|line| line.trim_start().starts_with("ports:")).collect();
    assert_eq!(published.len(), 2, "two nodes");
    assert!(published.iter().all(|line| line.trim_end().ends_with(&format!(":{port}\"]"))), "{published:?}");
}
