//! The fetch against a stand-in of the other side that breaks off, refuses and changes.

use std::sync::Mutex;

use domain::Timestamp;
use serde_json::json;
use testkit::leancloud::{Refused, There};

use super::*;
use crate::export::Export;

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::parse_rfc3339("2026-11-23T02:00:00.000Z").unwrap()
    }
}

struct Silent;

impl FetchProgress for Silent {
    fn stage(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
    fn finish(&self) {}
}

struct Standin(Mutex<There>);

#[async_trait]
impl Remote for Standin {
    async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, RemoteError> {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.0.lock().unwrap().ask(path, &query).map_err(|Refused { status, code }| match status {
            429 => RemoteError::Busy { status, after: None },
            _ => RemoteError::Refused { status, code, message: "no".into() },
        })
    }

    async fn download(&self, url: &str) -> Result<Vec<u8>, RemoteError> {
        if url.ends_with("gone") {
            Err(RemoteError::Refused { status: 404, code: 1, message: "no".into() })
        } else {
            Ok(url.as_bytes().to_vec())
        }
    }
}

fn row(n: u32) -> Value {
    json!({ "objectId": format!("5e00000007070707070{n:05x}"), "updatedAt": "2020-01-01T00:00:00.000Z", "n": n })
}

fn message(n: u32) -> Value {
    json!({ "timestamp": 1_000 + i64::from(n), "msg-id": format!("m{n}"), "conv-id": "c", "data": "x", "from": "a" })
}

fn there() -> There {
    let rows = |count: u32| (0..count).map(row).collect::<Vec<_>>();
    let file = |n: u32, url: &str| {
        let mut file = row(n);
        file["url"] = json!(url);
        file
    };
    let classes = BTreeMap::from([
        ("Diary".to_owned(), rows(25)),
        ("_Role".to_owned(), rows(2)),
        ("_File".to_owned(), vec![file(1, "https://f.invalid/1"), file(2, "https://f.invalid/gone")]),
        ("_Notification".to_owned(), rows(3)),
    ]);
    let owner = row(1)["objectId"].as_str().unwrap().to_owned();
    let members = BTreeMap::from([((owner, "users".to_owned()), (0..23).map(|n| format!("u{n:02}")).collect())]);
    let messages = (0..33).rev().map(message).collect();
    There { classes, messages, members, ..There::default() }
}

fn options(folder: &Path) -> FetchOptions {
    FetchOptions { page: 10, rate: 100_000, back_off: Duration::from_millis(1), ..FetchOptions::new(folder) }
}

/// How often each row came, by file name without the round.
fn counts(folder: &Path) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.extension().is_some_and(|ext| ext == "jsonl") {
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.is_empty() || text.ends_with('\n'));
            let rows = text.lines().filter(|line| !line.starts_with('#')).count();
            *counts.entry(name.split('.').next().unwrap().to_owned()).or_insert(0) += rows;
        }
    }
    counts
}

fn whole() -> BTreeMap<String, usize> {
    let counts = [
        ("Diary", 25),
        ("_File", 2),
        ("_Role", 2),
        ("_Join:users:_Role", 23),
        ("_Join:roles:_Role", 0),
        ("_Message", 33),
    ];
    counts.into_iter().map(|(name, count)| (name.to_owned(), count)).collect()
}

#[tokio::test]
async fn everything_comes_page_by_page_and_can_be_imported() {
    for (lacks_scan, lacks_schemas) in [(false, false), (true, false), (false, true)] {
        let folder = tempfile::TempDir::new().unwrap();
        let standin = Standin(Mutex::new(There { lacks_scan, lacks_schemas, ..there() }));
        let mut options = options(folder.path());
        if lacks_schemas {
            options.classes = Some(["Diary", "_File", "_Role", "Missing"].map(str::to_owned).to_vec());
        }
        let report = run(&standin, &Fixed, &options, &Silent).await.unwrap();
        assert_eq!(counts(folder.path()), whole());
        assert_eq!((report.messages, report.files, report.missing_files.len()), (33, 1, 1));
        assert_eq!(report.refused.len(), usize::from(lacks_schemas));
        let export = Export::open(folder.path()).unwrap();
        assert_eq!(export.unknown_files(), &[] as &[String]);
        assert!(export.classes().contains("_Message") && export.classes().contains("_Join:users:_Role"));
        let downloaded = folder.path().join(FILES_FOLDER).join(row(1)["objectId"].as_str().unwrap());
        assert_eq!(fs::read(downloaded).unwrap(), b"https://f.invalid/1");
    }
}

