//! The official realtime SDKs from npm, unmodified, against the real server behind TLS. Needs Node.js and openssl.

use tests::load::export::{patient_phone, write_talking};
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
        let stage = Stage::new(Deployment::new(database), |deployment| {
            let folder = deployment.path().join("export");
            write_talking(&folder, 1, 1).expect("the export is written");
            deployment.run_ok(&["import-leancloud", &folder.display().to_string()]);
        });
        stage.run(sdk, "table.mjs", &[&patient_phone(0)]);
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
