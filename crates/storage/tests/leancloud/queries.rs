//! Parts of the query language that the random comparison leaves out, and who may see what through them.

use std::collections::BTreeSet;

use leancloud::ops::RelationChange;
use leancloud::rest::{ClassInfo, RestStore, Viewer};
use leancloud::wire::Pointer;
use serde_json::{Value, json};
use storage::{DocumentIndex, SeaStore};

use super::support::{NOW, document, found, id, insert, on_each_database, pointer, viewer, with_acl};

fn place(latitude: f64, longitude: f64) -> Value {
    json!({ "__type": "GeoPoint", "latitude": latitude, "longitude": longitude })
}

#[tokio::test]
async fn the_nearest_come_first_and_those_too_far_not_at_all() {
    on_each_database(async |store| {
        let at = |n, latitude, longitude| document("Clinic", n, json!({ "at": place(latitude, longitude) }));
        let shanghai = (31.23, 121.47);
        insert(
            store,
            &[at(1, 39.9, 116.4), at(2, 31.2, 121.5), at(3, 30.27, 120.15), document("Clinic", 4, json!({}))],
        )
        .await;
        let near = |more: Value| {
            let mut test = json!({ "$nearSphere": place(shanghai.0, shanghai.1) });
            test.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({ "at": test })
        };
        let all = found(store, &Viewer::Master, "Clinic", near(json!({})), "").await;
        assert_eq!(all, [2, 3, 1]);
        let around = near(json!({ "$maxDistanceInKilometers": 200 }));
        assert_eq!(found(store, &Viewer::Master, "Clinic", around.clone(), "").await, [2, 3]);
        assert_eq!(found(store, &Viewer::Master, "Clinic", around, "-createdAt").await, [3, 2]);
        let boxed = json!({ "at": { "$within": { "$box": [place(31.0, 121.0), place(40.0, 122.0)] } } });
        assert_eq!(found(store, &Viewer::Master, "Clinic", boxed, "").await, [2]);
    })
    .await;
}

#[tokio::test]
async fn times_of_rows_compare_with_dates_and_texts() {
    on_each_database(async |store| {
        insert(store, &[document("T", 1, json!({})), document("T", 2, json!({}))]).await;
        let second = domain::Timestamp::from_millis(NOW.as_millis() + 2);
        let date = leancloud::wire::date(second);
        let by = async |filter: Value| found(store, &Viewer::Master, "T", filter, "").await;
        assert_eq!(by(json!({ "createdAt": { "$lt": date } })).await, [1]);
        assert_eq!(by(json!({ "createdAt": date })).await, [2]);
        assert_eq!(by(json!({ "updatedAt": { "$gte": second.to_rfc3339() } })).await, [2]);
        assert_eq!(by(json!({ "createdAt": { "$lt": 5 } })).await, [0_u32; 0]);
        assert_eq!(found(store, &Viewer::Master, "T", json!({}), "-createdAt").await, [2, 1]);
    })
    .await;
}

fn relation_named(key: &str) -> ClassInfo {
    ClassInfo { relation_keys: BTreeSet::from([key.to_owned()]), ..ClassInfo::default() }
}

async fn relate(store: &SeaStore, owner: (&str, u32), key: &str, target: (&str, u32)) {
    let mut unit = RestStore::begin(store).await.unwrap();
    unit.documents().ensure_class(owner.0, &relation_named(key), NOW).await.unwrap();
    let change = RelationChange {
        key: key.to_owned(),
        target: Pointer { class: target.0.to_owned(), id: id(target.1) },
        is_added: true,
    };
    let owner = Pointer { class: owner.0.to_owned(), id: id(owner.1) };
    unit.documents().change_relations(&owner, &[change]).await.unwrap();
    unit.commit().await.unwrap();
}

