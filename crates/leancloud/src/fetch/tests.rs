//! The fetch against a stand-in of the other side that breaks off, refuses and changes.

use std::sync::Mutex;

use domain::Timestamp;
use serde_json::json;

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

/// What is over there.
#[derive(Default)]
struct There {
    classes: BTreeMap<String, Vec<Value>>,
    /// Newest first.
    messages: Vec<Value>,
    /// By owner and field.
    members: BTreeMap<(String, String), Vec<String>>,
    has_scan: bool,
    has_schemas: bool,
    /// Answers until nothing is answered any more.
    left: Option<u32>,
    busy: u32,
    requests: u32,
}

struct Standin(Mutex<There>);

fn refused(status: u16) -> RemoteError {
    RemoteError::Refused { status, code: 1, message: "no".into() }
}

#[async_trait]
impl Remote for Standin {
    async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, RemoteError> {
        let mut there = self.0.lock().unwrap();
        there.requests += 1;
        if there.busy > 0 {
            there.busy -= 1;
            return Err(RemoteError::Busy { status: 429, after: None });
        }
        if let Some(left) = &mut there.left {
            *left = left.checked_sub(1).ok_or_else(|| refused(401))?;
        }
        let value = |name: &str| query.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
        let number = |name: &str| value(name).and_then(|text| text.parse::<usize>().ok());
        let limit = number("limit").unwrap_or(100);
        let filter: Value = value("where").map(|text| serde_json::from_str(&text).unwrap()).unwrap_or_default();
        if path == "/1.1/schemas" {
            let schema = |class: &String| (class.clone(), json!({ "objectId": { "type": "String" } }));
            return if there.has_schemas {
                Ok(there.classes.keys().map(schema).collect::<serde_json::Map<_, _>>().into())
            } else {
                Err(refused(404))
            };
        }
        if path == "/1.2/rtm/messages" {
            let at = value("msgid");
            let from = at.map_or(0, |id| there.messages.iter().position(|m| m["msg-id"] == json!(id)).unwrap() + 1);
            return Ok(there.messages.iter().skip(from).take(limit).cloned().collect());
        }
        if let Some(related) = filter.get("$relatedTo") {
            let owner = related["object"]["objectId"].as_str().unwrap().to_owned();
            let members = there.members.get(&(owner, related["key"].as_str().unwrap().to_owned()));
            let members = members.into_iter().flatten().skip(number("skip").unwrap_or(0)).take(limit);
            return Ok(json!({ "results": members.map(|id| json!({ "objectId": id })).collect::<Vec<_>>() }));
        }
        let (class, is_scan) = match path.strip_prefix("/1.1/scan/classes/") {
            Some(class) if there.has_scan => (class, true),
            Some(_) => return Err(refused(404)),
            None => (path.strip_prefix("/1.1/classes/").unwrap(), false),
        };
        let rows = there.classes.get(class).ok_or_else(|| refused(404))?;
        if number("count").is_some() {
            return Ok(json!({ "results": [], "count": rows.len() }));
        }
        let since = filter["updatedAt"]["$gte"]["iso"].as_str().unwrap_or_default().to_owned();
        let after =
            value("cursor").or_else(|| filter["objectId"]["$gt"].as_str().map(str::to_owned)).unwrap_or_default();
        let wanted: Vec<&Value> = rows
            .iter()
            .filter(|row| row["objectId"].as_str().unwrap() > after.as_str())
            .filter(|row| row["updatedAt"].as_str().unwrap_or_default() >= since.as_str())
            .collect();
        let page: Vec<&Value> = wanted.iter().copied().take(limit).collect();
        let cursor = page.last().filter(|_| is_scan && page.len() < wanted.len()).map(|row| row["objectId"].clone());
        Ok(json!({ "results": page, "cursor": cursor }))
    }

    async fn download(&self, url: &str) -> Result<Vec<u8>, RemoteError> {
        if url.ends_with("gone") { Err(refused(404)) } else { Ok(url.as_bytes().to_vec()) }
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
    There { classes, messages, members, has_scan: true, has_schemas: true, ..There::default() }
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
    for (has_scan, has_schemas) in [(true, true), (false, true), (true, false)] {
        let folder = tempfile::TempDir::new().unwrap();
        let standin = Standin(Mutex::new(There { has_scan, has_schemas, ..there() }));
        let mut options = options(folder.path());
        if !has_schemas {
            options.classes = Some(["Diary", "_File", "_Role", "Missing"].map(str::to_owned).to_vec());
        }
        let report = run(&standin, &Fixed, &options, &Silent).await.unwrap();
        assert_eq!(counts(folder.path()), whole());
        assert_eq!((report.messages, report.files, report.missing_files.len()), (33, 1, 1));
        assert_eq!(report.refused.len(), usize::from(!has_schemas));
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
        let standin = Standin(Mutex::new(There { left: Some(left), ..there() }));
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
        standin.0.lock().unwrap().left = None;
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
    let standin = Standin(Mutex::new(There { busy: 5, ..there() }));
    run(&standin, &Fixed, &options(folder.path()), &Silent).await.unwrap();
    assert_eq!(counts(folder.path()), whole());

    let folder = tempfile::TempDir::new().unwrap();
    let standin = Standin(Mutex::new(There { left: Some(0), ..there() }));
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
    let requests = standin.0.into_inner().unwrap().requests;
    assert!(began.elapsed() >= Duration::from_millis(10) * (requests - 1), "{:?} for {requests}", began.elapsed());
}
