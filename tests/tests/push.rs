//! Who is told of a message outside of the app, and who is not: connected or not, looking or not, told already or not.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tests::dialog::{Dialog, text};
use tests::server::{Api, Database, Deployment};
use tests::socket::Socket;
use tests::world::{Answer, As, create_admin};

/// Presence is written down within 100 ms; this is ample.
const WRITTEN: Duration = Duration::from_secs(1);

fn start(database: Database) -> (Deployment, Api, Dialog) {
    let deployment = Deployment::new(database)
        .with("worker.embedded", "true")
        .with("worker.sweep_every", "1s")
        .with("business.unseen_after", "3s")
        .with("im.presence_lease", "6s");
    let (api, dialog) = Dialog::begin(&deployment);
    (deployment, api, dialog)
}

/// The decisions about messages, oldest first: whom, state, reason, channel.
fn decisions(dialog: &Dialog, cause: &str) -> Vec<(String, String, String)> {
    let path = format!("/api/v1/consultations/{}/notifications", dialog.consultation);
    let trail = dialog.http.get(&path, &dialog.patient).body;
    let items = trail["items"].as_array().unwrap().iter().filter(|n| n["cause"] == cause);
    items.map(|n| (text(&n["recipient"]), text(&n["state"]), text(&n["reason"]))).collect()
}

