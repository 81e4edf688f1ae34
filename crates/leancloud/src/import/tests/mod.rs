//! The import against a store in memory.

mod consulting;
mod history;
mod memory;
mod people;
mod running;
mod whole;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use account::password::{Password, verify};
use account::session::SessionToken;
use consultation::{EndReason, Status};
use domain::id::IdSource;
use domain::{Clock, ObjectId, Timestamp};
use im::{ConversationKind, MemberKind};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::memory::{MemoryImport, Rows};
use super::*;

const DOCTOR: &str = "5daeb07b7b968a0074945056";
const PATIENT: &str = "5db2cf72f884af0073deb1bc";
const USER: &str = "5ea26d077283e0ad84173581";

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::parse_rfc3339("2026-11-23T02:00:00.000Z").unwrap()
    }
}

#[derive(Default)]
struct Counting(AtomicU32);

impl IdSource for Counting {
    fn next(&self) -> ObjectId {
        ObjectId::from_parts(0x6aaa_aaaa, [9; 5], self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// A store, and exports written for it.
struct Scene {
    store: MemoryImport,
    importer: Importer,
    folder: TempDir,
    _work: TempDir,
}

impl Scene {
    fn new() -> Self {
        let store = MemoryImport::default();
        let (folder, work) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        // The ids, and so the names of what an import keeps for a while, are those of every other test.
        let options = ImportOptions { work_folder: Some(work.path().to_owned()), ..ImportOptions::default() };
        let importer = Importer::new(Arc::new(store.clone()), Arc::new(Fixed), Arc::new(Counting::default()), options);
        Self { store, importer, folder, _work: work }
    }

    /// Replaces a file of the export.
    fn put(&self, name: &str, rows: &[Value]) {
        let text = rows.iter().fold(String::from("#filetype:JSON-streaming {}\n"), |mut text, row| {
            writeln!(text, "{row}").unwrap();
            text
        });
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    async fn try_import(&self, path: &Path) -> Result<(ImportReport, Vec<Value>), ImportError> {
        let mut log = Vec::new();
        let report = self.importer.run(&Export::open(path)?, &mut log, &Unwatched).await?;
        let log = String::from_utf8(log).unwrap();
        Ok((report, log.lines().map(|line| serde_json::from_str(line).unwrap()).collect()))
    }

    /// Imports the folder; returns the report and `file:line class.field problem (other)` of each finding.
    async fn import(&self) -> (ImportReport, Vec<String>) {
        let (report, log) = self.try_import(self.folder.path()).await.unwrap();
        let text = |finding: &Value, key: &str| finding[key].as_str().map(str::to_owned).unwrap_or_default();
        let shown = log.iter().map(|finding| {
            let field = finding["field"].as_str().map(|field| format!(".{field}")).unwrap_or_default();
            let other = finding["other"].as_str().map(|other| format!(" ({other})")).unwrap_or_default();
            let line = finding["line"].as_u64().map(|line| format!(":{line}")).unwrap_or_default();
            let skipped = if finding["isSkipped"] == true { " skipped" } else { "" };
            format!(
                "{}{line} {}{field} {}{other}{skipped}",
                text(finding, "file"),
                text(finding, "class"),
                text(finding, "problem")
            )
        });
        let shown = shown.collect();
        for class in &report.classes {
            let counts = class.counts;
            let told = counts.inserted + counts.updated + counts.unchanged + counts.skipped;
            assert_eq!(counts.read, told, "rows of {} are unaccounted for", class.class);
        }
        (report, shown)
    }

    fn rows(&self) -> Rows {
        self.store.rows()
    }
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/leancloud-export")
}

fn id(n: u32) -> String {
    ObjectId::from_parts(0x5e00_0000, [7; 5], n).to_string()
}

fn object_id(text: &str) -> ObjectId {
    text.parse().unwrap()
}

/// A row with times; `fields` may say otherwise.
fn row(object_id: &str, mut fields: Value) -> Value {
    let mut row = json!({
        "objectId": object_id, "createdAt": "2020-01-01T00:00:00.000Z", "updatedAt": "2020-01-02T00:00:00.000Z",
    });
    row.as_object_mut().unwrap().append(fields.as_object_mut().unwrap());
    row
}

/// A consultation of the usual pair, started on a day of January 2020.
fn consultation(n: u32, day: u32, status: &str) -> Value {
    let at = format!("2020-01-{day:02}T00:00:00.000Z");
    let fields = json!({
        "idDoctor": DOCTOR, "idPatient": PATIENT, "idRelation": id(100), "status": status, "isInvalid": false,
        "createdAt": at, "updatedAt": at,
    });
    row(&id(n), fields)
}

/// The usual doctor, patient and relation.
fn with_pair() -> Scene {
    let scene = Scene::new();
    scene.put("Doctor.0.jsonl", &[row(DOCTOR, json!({"authenticated": "1"}))]);
    scene.put("Patients.0.jsonl", &[row(PATIENT, json!({}))]);
    scene.put("DoctorPatientRelation.0.jsonl", &[row(&id(100), json!({"idDoctor": DOCTOR, "idPatient": PATIENT}))]);
    scene
}

fn statuses(rows: &Rows) -> Vec<(String, Status, Option<EndReason>)> {
    rows.consultations.values().map(|c| (c.id.to_string(), c.status, c.end_reason)).collect()
}
