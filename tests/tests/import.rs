//! `import-leancloud` as an operator runs it: the report it prints, the list it leaves, and how it fails.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::leancloud::{LeanCloudStandIn, There};
use tests::server::{APP_ID, Database, Deployment, MASTER_KEY};
use tests::world::{As, Http, violations};

/// The doctor and the patient of the documented call; the sample has no consultation between them.
const DOCTOR: &str = "5daeb07b7b968a0074945056";
const PATIENT: &str = "5db2cf72f884af0073deb1bc";

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/leancloud-export")
}

fn import(deployment: &Deployment, path: &Path) -> Value {
    let report = deployment.run_ok(&["import-leancloud", &path.display().to_string(), "--json"]);
    serde_json::from_str(&report).unwrap()
}

fn counts(report: &Value, what: &str) -> u64 {
    report["classes"].as_array().unwrap().iter().map(|class| class[what].as_u64().unwrap()).sum()
}

#[test]
fn the_sample_comes_in_once_and_answers_the_documented_call() {
    for database in Database::available() {
        let deployment = Deployment::new(database);
        let first = import(&deployment, &sample());
        assert_eq!((counts(&first, "inserted"), first["findingCount"].as_u64()), (124, Some(0)), "{first}");
        let again = import(&deployment, &sample());
        assert_eq!((counts(&again, "unchanged"), counts(&again, "inserted")), (124, 0), "{again}");
        assert!(!deployment.path().join("import-findings.jsonl").exists());

        let api = deployment.start_api();
        let http = Http::new(&api);
        let (first, second) = (http.initiate(DOCTOR, PATIENT).body, http.initiate(DOCTOR, PATIENT).body);
        let keys: Vec<_> = first["result"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["consultationId", "isOld", "startAt", "status", "success"]);
        assert_eq!((&first["result"]["isOld"], &second["result"]["isOld"]), (&json!(false), &json!(true)));
        assert_eq!(first["result"]["consultationId"], second["result"]["consultationId"]);
        drop(api);
        assert_eq!(violations(&deployment), Vec::<Value>::new());
    }
}

#[test]
fn a_corrupt_line_is_named_and_does_not_stop_the_rest() {
    let deployment = Deployment::new(Database::Sqlite);
    let folder = deployment.path().join("export");
    fs::create_dir(&folder).unwrap();
    let patients = fs::read_to_string(sample().join("Patients.0.jsonl")).unwrap();
    let (head, rest) = patients.split_at(patients.find("\"gender\"").unwrap());
    fs::write(folder.join("Patients.0.jsonl"), format!("{head}\n{rest}")).unwrap();
    let printed = deployment.run_ok(&["import-leancloud", "export"]);
    for line in [2, 3] {
        assert!(printed.contains(&format!("Patients.0.jsonl:{line}: the line is not JSON; row skipped")), "{printed}");
    }
    let found = fs::read_to_string(deployment.path().join("import-findings.jsonl")).unwrap();
    let found: Vec<Value> = found.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let not_json: Vec<_> = found.iter().filter(|finding| finding["problem"] == "not_json").collect();
    assert_eq!(not_json.len(), 2);
    assert_eq!((&not_json[0]["file"], &not_json[0]["line"]), (&json!("Patients.0.jsonl"), &json!(2)));
    // The other nineteen came in; their accounts are not in this export, which is told of each.
    let dangling = found.iter().filter(|finding| finding["problem"] == "dangling_reference").count();
    assert_eq!((dangling, found.len()), (19, 21));
}

#[test]
fn what_is_no_export_fails_and_is_named() {
    let deployment = Deployment::new(Database::Sqlite);
    fs::write(deployment.path().join("notes.txt"), "hello").unwrap();
    for (path, said) in [("no-such-folder", "no-such-folder cannot be read"), ("notes.txt", "holds no rows")] {
        let output = deployment.run(&["import-leancloud", path]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), error.contains(said)), (Some(1), true), "{error}");
    }
    assert!(!deployment.path().join("data").exists(), "nothing was begun");
}

// ---- History, files, other classes, fetching

const USER: &str = "5ea26d077283e0ad84173581";
const CONVERSATION: &str = "5e10d76817149d439536b321";
const FILE: &str = "5e10d76817149d439536b3f1";
const ROLE: &str = "5e10d76817149d439536b4f1";

