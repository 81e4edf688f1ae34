//! `kill -9` of the API and of the worker at random points: nothing half-written, nothing lost, nothing twice.
//!
//! `PROOF_ROUNDS` sets the number of rounds; the whole proof is 50 on each database.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::load::export::{doctor_id, patient_id};
use tests::server::{Database, Deployment};
use tests::world::{As, Http, populate, violations};

const DOCTORS: u32 = 5;
const CLIENTS: u32 = 8;
/// Pairs a round may use up.
const PAIRS_A_ROUND: u32 = 2_000;

fn rounds() -> u32 {
    std::env::var("PROOF_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(2).min(50)
}

#[test]
fn killing_the_api_and_the_worker_loses_and_doubles_nothing() {
    for database in Database::available() {
        crash_rounds(database, rounds());
    }
}

fn crash_rounds(database: Database, rounds: u32) {
    // A short lease, so that a dead worker's jobs are taken over soon.
    let deployment = Deployment::new(database).with("worker.lease", "2s").with("worker.embedded", "true");
    populate(&deployment, DOCTORS, rounds * PAIRS_A_ROUND / DOCTORS);
    let acked = Arc::new(Mutex::new(Vec::new()));
    let next = Arc::new(AtomicU32::new(0));
    for round in 0..rounds {
        let mut api = deployment.start_api();
        // On PostgreSQL a second process does jobs, and is killed as well.
        let mut worker = (database == Database::Postgres).then(|| deployment.start_worker());
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (http, acked, next, stop) = (Http::new(&api), acked.clone(), next.clone(), stop.clone());
                let limit = (round + 1) * PAIRS_A_ROUND;
                thread::spawn(move || client(&http, &acked, &next, &stop, limit))
            })
            .collect();
        // Different points of the work each round, between 50 and about 700 ms in.
        let pause = Duration::from_millis(50 + u64::from(round * 137 % 650));
        let killed_at = Instant::now() + pause;
        while Instant::now() < killed_at {
            thread::yield_now();
        }
        api.process.kill();
        if let Some(worker) = &mut worker {
            worker.kill();
        }
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().unwrap();
        }
        next.fetch_max((round + 1) * PAIRS_A_ROUND, Ordering::Relaxed);
        assert_eq!(violations(&deployment), Vec::<Value>::new(), "{database:?} after round {round}");
    }
    let api = deployment.start_api();
    let http = Http::new(&api);
    assert_all_there(&http, &acked.lock().unwrap());
    wait_until_settled(&http);
    assert_eq!(violations(&deployment), Vec::<Value>::new(), "{database:?} at the end");
}

/// Starts consultations until told to stop, noting those that were acknowledged.
fn client(http: &Http, acked: &Mutex<Vec<String>>, next: &AtomicU32, stop: &AtomicBool, limit: u32) {
    while !stop.load(Ordering::Relaxed) {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= limit {
            return;
        }
        let (doctor, patient) = (doctor_id(n % DOCTORS), patient_id(n / DOCTORS));
        let body = serde_json::json!({ "doctorId": doctor, "patientId": patient });
        let request = http.request(reqwest::Method::POST, "/1.1/functions/initiateConsultation", &As::App).json(&body);
        // A call that breaks off was not acknowledged: its effect may or may not be there.
        let Ok(answer) = request.send().and_then(reqwest::blocking::Response::text) else { return };
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        if let Some(id) = answer["result"]["consultationId"].as_str() {
            acked.lock().unwrap().push(id.to_owned());
        }
    }
}

/// Every acknowledged consultation is there, with its event.
fn assert_all_there(http: &Http, acked: &[String]) {
    assert!(!acked.is_empty(), "no call was acknowledged: the rounds proved nothing");
    for id in acked {
        let found = http.get(&format!("/api/v1/consultations/{id}/events"), &As::Integrator);
        assert_eq!(found.body["items"][0]["event"], "initiated", "{id}: {found:?}");
    }
}

/// All jobs that are due get done.
fn wait_until_settled(http: &Http) {
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let due = metric(http, "outbox_jobs_due");
        if due == Some(0.0) {
            return;
        }
        assert!(Instant::now() < deadline, "jobs are still due: {due:?}");
        thread::sleep(Duration::from_millis(200));
    }
}

fn metric(http: &Http, name: &str) -> Option<f64> {
    let text = http.request(reqwest::Method::GET, "/metrics", &As::Nobody).send().ok()?.text().ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}
