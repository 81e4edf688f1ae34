//! What a deployment leaves behind, to be searched for what must not be in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::server::{Database, Deployment};

/// Everything that its processes wrote to their logs.
///
/// # Panics
/// When the folder cannot be read.
pub fn logs_of(deployment: &Deployment) -> String {
    let logs = files_in(deployment.path()).into_iter().filter(|path| path.extension().is_some_and(|end| end == "log"));
    logs.map(|path| fs::read_to_string(path).expect("a log is text")).collect()
}

/// Every column of every table, as a dump shows them, and for SQLite also the files as they are; bytes stand in the dump
/// as hexadecimal digits.
///
/// # Panics
/// When it cannot be dumped.
pub fn columns_of(deployment: &Deployment) -> String {
    let dumped = match deployment.database() {
        Database::Sqlite => {
            let files = files_in(&deployment.path().join("data")).into_iter();
            let is_database = |path: &PathBuf| path.to_string_lossy().contains("zhaoguan.db");
            let mut all: Vec<u8> =
                files.filter(is_database).flat_map(|path| fs::read(path).expect("a file of the database")).collect();
            let file = deployment.path().join("data/zhaoguan.db");
            all.extend(output(Command::new("sqlite3").arg(file).arg(".dump")).stdout);
            all
        }
        Database::Postgres => output(Command::new("pg_dump").args(["--data-only", deployment.database_url()])).stdout,
    };
    String::from_utf8_lossy(&dumped).into_owned()
}

/// Whether `secret` stands in a text, as it is or as hexadecimal digits.
pub fn shows(text: &str, secret: &str) -> bool {
    let hidden = hex(secret);
    text.contains(secret) || text.contains(&hidden) || text.contains(&hidden.to_uppercase())
}

fn hex(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    text.bytes().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
}

fn output(command: &mut Command) -> Output {
    let output = command.output().expect("the program of the database runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}
