//! What SQLite does with compiled queries.

use ::leancloud::query::{Query, parse_order, parse_where};
use ::leancloud::rest::{ClientViewer, Viewer};
use serde_json::json;
use tempfile::TempDir;

use super::condition::{Classes, Compiler};
use crate::backend::{Backend, DatabaseOptions};
use crate::seal::Seal;
use crate::store::SeaStore;

#[tokio::test]
async fn own_conversations_are_found_by_their_indexes() {
    let folder = TempDir::new().unwrap();
    let seal = Seal::derive(&[7; 32]);
    let url = format!("sqlite://{}", folder.path().join("test.db").display());
    let store = SeaStore::connect(&DatabaseOptions::new(url, seal.clone())).await.unwrap();
    store.migrate().await.unwrap();
    let viewer = Viewer::Client(ClientViewer { peers: vec!["me".into(), "also me".into()], ..ClientViewer::default() });
    let classes = Classes::new();
    let mut compiler = Compiler::new(Backend::Sqlite, &seal, &viewer, &classes);
    let source = compiler.source("_Conversation");
    let query = Query {
        filter: parse_where(&json!({ "m": { "$all": ["me", "you"] } })).unwrap(),
        order: parse_order("-lm").unwrap(),
        limit: 10,
        ..Query::default()
    };
    let rest = compiler.query(&source, &query);
    let sql = format!("EXPLAIN QUERY PLAN SELECT {}.id FROM {rest}", source.alias);
    let rows = store.reading().query(&sql, compiler.values).await.unwrap();
    let steps: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
    let of_conversations: Vec<&String> =
        steps.iter().filter(|step| step.contains(" t ") || step.ends_with(" t")).collect();
    assert_eq!(of_conversations.len(), 2, "{steps:#?}");
    assert!(of_conversations.iter().all(|step| step.contains("INDEX")), "{steps:#?}");
}
