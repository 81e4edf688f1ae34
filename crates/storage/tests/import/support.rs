//! Databases of one test each, and exports written for them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs};

use domain::id::IdSource;
use domain::{Clock, ObjectId, Timestamp};
use leancloud::export::Export;
use leancloud::import::{ImportOptions, Importer, Unwatched};
use leancloud::report::ImportReport;
use sea_orm::{ConnectionTrait as _, Database};
use serde_json::Value;
use storage::{DatabaseOptions, SeaStore, Seal};
use tempfile::TempDir;

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_795_399_200_000)
    }
}

#[derive(Default)]
struct Counting(AtomicU32);

impl IdSource for Counting {
    fn next(&self) -> ObjectId {
        ObjectId::from_parts(0x6aaa_aaaa, [9; 5], self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// A database and the export that goes into it.
pub(crate) struct Scene {
    pub(crate) store: SeaStore,
    importer: Importer,
    folder: TempDir,
}

impl Scene {
    async fn new(url: &str, folder: TempDir) -> Self {
        let mut options = DatabaseOptions::new(url, Seal::derive(&[7; 32]));
        options.max_connections = 4;
        let store = SeaStore::connect(&options).await.unwrap();
        store.migrate().await.unwrap();
        fs::create_dir(folder.path().join("export")).unwrap();
        let ports = (Arc::new(store.clone()), Arc::new(Fixed), Arc::new(Counting::default()));
        // The ids, and so the names of what an import keeps for a while, are those of every other test.
        let options = ImportOptions { work_folder: Some(folder.path().to_owned()), ..ImportOptions::default() };
        let importer = Importer::new(ports.0, ports.1, ports.2, options);
        Self { store, importer, folder }
    }

    fn export(&self) -> PathBuf {
        self.folder.path().join("export")
    }

    /// Replaces the rows of a class in the export.
    pub(crate) fn put(&self, class: &str, rows: &[Value]) {
        let text = rows.iter().fold(String::new(), |mut text, row| {
            writeln!(text, "{row}").unwrap();
            text
        });
        fs::write(self.export().join(format!("{class}.0.jsonl")), text).unwrap();
    }

    pub(crate) async fn import(&self, path: &Path) -> ImportReport {
        let export = Export::open(path).unwrap();
        self.importer.run(&export, &mut std::io::sink(), &Unwatched).await.unwrap()
    }

    pub(crate) async fn import_folder(&self) -> ImportReport {
        self.import(&self.export()).await
    }
}

/// The synthetic export that the demonstration uses.
pub(crate) fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/leancloud-export")
}

/// Runs a test on SQLite, and on a schema of its own on PostgreSQL when there is one.
pub(crate) async fn on_each_database(test: impl AsyncFn(&Scene)) {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    let scene = Scene::new(&url, folder).await;
    test(&scene).await;
    scene.store.close().await;
    if let Ok(base) = env::var("DATABASE_URL_PG") {
        let schema = schema_name();
        run(&base, &format!("CREATE SCHEMA {schema}")).await;
        let separator = if base.contains('?') { '&' } else { '?' };
        let url = format!("{base}{separator}options[search_path]={schema}");
        let scene = Scene::new(&url, TempDir::new().unwrap()).await;
        test(&scene).await;
        scene.store.close().await;
        run(&base, &format!("DROP SCHEMA {schema} CASCADE")).await;
    }
}

/// Of this process and test, so that tests can run side by side.
fn schema_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("import_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

async fn run(url: &str, sql: &str) {
    let database = Database::connect(url).await.unwrap();
    database.execute_unprepared(sql).await.unwrap();
    database.close().await.unwrap();
}
