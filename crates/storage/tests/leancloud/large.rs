//! A large class: indexed queries find what is there, and how long they take.
//!
//! `DOCUMENT_ROWS=1000000 cargo nextest run -p storage --test leancloud --no-capture large` prints the figures of a
//! class of a million rows.

use std::env;
use std::time::{Duration, Instant};

use leancloud::query::{Query, parse_order, parse_where};
use leancloud::rest::{ClientViewer, RestStore, Viewer};
use serde_json::{Value, json};
use storage::{Backend, DocumentIndex, SeaStore};

use super::support::{NOW, document, execute, insert, on_each_address, pointer, viewer};

const REPEATS: usize = 41;

fn rows() -> u32 {
    env::var("DOCUMENT_ROWS").ok().and_then(|text| text.parse().ok()).unwrap_or(5_000)
}

/// Row `n` has the number `n % 1000`, an author of one in fifty rows, and the time of `n` milliseconds after [`NOW`].
async fn fill(store: &SeaStore, url: &str, rows: u32) {
    insert(store, &[document("Large", 0, json!({}))]).await;
    let now = NOW.as_millis();
    let sql = match store.backend() {
        Backend::Postgres => format!(
            "INSERT INTO document (class, id, data, readers, created_at, updated_at) \
             SELECT 'Large', lpad(to_hex(n), 24, '0'), jsonb_build_object('n', n % 1000, 'text', 'some text ' || n, \
             'author', jsonb_build_object('__type', 'Pointer', 'className', 'Author', 'objectId', \
             '0000000100000000000' || lpad(to_hex(n / 50), 5, '0'))), NULL, {now} + n, {now} + n \
             FROM generate_series(1, {rows}) AS n"
        ),
        Backend::Sqlite => format!(
            "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {rows}) \
             INSERT INTO document (class, id, data, readers, created_at, updated_at) \
             SELECT 'Large', printf('%024x', n), printf('{{\"author\":{{\"__type\":\"Pointer\",\"className\":\"Author\",\
             \"objectId\":\"0000000100000000000%05x\"}},\"n\":%d,\"text\":\"some text %d\"}}', n / 50, n % 1000, n), \
             NULL, {now} + n, {now} + n FROM series"
        ),
    };
    execute(url, &sql).await;
    let indexes = ["n", "author"].map(|field| DocumentIndex::new("Large", field).unwrap());
    store.index_documents(&indexes, NOW).await.unwrap();
    if store.backend() == Backend::Postgres {
        execute(url, "ANALYZE document").await;
    }
}

/// Median time of a query, and how many rows it finds.
async fn median(store: &SeaStore, viewer: &Viewer, class: &str, filter: &Value, order: &str) -> (Duration, usize) {
    let query = Query {
        filter: parse_where(filter).unwrap(),
        order: parse_order(order).unwrap(),
        limit: 100,
        ..Query::default()
    };
    let mut times = Vec::new();
    let mut found = 0;
    for _ in 0..REPEATS {
        let begun = Instant::now();
        found = RestStore::read(store).documents().find(viewer, class, &query).await.unwrap().len();
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    (times[REPEATS / 2], found)
}

#[tokio::test]
async fn large_classes_are_searched_through_their_indexes() {
    let rows = rows();
    on_each_address(async |store, url| {
        fill(store, url, rows).await;
        let author = pointer("Author", 17);
        let later = leancloud::wire::date(domain::Timestamp::from_millis(NOW.as_millis() + i64::from(rows) - 10));
        let queries = [
            (json!({ "objectId": format!("{:024x}", 1_234) }), "", 1),
            (json!({ "author": author }), "", 50),
            (json!({ "author": { "$in": [author, pointer("Author", 18)] } }), "", 100),
            (json!({ "author": author, "n": { "$gte": 860 } }), "-n", 40),
            (json!({ "n": 500 }), "", (rows / 1_000).min(100)),
            (json!({ "n": { "$gt": 998 } }), "", (rows / 1_000).min(100)),
            (json!({}), "-createdAt", 100),
            (json!({}), "n", 100),
            (json!({}), "-n", 100),
            (json!({ "createdAt": { "$gte": later } }), "-createdAt", 11),
        ];
        let viewer = viewer(Some(7), &["Staff"]);
        for (filter, order, expected) in queries {
            let (time, found) = median(store, &viewer, "Large", &filter, order).await;
            println!("{:?} {rows} rows: {time:?} for {filter} by '{order}'", store.backend());
            assert_eq!(found, expected as usize, "{filter}");
            // Far above what is promised for a million rows, far below reading them all.
            assert!(time < Duration::from_millis(100), "{filter} took {time:?}");
        }
        assert_eq!(
            RestStore::read(store)
                .documents()
                .count(&Viewer::Master, "Large", &parse_where(&json!({})).unwrap())
                .await
                .unwrap(),
            u64::from(rows) + 1
        );
    })
    .await;
}

/// `rows` conversations of other people, of which every thousandth is mine too, and five services.
async fn fill_conversations(store: &SeaStore, url: &str, rows: u32) {
    let (series, id, object) = match store.backend() {
        Backend::Postgres => {
            let series = format!("generate_series(1, {rows}) AS series(n)");
            (series, "lpad(to_hex(n), 24, '0')", "'{}'::jsonb")
        }
        Backend::Sqlite => {
            let series = format!(
                "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {rows}) SELECT n FROM s) series"
            );
            (series, "printf('%024x', n)", "'{}'")
        }
    };
    let service = if store.backend() == Backend::Postgres { "'{\"sys\":true}'::jsonb" } else { "'{\"sys\":true}'" };
    let now = NOW.as_millis();
    let statements = [
        format!(
            "INSERT INTO conversation (id, kind, last_seq, last_position, last_message_at, attributes, extra, created_at, \
             updated_at) SELECT {id}, 'direct', 0, 0, {now} + n, {object}, \
             CASE WHEN n <= 5 THEN {service} ELSE {object} END, {now} + n, {now} + n FROM {series}"
        ),
        format!(
            "INSERT INTO conversation_member (conversation_id, client_id, kind, joined_at) \
             SELECT {id}, 'other', 'other', {now} FROM {series} WHERE n > 5"
        ),
        format!(
            "INSERT INTO conversation_member (conversation_id, client_id, kind, joined_at) \
             SELECT {id}, 'me', 'other', {now} FROM {series} WHERE n % 1000 = 0"
        ),
    ];
    for sql in statements {
        execute(url, &sql).await;
    }
    if store.backend() == Backend::Postgres {
        execute(url, "ANALYZE conversation, conversation_member").await;
    }
}

#[tokio::test]
async fn own_conversations_are_found_among_many() {
    let rows = rows();
    on_each_address(async |store, url| {
        fill_conversations(store, url, rows).await;
        let me = Viewer::Client(ClientViewer { peers: vec!["me".into()], ..ClientViewer::default() });
        let own = rows / 1_000;
        for (filter, order, expected) in [
            (json!({}), "-lm", (own + 5).min(100)),
            (json!({ "m": "me" }), "-lm", own.min(100)),
            (json!({ "m": { "$all": ["me", "other"] } }), "-updatedAt", own.min(100)),
            (json!({ "sys": true }), "", 5),
            (json!({ "objectId": format!("{:024x}", 1_000) }), "", 1),
            (json!({ "objectId": format!("{:024x}", 999) }), "", 0),
        ] {
            let (time, found) = median(store, &me, "_Conversation", &filter, order).await;
            println!("{:?} {rows} conversations: {time:?} for {filter} by '{order}'", store.backend());
            assert_eq!(found, expected as usize, "{filter}");
        }
    })
    .await;
}