fn until<T>(what: &str, look: impl Fn() -> T, holds: impl Fn(&T) -> bool) -> T
where
    T: std::fmt::Debug,
{
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let seen = look();
        if holds(&seen) {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: {seen:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn write(dialog: &Dialog, who: &As, name: &str) -> i64 {
    let body = json!({ "clientMessageId": name, "type": "text", "content": { "text": "夜里又憋醒了" } });
    let sent = dialog.http.post(&format!("/api/v1/conversations/{}/messages", dialog.id), who, &body);
    assert_eq!(sent.status, 201, "{}", sent.body);
    sent.body["seq"].as_i64().unwrap()
}

fn read(dialog: &Dialog, who: &As, seq: i64) {
    let path = format!("/api/v1/conversations/{}/read", dialog.id);
    assert_eq!(dialog.http.post(&path, who, &json!({ "seq": seq })).status, 200);
}

fn was(recipient: &str, state: &str, reason: &str) -> (String, String, String) {
    (recipient.to_owned(), state.to_owned(), reason.to_owned())
}

#[test]
fn whoever_is_away_is_told_once_for_each_run_of_unread_messages() {
    for database in Database::available() {
        let (_deployment, _api, dialog) = start(database);
        // The beginning told the doctor, who has not read since: the first messages belong to the same run.
        let told = || decisions(&dialog, "initiated");
        until("the doctor is told of the beginning", told, |seen| *seen == [was("doctor", "sent", "INSIDE_WINDOW")]);
        write(&dialog, &dialog.patient, "1");
        let seq = write(&dialog, &dialog.patient, "2");
        let of_patient = || decisions(&dialog, "patient_message");
        assert!(of_patient().iter().all(|d| *d == was("doctor", "suppressed", "COALESCED")), "{:?}", of_patient());

        // Read and gone: the next message begins a new run.
        read(&dialog, &dialog.doctor, seq);
        write(&dialog, &dialog.patient, "3");
        let sent = was("doctor", "sent", "INSIDE_WINDOW");
        until("the doctor is told of a new run", of_patient, |seen| seen.last() == Some(&sent));
        let count = of_patient().iter().filter(|d| **d == sent).count();
        write(&dialog, &dialog.patient, "4");
        assert_eq!(of_patient().iter().filter(|d| **d == sent).count(), count, "one run is told once");

        // The doctor answers: the patient is told, by text message and without a word of what was written.
        write(&dialog, &dialog.doctor, "1");
        let of_doctor = || decisions(&dialog, "doctor_message");
        until("the patient is told", of_doctor, |seen| {
            seen.iter().any(|(who, state, _)| who == "patient" && state == "sent")
        });
        let inbox = dialog.http.get("/api/v1/dev/sms", &As::Nobody).body;
        assert!(!inbox.to_string().contains("憋醒"), "{inbox}");
    }
}

#[test]
fn whoever_looks_is_not_told_until_they_look_away() {
    for database in Database::available() {
        let (_deployment, mut api, dialog) = start(database);
        let of_patient = || decisions(&dialog, "patient_message");
        until(
            "the doctor is told of the beginning",
            || decisions(&dialog, "initiated"),
            |seen| seen.iter().any(|(_, state, _)| state == "sent"),
        );
        let (mut doctor, _) = Socket::open(&api, &dialog.doctor);
        doctor.say(&json!({ "type": "presence", "viewing": dialog.id }));
        doctor.until_pong();
        std::thread::sleep(WRITTEN);
        let seq = write(&dialog, &dialog.patient, "1");
        assert_eq!(of_patient(), [was("doctor", "suppressed", "ONLINE_VIEWING")]);
        // Who has it in front is not told, however often the patient writes.
        read(&dialog, &dialog.doctor, seq);
        let seq = write(&dialog, &dialog.patient, "2");
        assert!(of_patient().iter().all(|(_, state, _)| state == "suppressed"), "{:?}", of_patient());

        // Looking away counts at once, not after a while.
        read(&dialog, &dialog.doctor, seq);
        doctor.say(&json!({ "type": "presence", "viewing": null }));
        doctor.until_pong();
        std::thread::sleep(WRITTEN);
        write(&dialog, &dialog.patient, "3");
        let sent = was("doctor", "sent", "INSIDE_WINDOW");
        until("the doctor is told after looking away", of_patient, |seen| seen.last() == Some(&sent));
        drop(doctor);
        api.process.kill();
    }
}

#[test]
fn a_customer_who_is_away_is_told_once_that_the_desk_has_answered() {
    for database in Database::available() {
        let (deployment, api, dialog) = start(database);
        let (name, password) = create_admin(&deployment);
        let agent = dialog.http.sign_in_staff(&name, &password);
        let call = |method: Method, path: &str, who: &As, body: &Value| {
            let answer =
                Answer::of(dialog.http.request(method, &format!("/api/v1{path}"), who).json(body).send().unwrap());
            assert!((200..300).contains(&answer.status), "{path}: {} {}", answer.status, answer.body);
            answer.body
        };
        let decisions = || {
            let trail = dialog.http.get("/api/v1/admin/notifications", &agent).body;
            let items = trail["items"].as_array().unwrap().iter().filter(|n| n["cause"] == "assistant_answer");
            items.map(|n| was(&text(&n["recipient"]), &text(&n["state"]), &text(&n["reason"]))).collect::<Vec<_>>()
        };
        let chat = call(Method::POST, "/assistant/conversation", &dialog.patient, &json!({}));
        let chat = text(&chat["conversation"]["id"]);
        let said =
            |name: &str| json!({ "clientMessageId": name, "type": "text", "content": { "text": "夜里又憋醒了" } });
        let messages = format!("/conversations/{chat}/messages");
        let answers = format!("/desk/chats/{chat}/messages");
        call(Method::PUT, "/desk/me/status", &agent, &json!({ "status": "online" }));
        call(Method::POST, &messages, &dialog.patient, &said("1"));

        // Who looks is not told; who has gone without reading is, by text message and without a word of what was said.
        let (mut patient, _) = Socket::open(&api, &dialog.patient);
        patient.say(&json!({ "type": "presence", "viewing": chat }));
        patient.until_pong();
        std::thread::sleep(WRITTEN);
        call(Method::POST, &answers, &agent, &said("2"));
        std::thread::sleep(Duration::from_secs(5));
        assert!(decisions().is_empty(), "{:?}", decisions());
        drop(patient);
        let sent = was("patient", "sent", "ALWAYS");
        until("the patient is told", decisions, |seen| *seen == [sent.clone()]);
        let inbox = dialog.http.get("/api/v1/dev/sms", &As::Nobody).body;
        assert!(!inbox.to_string().contains("憋醒"), "{inbox}");

        // Once, though it stays unread and the desk says more.
        call(Method::PUT, "/desk/me/status", &agent, &json!({ "status": "online" }));
        call(Method::POST, &answers, &agent, &said("3"));
        std::thread::sleep(Duration::from_secs(5));
        assert_eq!(decisions(), [sent]);
    }
}

#[test]
fn a_node_that_died_looks_at_nothing_and_what_was_left_unseen_is_told() {
    for database in Database::available() {
        let (deployment, mut api, mut dialog) = start(database);
        until(
            "the doctor is told of the beginning",
            || decisions(&dialog, "initiated"),
            |seen| seen.iter().any(|(_, state, _)| state == "sent"),
        );
        let (mut doctor, ready) = Socket::open(&api, &dialog.doctor);
        // The beginning is read, so what comes is a run of its own.
        let start = dialog.http.get(&format!("/api/v1/conversations/{}", dialog.id), &dialog.doctor).body;
        read(&dialog, &dialog.doctor, start["lastSeq"].as_i64().unwrap());
        doctor.say(&json!({ "type": "presence", "viewing": dialog.id }));
        doctor.until_pong();
        std::thread::sleep(WRITTEN);
        write(&dialog, &dialog.patient, "1");
        assert_eq!(decisions(&dialog, "patient_message"), [was("doctor", "suppressed", "ONLINE_VIEWING")], "{ready}");
        api.process.kill();
        let api = deployment.start_api();
        dialog.http = tests::world::Http::new(&api);
        // Nobody has written since; the message itself is taken up again.
        let sent = was("doctor", "sent", "INSIDE_WINDOW");
        until(
            "what was left unseen is told",
            || decisions(&dialog, "patient_message"),
            |seen| seen.last() == Some(&sent),
        );
        let consistent: Vec<Value> = tests::world::violations(&deployment);
        assert_eq!(consistent, Vec::<Value>::new());
    }
}
