//! Two nodes over one PostgreSQL database and NATS: what happens on one is seen on the other, with and without NATS.
//! Runs where `DATABASE_URL_PG` is set.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::dialog::{Dialog, text};
use tests::server::{Api, Database, Deployment};
use tests::services::Nats;
use tests::socket::Socket;
use tests::world::{As, Http, populate};

fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn fanout_of(api: &Api) -> Value {
    Http::new(api).get("/readyz", &As::Nobody).body["fanout"].clone()
}

/// The next thing a person wrote.
fn next_text(socket: &mut Socket) -> String {
    loop {
        let event = socket.expect("event");
        if event["message"]["sender"].is_string() {
            return text(&event["message"]["content"]["text"]);
        }
    }
}

#[test]
fn nodes_share_the_log_with_and_without_nats() {
    if !Database::available().contains(&Database::Postgres) {
        return;
    }
    let mut nats = Nats::start();
    let deployment =
        Deployment::new(Database::Postgres).with("fanout.url", &nats.url()).with("sms.limits.per_number", "[\"9/1m\"]");
    populate(&deployment, 2, 2);
    let (here, there) = (deployment.start_api(), deployment.start_api());
    for api in [&here, &there] {
        wait_until("the node hears the others", || fanout_of(api) == json!("connected"));
    }
    let dialog = Dialog::begin_on(&here);
    let (mut patient, _) = Socket::open(&here, &dialog.patient);
    let (mut doctor, doctor_ready) = Socket::open(&there, &dialog.doctor);

    patient.sent(&dialog.id, "1", "一");
    assert_eq!(next_text(&mut doctor), "一");
    doctor.sent(&dialog.id, "1", "二");
    assert_eq!(next_text(&mut patient), "二");
    doctor.say(&json!({ "type": "typing", "conversationId": dialog.id }));
    assert_eq!(patient.expect("typing")["clientId"], doctor_ready["clientIds"][0]);

    // A device is kicked through the node it is not connected to.
    let other = dialog.http.sign_in(&tests::load::export::patient_phone(0), "patient");
    let (mut kicked, ready) = Socket::open(&there, &other);
    let path = format!("/api/v1/auth/sessions/{}", text(&ready["sessionId"]));
    dialog.http.request(reqwest::Method::DELETE, &path, &dialog.patient).send().unwrap();
    kicked.expect_bye("session_ended");

    nats.stop();
    for api in [&here, &there] {
        wait_until("the loss is reported", || fanout_of(api) == json!("lost"));
    }
    for n in 0..20 {
        patient.sent(&dialog.id, &format!("lost-{n}"), &format!("断网{n}"));
        assert_eq!(next_text(&mut doctor), format!("断网{n}"));
    }
    nats.run();
    for api in [&here, &there] {
        wait_until("the node hears the others again", || fanout_of(api) == json!("connected"));
    }
    patient.sent(&dialog.id, "back", "回来了");
    assert_eq!(next_text(&mut doctor), "回来了");
}

#[test]
fn a_client_goes_on_at_another_node_when_its_own_dies() {
    if !Database::available().contains(&Database::Postgres) {
        return;
    }
    let nats = Nats::start();
    let deployment = Deployment::new(Database::Postgres).with("fanout.url", &nats.url());
    populate(&deployment, 2, 2);
    let (mut here, there) = (deployment.start_api(), deployment.start_api());
    let dialog = Dialog::begin_on(&there);
    let (mut patient, _) = Socket::open(&here, &dialog.patient);
    let (mut doctor, ready) = Socket::open(&here, &dialog.doctor);
    patient.sent(&dialog.id, "1", "一");
    assert_eq!(next_text(&mut doctor), "一");
    let cursor = {
        doctor.say(&json!({ "type": "ping" }));
        doctor.expect("pong")["cursor"].as_i64().unwrap()
    };
    patient.sent(&dialog.id, "2", "二");
    here.process.kill();
    let (mut patient, _) = Socket::open(&there, &dialog.patient);
    let again = patient.sent(&dialog.id, "2", "二");
    assert_eq!(again["duplicate"], json!(true), "it was acknowledged, so it is there: {again}");
    patient.sent(&dialog.id, "3", "三");
    let mut doctor = Socket::resume(&there, &dialog.doctor, cursor, &text(&ready["epoch"]));
    doctor.expect("ready");
    assert_eq!((next_text(&mut doctor), next_text(&mut doctor)), ("二".to_owned(), "三".to_owned()));
}