#[tokio::test]
async fn relations_are_asked_from_both_ends() {
    on_each_database(async |store| {
        insert(store, &[document("Post", 1, json!({})), document("Post", 2, json!({ "hidden": 1 }))]).await;
        insert(store, &[document("Tag", 11, json!({ "name": "x" })), document("Tag", 12, json!({}))]).await;
        relate(store, ("Post", 1), "tags", ("Tag", 11)).await;
        relate(store, ("Post", 2), "tags", ("Tag", 12)).await;
        let related = |n: u32| json!({ "$relatedTo": { "object": pointer("Post", n), "key": "tags" } });
        assert_eq!(found(store, &Viewer::Master, "Tag", related(1), "").await, [11]);
        let by_member = json!({ "tags": pointer("Tag", 12) });
        assert_eq!(found(store, &Viewer::Master, "Post", by_member, "").await, [2]);
        let by_query = json!({ "tags": { "$inQuery": { "className": "Tag", "where": { "name": "x" } } } });
        assert_eq!(found(store, &Viewer::Master, "Post", by_query, "").await, [1]);
        assert_eq!(
            found(store, &Viewer::Master, "Post", json!({ "tags": { "$ne": pointer("Tag", 12) } }), "").await,
            [1]
        );
    })
    .await;
}

#[tokio::test]
async fn no_condition_tells_what_the_viewer_may_not_see() {
    on_each_database(async |store| {
        let mine = json!({ id(101).to_string(): { "read": true } });
        let secret = with_acl(document("Secret", 1, json!({ "pin": "1234", "of": pointer("Open", 21) })), mine);
        insert(store, &[secret, document("Open", 21, json!({ "pin": "1234" }))]).await;
        relate(store, ("Secret", 1), "members", ("Open", 21)).await;
        let stranger = viewer(Some(102), &[]);
        let owner = viewer(Some(101), &[]);
        let sub = |filter: Value| json!({ "className": "Secret", "where": filter });
        let guesses = [
            json!({ "pin": { "$select": { "key": "pin", "query": sub(json!({})) } } }),
            json!({ "objectId": { "$select": { "key": "of.objectId", "query": sub(json!({})) } } }),
            json!({ "$relatedTo": { "object": pointer("Secret", 1), "key": "members" } }),
        ];
        for guess in guesses {
            assert_eq!(found(store, &stranger, "Open", guess.clone(), "").await, [0_u32; 0], "{guess}");
            assert_eq!(found(store, &owner, "Open", guess.clone(), "").await, [21], "{guess}");
        }
        insert(store, &[document("Ref", 31, json!({ "to": pointer("Secret", 1) }))]).await;
        let through = json!({ "to": { "$inQuery": sub(json!({ "pin": { "$regex": "^1" } })) } });
        assert_eq!(found(store, &stranger, "Ref", through.clone(), "").await, [0_u32; 0]);
        assert_eq!(found(store, &owner, "Ref", through, "").await, [31]);
        let not_through = json!({ "to": { "$notInQuery": sub(json!({ "pin": "1234" })) } });
        assert_eq!(found(store, &stranger, "Ref", not_through, "").await, [31]);
        // The list itself is nothing a condition may look at.
        let by_list = json!({ "ACL": { "$exists": true } });
        assert_eq!(found(store, &owner, "Secret", by_list, "").await, [0_u32; 0]);
    })
    .await;
}

#[tokio::test]
async fn an_index_changes_nothing_but_speed() {
    on_each_database(async |store| {
        let rows: Vec<_> = (0..50)
            .map(|n| document("Indexed", n, json!({ "score": n % 7, "who": pointer("P", n % 5), "l": [n] })))
            .collect();
        insert(store, &rows).await;
        let indexes = ["score", "who", "l", "deep.score"].map(|field| DocumentIndex::new("Indexed", field).unwrap());
        let queries = [
            json!({ "score": 3 }),
            json!({ "score": { "$gte": 5 } }),
            json!({ "who": pointer("P", 2) }),
            json!({ "l": 7 }),
            json!({ "score": { "$in": [1, 2] }, "who": { "$ne": pointer("P", 1) } }),
        ];
        let mut before = Vec::new();
        for query in &queries {
            before.push(found(store, &Viewer::Master, "Indexed", query.clone(), "-score").await);
        }
        store.index_documents(&indexes, NOW).await.unwrap();
        store.index_documents(&indexes, NOW).await.unwrap();
        for (query, before) in queries.iter().zip(before) {
            assert!(!before.is_empty());
            assert_eq!(found(store, &Viewer::Master, "Indexed", query.clone(), "-score").await, before, "{query}");
        }
        assert!(DocumentIndex::new("Doctor", "name").is_err());
        assert!(DocumentIndex::new("A", "x'); DROP TABLE document; --").is_err());
    })
    .await;
}
