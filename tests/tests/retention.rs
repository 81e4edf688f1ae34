//! Records whose time is over: destroyed whole, with a certificate, and nothing beside them.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::server::{Database, Deployment};
use tests::world::{As, Http, violations};

const DOCTOR: &str = "5daeb07b7b968a0074945056";
const OLD: &str = "5db2cf72f884af0073deb1b1";
const NEW: &str = "5db2cf72f884af0073deb1b2";
const FILE: &str = "3e10d76817149d439536b3f1";

fn row(id: &str, at: &str, fields: &Value) -> Value {
    let mut row = json!({ "objectId": id, "createdAt": at, "updatedAt": at });
    row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    row
}

/// The id of the `kind` of a patient.
fn of(patient: &str, kind: char) -> String {
    format!("3e10d76817149d43953{kind}{}", &patient[20..])
}

fn write(deployment: &Deployment, name: &str, rows: &[Value]) {
    let folder = deployment.path().join("export");
    fs::create_dir_all(folder.join("files")).unwrap();
    let lines = rows.iter().map(|row| row.to_string() + "\n").collect::<String>();
    fs::write(folder.join(name), lines).unwrap();
}

/// Two patients of one doctor: with one the last thing happened long ago.
fn export(deployment: &Deployment) {
    let long_ago = "2003-05-06T07:08:09.000Z";
    let times = [(OLD, long_ago, 1_052_204_889_000_i64), (NEW, "2024-05-06T07:08:09.000Z", 1_714_979_289_000)];
    write(deployment, "Doctor.0.jsonl", &[row(DOCTOR, long_ago, &json!({ "authenticated": "1" }))]);
    write(
        deployment,
        "_File.0.jsonl",
        &[row(FILE, long_ago, &json!({ "url": "https://f.invalid/a.png", "name": "a.png" }))],
    );
    fs::write(deployment.path().join("export/files").join(FILE), b"\x89PNG\r\n\x1a\n-").unwrap();
    let each = |make: &dyn Fn(&str, &str, i64) -> Value| -> Vec<Value> {
        times.iter().map(|(patient, at, ms)| make(patient, at, *ms)).collect()
    };
    write(deployment, "Patients.0.jsonl", &each(&|patient, at, _| row(patient, at, &json!({}))));
    let pair = |patient: &str| json!({ "idDoctor": DOCTOR, "idPatient": patient });
    write(
        deployment,
        "DoctorPatientRelation.0.jsonl",
        &each(&|patient, at, _| row(&of(patient, '1'), at, &pair(patient))),
    );
    let members = |patient: &str| json!({ "m": [DOCTOR, patient] });
    write(deployment, "_Conversation.0.jsonl", &each(&|patient, at, _| row(&of(patient, '2'), at, &members(patient))));
    let ended = |patient: &str, at: &str, _: i64| {
        let fields = json!({
            "idDoctor": DOCTOR, "idPatient": patient, "idRelation": of(patient, '1'), "idDialog": of(patient, '2'),
            "status": "2", "isInvalid": false,
        });
        row(&of(patient, '3'), at, &fields)
    };
    write(deployment, "Consultation.0.jsonl", &each(&ended));
    let picture =
        json!({ "_lctype": -2, "_lcfile": { "objId": FILE, "url": "https://f.invalid/a.png", "metaData": {} } });
    let message = |patient: &str, _: &str, ms: i64| {
        let data =
            if patient == OLD { picture.to_string() } else { json!({ "_lctype": -1, "_lctext": "好" }).to_string() };
        json!({ "timestamp": ms, "conv-id": of(patient, '2'), "data": data, "from": patient, "msg-id": patient })
    };
    write(deployment, "history.json", &[json!(each(&message))]);
}

#[test]
fn records_go_whole_when_their_time_is_over_and_leave_a_certificate() {
    for database in Database::available() {
        let deployment = Deployment::new(database).with("worker.embedded", "true");
        export(&deployment);
        let report: Value =
            serde_json::from_str(&deployment.run_ok(&["import-leancloud", "export", "--json"])).unwrap();
        assert_eq!((&report["copiedFiles"], &report["verification"]["broken"]), (&json!(1), &json!([])), "{report}");

        let api = deployment.start_api();
        let http = Http::new(&api);
        let consultation =
            |patient: &str| http.get(&format!("/api/v1/consultations/{}", of(patient, '3')), &As::Integrator).status;
        let limit = Instant::now() + Duration::from_secs(30);
        while consultation(OLD) != 404 {
            assert!(Instant::now() < limit, "the old records are still here");
            thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(consultation(NEW), 200);
        let (name, password) = tests::world::create_admin(&deployment);
        let admin = http.sign_in_staff(&name, &password);
        let events = http.get("/api/v1/admin/audit-events?action=retention.purge", &admin).body;
        let events = events["items"].as_array().unwrap();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0]["subject"], json!(format!("relation:{}", of(OLD, '1'))));
        assert_eq!(events[0]["detail"], json!({ "consultations": 1, "messages": 1, "files": 1 }));
        assert!(!events[0].to_string().contains("a.png"));
        drop(api);
        let left: usize = fs::read_dir(deployment.path().join("data/files"))
            .unwrap()
            .map(|folder| folder.unwrap().path())
            .filter(|path| path.is_dir())
            .map(|folder| fs::read_dir(folder).unwrap().filter(|file| file.as_ref().unwrap().path().is_file()).count())
            .sum();
        assert_eq!(left, 0, "the bytes of the picture remain");
        assert_eq!(violations(&deployment), Vec::<Value>::new());
        // Importing again would bring it back, which the next purge ends; what is there is not counted as missing.
        let again: Value =
            serde_json::from_str(&deployment.run_ok(&["import-leancloud", "export/Doctor.0.jsonl", "--json"])).unwrap();
        assert_eq!(again["verification"]["broken"], json!([]), "{again}");
    }
}
