//! Whether the doctor was told is decided, kept with its reason, counted and shown; hours that cannot be read are somebody's work.

use std::fs;
use std::path::Path;

use serde_json::json;
use tests::load::export::{doctor_id, patient_id};
use tests::server::{Database, Deployment};
use tests::world::{As, Http, create_admin, populate};

fn log_of(folder: &Path) -> String {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let logs = names.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn unreadable_hours_hold_nothing_back_and_are_counted_logged_and_shown() {
    let deployment = Deployment::new(Database::Sqlite).with("worker.embedded", "true");
    populate(&deployment, 1, 1);
    let doctor = json!({
        "objectId": doctor_id(0), "authenticated": "1", "startConsultation": true, "startConsultationTime": "9点",
        "endConsultationTime": "18:00", "phone": "13800000000", "createdAt": "2020-01-01T00:00:00.000Z",
        "updatedAt": "2030-01-01T00:00:00.000Z",
    });
    fs::create_dir_all(deployment.path().join("later")).unwrap();
    fs::write(deployment.path().join("later/Doctor.0.jsonl"), doctor.to_string() + "\n").unwrap();
    deployment.run_ok(&["import-leancloud", "later"]);
    let (name, password) = create_admin(&deployment);
    let api = deployment.start_api();
    let http = Http::new(&api);
    let started = http.initiate(&doctor_id(0), &patient_id(0));
    assert_eq!(started.status, 200, "{started:?}");

    let admin = http.sign_in_staff(&name, &password);
    let shown = http.get("/api/v1/admin/notifications", &admin).body;
    assert_eq!(shown["items"][0]["reason"], json!("HOURS_INVALID"), "{shown}");
    let metrics = reqwest::blocking::get(api.url("/metrics")).unwrap().text().unwrap();
    let counted = metrics.lines().filter(|line| line.starts_with("notification_decisions_total{"));
    assert!(
        counted.clone().any(|line| line.contains("reason=\"HOURS_INVALID\"") && line.contains("to=\"doctor\"")),
        "{metrics}"
    );
    let log = log_of(deployment.path());
    assert!(log.contains("office hours of a doctor cannot be read") && log.contains(&doctor_id(0)), "{log}");
    assert_eq!(http.get("/healthz", &As::Nobody).status, 200);
}
