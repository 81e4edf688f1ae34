//! `import-leancloud` as an operator runs it: the report it prints, the list it leaves, and how it fails.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tests::server::{Database, Deployment};
use tests::world::{Http, violations};

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
