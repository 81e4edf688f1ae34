//! Databases of one test each, and documents to put into them.

use std::env;
use std::sync::atomic::{AtomicU32, Ordering};

use domain::id::UserId;
use domain::{ObjectId, Timestamp};
use leancloud::acl::Acl;
use leancloud::query::{Query, parse_order, parse_where};
use leancloud::rest::{ClassInfo, ClientViewer, Document, RestStore, Viewer};
use leancloud::value::canonical;
use sea_orm::{ConnectionTrait, Database};
use serde_json::{Value, json};
use storage::{DatabaseOptions, SeaStore, Seal};
use tempfile::TempDir;

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_406_400_000);

/// Runs a test on each database there is.
pub(crate) async fn on_each_database(test: impl AsyncFn(&SeaStore)) {
    on_each_address(async |store, _| test(store).await).await;
}

/// Like [`on_each_database`], also telling where the database is.
pub(crate) async fn on_each_address(test: impl AsyncFn(&SeaStore, &str)) {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    run(&url, &test).await;
    if let Ok(base) = env::var("DATABASE_URL_PG") {
        let schema = schema_name();
        run_postgres(&base, &format!("CREATE SCHEMA {schema}")).await;
        let separator = if base.contains('?') { '&' } else { '?' };
        run(&format!("{base}{separator}options[search_path]={schema}"), &test).await;
        run_postgres(&base, &format!("DROP SCHEMA {schema} CASCADE")).await;
    }
}

async fn run(url: &str, test: &impl AsyncFn(&SeaStore, &str)) {
    let store = SeaStore::connect(&DatabaseOptions::new(url, Seal::derive(&[7; 32]))).await.unwrap();
    store.migrate().await.unwrap();
    test(&store, url).await;
    store.close().await;
}

/// Of this process and test, so that tests can run side by side.
fn schema_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("leancloud_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst))
}

pub(crate) async fn execute(url: &str, sql: &str) {
    run_postgres(url, sql).await;
}

async fn run_postgres(url: &str, sql: &str) {
    let db = Database::connect(url).await.unwrap();
    db.execute_unprepared(sql).await.unwrap();
    db.close().await.unwrap();
}

pub(crate) fn id(n: u32) -> ObjectId {
    ObjectId::from_parts(1, [0; 5], n)
}

pub(crate) fn document(class: &str, n: u32, fields: Value) -> Document {
    let Value::Object(fields) = canonical(fields).unwrap() else { panic!("not an object") };
    let at = Timestamp::from_millis(NOW.as_millis() + i64::from(n));
    Document { class: class.to_owned(), id: id(n), fields, acl: None, created_at: at, updated_at: at }
}

#[expect(clippy::needless_pass_by_value, reason = "lists are written in place")]
pub(crate) fn with_acl(document: Document, acl: Value) -> Document {
    Document { acl: Some(Acl::parse(&acl).unwrap()), ..document }
}

pub(crate) async fn insert(store: &SeaStore, documents: &[Document]) {
    let mut unit = RestStore::begin(store).await.unwrap();
    for document in documents {
        unit.documents().ensure_class(&document.class, &ClassInfo::of_object(&document.fields), NOW).await.unwrap();
        unit.documents().insert(document).await.unwrap();
    }
    unit.commit().await.unwrap();
}

pub(crate) fn viewer(user: Option<u32>, roles: &[&str]) -> Viewer {
    Viewer::Client(ClientViewer {
        user: user.map(|n| UserId(id(n))),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        ..ClientViewer::default()
    })
}

pub(crate) fn pointer(class: &str, n: u32) -> Value {
    json!({ "__type": "Pointer", "className": class, "objectId": id(n).to_string() })
}

/// The ids' numbers of what a query finds, in its order.
pub(crate) async fn found(store: &SeaStore, viewer: &Viewer, class: &str, filter: Value, order: &str) -> Vec<u32> {
    let query = Query {
        filter: parse_where(&filter).unwrap(),
        order: parse_order(order).unwrap(),
        limit: 1_000,
        ..Query::default()
    };
    let found = RestStore::read(store).documents().find(viewer, class, &query).await;
    let found = found.unwrap_or_else(|error| panic!("{filter}: {error:?}"));
    found.iter().map(|document| number(document.id)).collect()
}

pub(crate) fn number(id: ObjectId) -> u32 {
    let [.., a, b, c] = *id.as_bytes();
    u32::from_be_bytes([0, a, b, c])
}