fn row(id: &str, fields: &Value) -> Value {
    let mut row = json!({
        "objectId": id, "createdAt": "2020-01-01T00:00:00.000Z", "updatedAt": "2020-01-02T00:00:00.000Z",
    });
    row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    row
}

fn message(n: i64, from: &str, data: &Value) -> Value {
    json!({
        "timestamp": 1_600_000_000_000 + n, "conv-id": CONVERSATION, "data": data.to_string(), "from": from,
        "msg-id": format!("msg{n:04}"), "is-conv": true, "is-room": false, "to": CONVERSATION, "bin": false,
    })
}

/// A doctor and a patient who once talked, a role, a diary, and a picture; `host` is where the picture is.
fn fill(there: &mut There, host: &str) {
    let url = format!("{host}/files/picture.png");
    let user = json!({ "__type": "Pointer", "className": "_User", "objectId": USER });
    let classes = [
        (
            "_User",
            vec![row(
                USER,
                &json!({ "username": "u", "mobilePhoneNumber": "13900000001", "sessionToken": "a".repeat(25) }),
            )],
        ),
        ("_File", vec![row(FILE, &json!({ "name": "picture.png", "mime_type": "image/png", "url": url }))]),
        ("_Role", vec![row(ROLE, &json!({ "name": "nurse" }))]),
        ("_Conversation", vec![row(CONVERSATION, &json!({ "m": [DOCTOR, PATIENT] }))]),
        ("Doctor", vec![row(DOCTOR, &json!({ "name": "钱医生", "authenticated": "1" }))]),
        ("Patients", vec![row(PATIENT, &json!({ "name": "王", "user": user }))]),
        (
            "Diary",
            (0..30)
                .map(|n| row(&format!("5e10d76817149d439536c{n:03x}"), &json!({ "n": n, "picture": url })))
                .collect(),
        ),
    ];
    there.classes.extend(classes.map(|(class, rows)| (class.to_owned(), rows)));
    let text = |n: i64| json!({ "_lctype": -1, "_lctext": format!("第{n}句") });
    let picture = json!({ "_lctype": -2, "_lcfile": { "objId": FILE, "url": url, "metaData": { "width": 1 } } });
    there.messages = (0..59).map(|n| message(n, if n % 2 == 0 { PATIENT } else { DOCTOR }, &text(n))).rev().collect();
    there.messages.insert(0, message(59, DOCTOR, &picture));
    there.members.insert((ROLE.to_owned(), "users".to_owned()), vec![USER.to_owned()]);
    there.files.insert("/files/picture.png".to_owned(), b"\x89PNG\r\n\x1a\n-".to_vec());
}

/// What of `/api/v1/conversations/…/messages` a patient sees: number and text.
fn texts(http: &Http, who: &As) -> Vec<(i64, String)> {
    let answer = http.get(&format!("/api/v1/conversations/{CONVERSATION}/messages?limit=100"), who);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let items = answer.body["items"].as_array().unwrap().iter();
    let text = |item: &Value| item["content"]["text"].as_str().unwrap_or("-").to_owned();
    let mut texts: Vec<_> = items.map(|item| (item["seq"].as_i64().unwrap(), text(item))).collect();
    texts.sort();
    texts
}

fn fetch(deployment: &Deployment, standin: &LeanCloudStandIn, more: &[&str]) -> std::process::Output {
    let url = standin.url();
    let arguments = ["import-leancloud", "fetched", "--fetch", &url, "--fetch-rate", "1000"];
    deployment.run(&[&arguments[..], more].concat())
}

