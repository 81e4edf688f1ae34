//! How an import runs: failures, interruptions, progress.

use super::*;

#[tokio::test]
async fn a_row_the_store_refuses_costs_only_itself() {
    let scene = Scene::new();
    scene.put("Patients.0.jsonl", &[row(&id(1), json!({})), row(&id(2), json!({})), row(&id(3), json!({}))]);
    scene.store.refuse(object_id(&id(2)));
    let (report, findings) = scene.import().await;
    assert_eq!(findings, ["Patients.0.jsonl:3 Patients store_refused skipped"]);
    let counts = report.of_class("Patients");
    assert_eq!((counts.inserted, counts.skipped), (2, 1));
}

#[tokio::test]
async fn somebody_else_in_the_way_is_waited_out() {
    let scene = with_pair();
    scene.store.conflict(4);
    let (report, findings) = scene.import().await;
    assert_eq!((report.total().inserted, findings.len()), (3, 0));
}

#[tokio::test]
async fn an_interrupted_import_is_finished_by_running_it_again() {
    let scene = Scene::new();
    let whole = Scene::new();
    whole.try_import(&sample()).await.unwrap();
    scene.store.go_down_after(Some(3));
    let Err(error) = scene.try_import(&sample()).await else { panic!("the store was down") };
    assert_eq!(error.code(), "store.unavailable");
    assert_eq!(scene.store.commits(), 3);
    scene.store.go_down_after(None);
    let (report, log) = scene.try_import(&sample()).await.unwrap();
    assert_eq!((report.total().inserted + report.total().unchanged, log.len()), (124, 0));
    assert!(report.total().unchanged >= 23);
    let (mut resumed, mut at_once) = (scene.rows(), whole.rows());
    // Session ids are made anew; everything else is the same.
    for rows in [&mut resumed, &mut at_once] {
        rows.sessions.iter_mut().for_each(|session| session.id = domain::id::SessionId(object_id(USER)));
    }
    assert_eq!(resumed, at_once);
}

#[derive(Default)]
struct Watcher(Mutex<Vec<String>>);

impl ImportProgress for Watcher {
    fn begin(&self, total_bytes: u64) {
        self.0.lock().unwrap().push(format!("begin {total_bytes}"));
    }
    fn class(&self, name: &str) {
        self.0.lock().unwrap().push(name.to_owned());
    }
    fn advance(&self, bytes_read: u64) {
        self.0.lock().unwrap().push(format!("{bytes_read}"));
    }
    fn finish(&self) {
        self.0.lock().unwrap().push("finish".into());
    }
}

#[tokio::test]
async fn progress_goes_from_nothing_to_everything() {
    let scene = Scene::new();
    let watcher = Watcher::default();
    let export = Export::open(&sample()).unwrap();
    scene.importer.run(&export, &mut Vec::new(), &watcher).await.unwrap();
    let seen = watcher.0.into_inner().unwrap();
    let total: u64 = seen[0].strip_prefix("begin ").unwrap().parse().unwrap();
    let advances: Vec<u64> = seen.iter().filter_map(|text| text.parse().ok()).collect();
    assert!(advances.is_sorted());
    assert_eq!(advances.last(), Some(&total));
    assert_eq!(seen.last().map(String::as_str), Some("finish"));
    assert_eq!(seen.iter().filter(|text| text.contains("onsult")).count(), 1);
}

#[tokio::test]
async fn a_log_that_cannot_be_written_stops_the_import() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let scene = Scene::new();
    scene.put("Patients.0.jsonl", &[row(PATIENT, json!({"phone": "139"}))]);
    let export = Export::open(scene.folder.path()).unwrap();
    let error = scene.importer.run(&export, &mut Full, &Unwatched).await.unwrap_err();
    assert!(matches!(error, ImportError::File(_)));
}
