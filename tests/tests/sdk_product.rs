//! The whole product through the official SDKs from npm, unmodified, against the real server behind TLS: a consultation from
//! sign-in to end, and a chat with the assistant that is answered at the desk. Needs Node.js and openssl.

use serde_json::json;
use tests::load::export::{doctor_phone, patient_phone, write_talking};
use tests::sdk::Stage;
use tests::server::{Database, Deployment};
use tests::world::{As, Http, create_admin};

/// A server with an application whose people have accounts: a doctor, and patients of whom the last is nobody's yet.
fn stage(database: Database) -> Stage {
    Stage::new(Deployment::new(database), |deployment| {
        let folder = deployment.path().join("export");
        write_talking(&folder, 1, 2).expect("the export is written");
        deployment.run_ok(&["import-leancloud", &folder.display().to_string()]);
    })
}

/// An agent's name and password.
fn agent(stage: &Stage) -> (&'static str, String) {
    let (name, password) = create_admin(&stage.deployment);
    let http = Http::new(&stage.api);
    let admin: As = http.sign_in_staff(&name, &password);
    let new = json!({ "username": "agent-wang", "displayName": "王", "role": "agent" });
    let made = http.post("/api/v1/admin/agents", &admin, &new).body;
    ("agent-wang", made["password"].as_str().expect("a password").to_owned())
}

fn run_the_product(sdk: &str) {
    for database in Database::available() {
        stage(database).run(sdk, "product.mjs", &[&patient_phone(1), &doctor_phone(0)]);
    }
}

fn ask_the_assistant(sdk: &str) {
    for database in Database::available() {
        let stage = stage(database);
        let (name, password) = agent(&stage);
        stage.run(sdk, "assistant.mjs", &[&patient_phone(1), name, &password]);
    }
}

#[test]
fn the_usual_sdk_runs_the_whole_product() {
    run_the_product("sdk");
}

#[test]
fn the_newest_sdk_runs_the_whole_product() {
    run_the_product("sdk5");
}

#[test]
fn the_usual_sdk_talks_to_the_assistant() {
    ask_the_assistant("sdk");
}

#[test]
fn the_newest_sdk_talks_to_the_assistant() {
    ask_the_assistant("sdk5");
}
