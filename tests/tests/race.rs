//! Simultaneous initiates of one pair, alone and against everything that can end or forbid a consultation.
//!
//! `PROOF_ROUNDS` sets the number of rounds; the whole proof is 1,000.

use std::sync::{Arc, Barrier};
use std::thread;

use serde_json::{Value, json};
use tests::load::export::{doctor_id, doctor_phone, patient_id};
use tests::server::{Api, Database, Deployment};
use tests::world::{As, Http, create_admin, populate, violations};

/// Simultaneous calls of a round.
const CALLS: usize = 64;
const DOCTORS: u32 = 4;

fn rounds(default: u32) -> u32 {
    std::env::var("PROOF_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// Sends the calls of one round at once, in turn to each API, with `beside` among them; answers the bodies.
fn round(https: &[Http], doctor: &str, patient: &str, beside: impl FnOnce() + Send) -> Vec<Value> {
    let barrier = Arc::new(Barrier::new(CALLS + 1));
    thread::scope(|scope| {
        let calls: Vec<_> = (0..CALLS)
            .map(|n| {
                let (http, barrier) = (&https[n % https.len()], Arc::clone(&barrier));
                scope.spawn(move || {
                    barrier.wait();
                    http.initiate(doctor, patient).body
                })
            })
            .collect();
        barrier.wait();
        beside();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

fn fresh(answers: &[Value]) -> usize {
    answers.iter().filter(|a| a["result"]["isOld"] == json!(false)).count()
}

/// One process on SQLite, two on PostgreSQL.
fn start(deployment: &Deployment) -> (Vec<Api>, Vec<Http>) {
    let count = if deployment.database() == Database::Postgres { 2 } else { 1 };
    let apis: Vec<Api> = (0..count).map(|_| deployment.start_api()).collect();
    let https = apis.iter().map(Http::new).collect();
    (apis, https)
}

#[test]
fn simultaneous_initiates_start_one_consultation() {
    for database in Database::available() {
        let rounds = rounds(5);
        let deployment = Deployment::new(database);
        populate(&deployment, DOCTORS, rounds.div_ceil(DOCTORS));
        let (_apis, https) = start(&deployment);
        for n in 0..rounds {
            let (doctor, patient) = (doctor_id(n % DOCTORS), patient_id(n / DOCTORS));
            let answers = round(&https, &doctor, &patient, || {});
            assert_eq!(fresh(&answers), 1, "{database:?} round {n}: {answers:?}");
            let ids: Vec<&Value> = answers.iter().map(|a| &a["result"]["consultationId"]).collect();
            assert!(ids.iter().all(|id| id.is_string() && *id == ids[0]), "{database:?} round {n}: {answers:?}");
            assert_told_once(&https[0], ids[0].as_str().unwrap());
        }
        let relations = https[0].get(&format!("/api/v1/patients/{}/relations", patient_id(0)), &As::Integrator);
        let expected = rounds.min(DOCTORS) as usize;
        assert_eq!(relations.body["items"].as_array().map(Vec::len), Some(expected), "{relations:?}");
        assert_eq!(violations(&deployment), Vec::<Value>::new());
    }
}

/// The doctor was told, or queued to be told, once.
fn assert_told_once(http: &Http, consultation: &str) {
    let trail = http.get(&format!("/api/v1/consultations/{consultation}/notifications"), &As::Integrator);
    let items = trail.body["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{trail:?}");
    let events = http.get(&format!("/api/v1/consultations/{consultation}/events"), &As::Integrator);
    assert_eq!(events.body["items"].as_array().map(Vec::len), Some(1), "{events:?}");
}

#[test]
fn initiates_racing_an_end_leave_one_open_consultation() {
    for database in Database::available() {
        let rounds = rounds(3).min(200);
        let deployment = Deployment::new(database);
        populate(&deployment, 1, rounds);
        let (_apis, https) = start(&deployment);
        let doctor = https[0].sign_in(&doctor_phone(0), "doctor");
        for n in 0..rounds {
            let patient = patient_id(n);
            let first = https[0].initiate(&doctor_id(0), &patient).body["result"]["consultationId"].clone();
            let path = format!("/api/v1/consultations/{}/end", first.as_str().unwrap());
            let answers = round(&https, &doctor_id(0), &patient, || {
                let ended = https[0].post(&path, &doctor, &json!({ "reason": "稍后再说" }));
                assert_eq!(ended.status, 200, "{ended:?}");
            });
            assert!(fresh(&answers) <= 1, "{database:?} round {n}: {answers:?}");
            let other: Vec<_> = answers.iter().filter(|a| a["result"]["consultationId"].is_null()).collect();
            assert!(other.is_empty(), "{database:?} round {n}: {other:?}");
            assert!(open_of(&https[0], &patient) <= 1);
        }
        assert_eq!(violations(&deployment), Vec::<Value>::new());
    }
}

#[test]
fn initiates_racing_a_block_leave_nothing_open() {
    for database in Database::available() {
        let rounds = rounds(3).min(200);
        let deployment = Deployment::new(database);
        populate(&deployment, 1, rounds);
        let (_apis, https) = start(&deployment);
        let doctor = https[0].sign_in(&doctor_phone(0), "doctor");
        for n in 0..rounds {
            let patient = patient_id(n);
            https[0].initiate(&doctor_id(0), &patient);
            let relations = https[0].get(&format!("/api/v1/patients/{patient}/relations"), &As::Integrator);
            let relation = relations.body["items"][0]["objectId"].as_str().unwrap().to_owned();
            let answers = round(&https, &doctor_id(0), &patient, || {
                let blocked =
                    https[0].patch(&format!("/api/v1/relations/{relation}"), &doctor, &json!({ "block": true }));
                assert_eq!(blocked.status, 200, "{blocked:?}");
            });
            assert_eq!(fresh(&answers), 0, "{database:?} round {n}: {answers:?}");
            assert_eq!(open_of(&https[0], &patient), 0, "{database:?} round {n}");
        }
        assert_eq!(violations(&deployment), Vec::<Value>::new());
    }
}

#[test]
fn initiates_racing_a_revocation_leave_nothing_unanswered_open() {
    for database in Database::available() {
        let rounds = rounds(3).min(200);
        let deployment = Deployment::new(database);
        populate(&deployment, rounds, 1);
        let (name, password) = create_admin(&deployment);
        let (_apis, https) = start(&deployment);
        let admin = https[0].sign_in_staff(&name, &password);
        for n in 0..rounds {
            let doctor = doctor_id(n);
            let answers = round(&https, &doctor, &patient_id(0), || {
                let path = format!("/api/v1/admin/certifications/{doctor}/revoke");
                let revoked = https[0].post(&path, &admin, &json!({ "reason": "证件过期" }));
                assert_eq!(revoked.status, 200, "{revoked:?}");
            });
            assert!(fresh(&answers) <= 1, "{database:?} round {n}: {answers:?}");
            let open = https[0].get(&format!("/api/v1/consultations?doctorId={doctor}&status=0"), &As::Integrator);
            assert_eq!(open.body["items"].as_array().map(Vec::len), Some(0), "{database:?} round {n}: {open:?}");
        }
        assert_eq!(violations(&deployment), Vec::<Value>::new());
    }
}

fn open_of(http: &Http, patient: &str) -> usize {
    let listed = http.get(&format!("/api/v1/consultations?patientId={patient}"), &As::Integrator);
    let is_open = |c: &&Value| c["status"] != json!("2") && c["isInvalid"] == json!(false);
    listed.body["items"].as_array().unwrap().iter().filter(is_open).count()
}