#[tokio::test]
async fn broken_off_anywhere_it_goes_on_and_nothing_is_missing_or_torn() {
    let total = {
        let folder = tempfile::TempDir::new().unwrap();
        let standin = Standin(Mutex::new(there()));
        run(&standin, &Fixed, &options(folder.path()), &Silent).await.unwrap();
        standin.0.into_inner().unwrap().requests
    };
    for left in 0..total {
        let folder = tempfile::TempDir::new().unwrap();
        let standin = Standin(Mutex::new(There { answers_left: Some(left), ..there() }));
        assert!(run(&standin, &Fixed, &options(folder.path()), &Silent).await.is_err(), "broken off after {left}");
        // Half a line that was written before the power went, if the class was not there as a whole yet.
        for path in Output::files_of(folder.path(), "Diary").unwrap() {
            let mut text = fs::read(&path).unwrap();
            if text.split(|byte| *byte == b'\n').count() > 26 {
                continue;
            }
            text.extend(b"{\"objectId\":\"tor");
            fs::write(&path, text).unwrap();
        }
        standin.0.lock().unwrap().answers_left = None;
        run(&standin, &Fixed, &options(folder.path()), &Silent).await.unwrap();
        let counts = counts(folder.path());
        for (name, count) in whole() {
            assert!(counts.get(&name).is_some_and(|had| *had >= count), "{name} after {left}: {counts:?}");
        }
    }
}

#[tokio::test]
async fn fetching_again_brings_what_changed_since() {
    let folder = tempfile::TempDir::new().unwrap();
    let standin = Standin(Mutex::new(there()));
    run(&standin, &Fixed, &options(folder.path()), &Silent).await.unwrap();
    {
        let mut there = standin.0.lock().unwrap();
        let mut changed = row(7);
        changed["updatedAt"] = json!("2026-11-23T01:59:00.000Z");
        there.classes.get_mut("Diary").unwrap()[7] = changed;
        there.messages.insert(0, message(33));
    }
    let report = run(&standin, &Fixed, &options(folder.path()), &Silent).await.unwrap();
    assert_eq!(report.classes["Diary"], 1);
    // The newest one that was known comes again; the import knows it.
    assert_eq!((report.messages, report.files), (2, 0));
}

#[tokio::test]
async fn a_busy_other_side_is_asked_again_and_a_wrong_key_is_told_at_once() {
    let folder = tempfile::TempDir::new().unwrap();
    let standin = Standin(Mutex::new(There { busy_for: 5, ..there() }));
    run(&standin, &Fixed, &options(folder.path()), &Silent).await.unwrap();
    assert_eq!(counts(folder.path()), whole());

    let folder = tempfile::TempDir::new().unwrap();
    let standin = Standin(Mutex::new(There { answers_left: Some(0), ..there() }));
    let error = run(&standin, &Fixed, &options(folder.path()), &Silent).await.unwrap_err();
    assert_eq!(error.code(), "import.fetch_remote");
    assert_eq!(standin.0.into_inner().unwrap().requests, 1);
}

#[tokio::test]
async fn no_more_is_asked_than_agreed() {
    let folder = tempfile::TempDir::new().unwrap();
    let standin = Standin(Mutex::new(there()));
    let began = tokio::time::Instant::now();
    let slow = FetchOptions { rate: 100, with_files: false, ..options(folder.path()) };
    run(&standin, &Fixed, &slow, &Silent).await.unwrap();
    let requests = u32::try_from(standin.0.into_inner().unwrap().requests).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(10) * (requests - 1), "{:?} for {requests}", began.elapsed());
}