#[test]
fn an_application_is_fetched_and_imported_and_its_clients_go_on() {
    for database in Database::available() {
        let deployment = Deployment::new(database);
        // The credentials of the tests' deployment are those over there as well.
        let standin = LeanCloudStandIn::start(APP_ID, MASTER_KEY);
        fill(&mut standin.there(), &standin.url());
        standin.there().busy_every = 7;
        // Broken off twice, then to the end.
        for answers in [3, 9] {
            standin.there().answers_left = Some(answers);
            let output = fetch(&deployment, &standin, &["--fetch-only"]);
            assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
        }
        standin.there().answers_left = None;
        let output = fetch(&deployment, &standin, &["--json"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        assert!(!errors.contains(MASTER_KEY));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["copiedFiles"], json!(1), "{report}");
        assert_eq!(report["verification"]["broken"], json!([]), "{report}");
        let of_class =
            |name: &str| report["classes"].as_array().unwrap().iter().find(|c| c["class"] == name).unwrap().clone();
        assert_eq!((&of_class("_Message")["inserted"], &of_class("Diary")["inserted"]), (&json!(60), &json!(30)));
        assert_eq!(of_class("_Join:users:_Role")["inserted"], json!(1));
        assert_eq!(standin.there().leaked, 0, "the master key went to the address of a file");

        // Newer messages there, fetched again.
        let newer = message(60, PATIENT, &json!({ "_lctype": -1, "_lctext": "还有" }));
        standin.there().messages.insert(0, newer);
        let output = fetch(&deployment, &standin, &["--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let api = deployment.start_api();
        let http = Http::new(&api);
        let patient = As::Session("a".repeat(25));
        let seen = texts(&http, &patient);
        assert_eq!(seen.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), (1..=61).collect::<Vec<_>>());
        assert_eq!((seen[0].1.as_str(), seen[58].1.as_str(), seen[60].1.as_str()), ("第0句", "第58句", "还有"));
        let listed = http.get("/api/v1/conversations", &patient).body;
        assert_eq!(listed["items"][0]["unreadCount"], json!(0), "{listed}");
        // Other classes are documents, whose texts lead to the picture that is here now.
        let diary = http.get("/1.1/classes/Diary?limit=1&where=%7B%22n%22%3A3%7D", &As::Integrator).body;
        let picture = diary["results"][0]["picture"].as_str().unwrap().to_owned();
        assert!(picture.contains("/1.1/lcfiles/"), "{diary}");
        let path = picture.split_once("/1.1/").unwrap().1;
        assert_eq!(
            http.request(reqwest::Method::GET, &format!("/1.1/{path}"), &As::Nobody).send().unwrap().status(),
            200
        );
        let roles = http.get("/1.1/roles", &As::Integrator);
        assert!(roles.status == 404 || roles.body["results"][0]["name"] == "nurse", "{}", roles.body);
        drop(api);
        assert_eq!(violations(&deployment), Vec::<Value>::new());
    }
}

#[test]
fn a_wrong_master_key_is_told_and_nothing_begins() {
    let deployment = Deployment::new(Database::Sqlite).with("app.master_key", "another-application-master-key");
    let standin = LeanCloudStandIn::start(APP_ID, MASTER_KEY);
    let output = fetch(&deployment, &standin, &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), errors.contains("Unauthorized.")), (Some(1), true), "{errors}");
    assert!(!deployment.path().join("data").exists(), "nothing was begun");
}

#[test]
fn a_trial_reports_and_changes_nothing() {
    for database in Database::available() {
        let deployment = Deployment::new(database);
        deployment.run_ok(&["migrate"]);
        let path = sample().display().to_string();
        let trial: Value =
            serde_json::from_str(&deployment.run_ok(&["import-leancloud", &path, "--dry-run", "--json"])).unwrap();
        assert_eq!((counts(&trial, "inserted"), &trial["verification"]["broken"]), (124, &json!([])), "{trial}");
        assert_eq!(counts(&import(&deployment, &sample()), "inserted"), 124);
    }
}

#[test]
fn history_survives_kill_9_at_any_point() {
    for database in Database::available() {
        let deployment = Deployment::new(database);
        let folder = deployment.path().join("export");
        fs::create_dir(&folder).unwrap();
        let mut there = There::default();
        fill(&mut there, "https://files.example.invalid");
        for (class, rows) in &there.classes {
            let lines = rows.iter().map(|row| row.to_string() + "\n").collect::<String>();
            fs::write(folder.join(format!("{class}.0.jsonl")), lines).unwrap();
        }
        let many: Vec<Value> = (0..20_000)
            .map(|n| {
                let mut message = message(n, DOCTOR, &json!({ "_lctype": -1, "_lctext": n.to_string() }));
                message["conv-id"] = json!(format!("5e10d76817149d439536{:04x}", n % 700));
                message
            })
            .collect();
        fs::write(folder.join("history.json"), json!(many).to_string()).unwrap();
        for wait_ms in [150, 300, 600, 900] {
            let mut process = deployment.start(&["import-leancloud", "export", "--no-verify"]);
            std::thread::sleep(std::time::Duration::from_millis(wait_ms));
            process.kill();
        }
        let report = import(&deployment, &folder);
        assert_eq!(report["verification"]["broken"], json!([]), "{report}");
        assert_eq!(report["verification"]["messages"], json!(20_000), "{report}");
    }
}
