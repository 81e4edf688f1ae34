//! The official realtime SDKs from npm, unmodified, against the real server behind TLS. Needs Node.js and openssl.

use tests::sdk::Stage;
use tests::server::{Database, Deployment};

fn run(sdk: &str) {
    for database in Database::available() {
        Stage::new(Deployment::new(database), |_| {}).run(sdk, "realtime.mjs", &[]);
    }
}

#[test]
fn the_usual_sdk_talks_as_documented() {
    run("sdk");
}

#[test]
fn the_newest_sdk_talks_as_documented() {
    run("sdk5");
}

fn read_the_table(sdk: &str) {
    for database in Database::available() {
        Stage::new(Deployment::new(database), |_| {}).run(sdk, "table.mjs", &[]);
    }
}

#[test]
fn the_usual_sdk_is_answered_as_the_table_says() {
    read_the_table("sdk");
}

#[test]
fn the_newest_sdk_is_answered_as_the_table_says() {
    read_the_table("sdk5");
}
