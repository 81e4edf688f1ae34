//! Documents: what is stored comes back, lists decide who may, roles are inherited.

use domain::StoreError;
use domain::id::UserId;
use leancloud::ops::RelationChange;
use leancloud::query::{Where, parse_where};
use leancloud::rest::{ClassInfo, Document, LockedDocument, RestStore, Viewer};
use leancloud::wire::Pointer;
use serde_json::{Value, json};
use storage::SeaStore;

use super::support::{NOW, document, found, id, insert, number, on_each_database, viewer, with_acl};

async fn lock(store: &SeaStore, viewer: &Viewer, class: &str, n: u32, condition: Value) -> Option<LockedDocument> {
    let mut unit = RestStore::begin(store).await.unwrap();
    unit.documents().lock(viewer, class, id(n), &parse_where(&condition).unwrap()).await.unwrap()
}

#[tokio::test]
async fn what_is_stored_comes_back_as_it_was() {
    on_each_database(async |store| {
        let fields = json!({
            "text": "\u{1} \"q\" \\ 钱 🙂", "big": 1e20, "small": 0.1, "int": 9_007_199_254_740_991_i64, "null": null,
            "list": [1, [2, {"x": null}]], "nested": {"a.b": 1, "": {}}, "empty": {}, "flag": false
        });
        let acl = json!({ "*": { "read": true }, "role:Staff": { "write": true } });
        let whole = with_acl(document("Thing", 1, fields), acl);
        insert(store, std::slice::from_ref(&whole)).await;
        let back = lock(store, &Viewer::Master, "Thing", 1, json!({})).await.unwrap();
        assert_eq!(back.document, whole);
        let mut unit = RestStore::begin(store).await.unwrap();
        let next = Document { fields: serde_json::Map::new(), acl: None, ..whole };
        unit.documents().update(&next).await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(lock(store, &Viewer::Master, "Thing", 1, json!({})).await.unwrap().document, next);
        assert_eq!(lock(store, &Viewer::Master, "Other", 1, json!({})).await, None);
        assert_eq!(lock(store, &Viewer::Master, "Thing", 2, json!({})).await, None);
    })
    .await;
}

#[tokio::test]
async fn lists_decide_who_reads_and_writes() {
    on_each_database(async |store| {
        let reader = json!({ id(101).to_string(): { "read": true }, "role:Staff": { "write": true } });
        insert(
            store,
            &[
                document("Note", 1, json!({})),
                with_acl(document("Note", 2, json!({})), reader),
                with_acl(document("Note", 3, json!({})), json!({})),
                with_acl(document("Note", 4, json!({})), json!({ "*": { "read": true } })),
            ],
        )
        .await;
        let (owner, staff, nobody) = (viewer(Some(101), &[]), viewer(Some(102), &["Staff"]), viewer(None, &[]));
        let seen = async |viewer: &Viewer| found(store, viewer, "Note", json!({}), "").await;
        assert_eq!(seen(&owner).await, [1, 2, 4]);
        assert_eq!(seen(&staff).await, [1, 4]);
        assert_eq!(seen(&nobody).await, [1, 4]);
        assert_eq!(seen(&Viewer::Master).await, [1, 2, 3, 4]);
        let rights = async |viewer: &Viewer, n| {
            let locked = lock(store, viewer, "Note", n, json!({})).await.unwrap();
            (locked.may_read, locked.may_write)
        };
        assert_eq!(rights(&owner, 2).await, (true, false));
        assert_eq!(rights(&staff, 2).await, (false, true));
        assert_eq!(rights(&nobody, 2).await, (false, false));
        assert_eq!(rights(&nobody, 1).await, (true, true));
        assert_eq!(rights(&nobody, 4).await, (true, false));
        assert_eq!(rights(&Viewer::Master, 3).await, (true, true));
    })
    .await;
}

#[tokio::test]
async fn a_condition_is_judged_on_the_locked_row() {
    on_each_database(async |store| {
        insert(store, &[document("Stock", 1, json!({ "left": 3 }))]).await;
        let holds = async |condition: Value| lock(store, &Viewer::Master, "Stock", 1, condition).await.unwrap().holds;
        assert!(holds(json!({ "left": { "$gte": 3 } })).await);
        assert!(!holds(json!({ "left": { "$gt": 3 } })).await);
        assert!(!holds(json!({ "absent": { "$gt": 3 } })).await);
        assert!(holds(json!({})).await);
    })
    .await;
}

async fn role(store: &SeaStore, n: u32, name: &str, key: &str, target: (&str, u32)) {
    insert(store, &[document("_Role", n, json!({ "name": name }))]).await;
    let target = Pointer { class: target.0.to_owned(), id: id(target.1) };
    let change = RelationChange { key: key.to_owned(), target, is_added: true };
    let mut unit = RestStore::begin(store).await.unwrap();
    let owner = Pointer { class: "_Role".into(), id: id(n) };
    unit.documents().change_relations(&owner, &[change]).await.unwrap();
    unit.commit().await.unwrap();
}

#[tokio::test]
async fn roles_are_inherited_through_roles_even_in_a_circle() {
    on_each_database(async |store| {
        role(store, 1, "Nurse", "users", ("_User", 101)).await;
        role(store, 2, "Staff", "roles", ("_Role", 1)).await;
        role(store, 3, "Everyone", "roles", ("_Role", 2)).await;
        role(store, 4, "Lost", "roles", ("_Role", 5)).await;
        let change = RelationChange {
            key: "roles".into(),
            target: Pointer { class: "_Role".into(), id: id(3) },
            is_added: true,
        };
        let mut unit = RestStore::begin(store).await.unwrap();
        unit.documents().change_relations(&Pointer { class: "_Role".into(), id: id(1) }, &[change]).await.unwrap();
        unit.commit().await.unwrap();
        let mut unit = RestStore::read(store);
        let roles = unit.documents().roles_of(UserId(id(101))).await.unwrap();
        assert_eq!(roles, ["Everyone", "Nurse", "Staff"]);
        assert!(unit.documents().roles_of(UserId(id(102))).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_roles_name_is_taken_once() {
    on_each_database(async |store| {
        insert(store, &[document("_Role", 1, json!({ "name": "Staff" }))]).await;
        let mut unit = RestStore::begin(store).await.unwrap();
        let again = unit.documents().insert(&document("_Role", 2, json!({ "name": "Staff" }))).await;
        assert!(matches!(again, Err(StoreError::Unique(_))), "{again:?}");
    })
    .await;
}

#[tokio::test]
async fn a_deleted_document_takes_its_relations_along() {
    on_each_database(async |store| {
        role(store, 1, "Nurse", "users", ("_User", 101)).await;
        let mut unit = RestStore::begin(store).await.unwrap();
        unit.documents().delete("_Role", id(1)).await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(found(store, &Viewer::Master, "_Role", json!({}), "").await, [0_u32; 0]);
        insert(store, &[document("_Role", 1, json!({ "name": "Nurse" }))]).await;
        let roles = RestStore::read(store).documents().roles_of(UserId(id(101))).await.unwrap();
        assert!(roles.is_empty(), "an old membership must not come back with a reused id");
    })
    .await;
}

#[tokio::test]
async fn a_scan_goes_on_behind_an_id() {
    on_each_database(async |store| {
        insert(store, &[document("S", 1, json!({})), document("S", 2, json!({})), document("S", 3, json!({}))]).await;
        let query = leancloud::query::Query {
            filter: Where::default(),
            limit: 2,
            after_id: Some(id(1)),
            ..leancloud::query::Query::default()
        };
        let rows = RestStore::read(store).documents().find(&Viewer::Master, "S", &query).await.unwrap();
        assert_eq!(rows.iter().map(|row| number(row.id)).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(RestStore::read(store).documents().class("Nothing").await.unwrap(), None);
        let mut unit = RestStore::begin(store).await.unwrap();
        let more = |fields: Value| ClassInfo::of_object(fields.as_object().unwrap());
        unit.documents().ensure_class("S", &more(json!({ "l": [1], "d": { "x": [1] }, "t": "x" })), NOW).await.unwrap();
        unit.documents().ensure_class("S", &more(json!({ "r": { "__type": "Relation" } })), NOW).await.unwrap();
        let known = unit.documents().class("S").await.unwrap().unwrap();
        assert_eq!(known.relation_keys.into_iter().collect::<Vec<_>>(), ["r"]);
        assert_eq!(known.array_keys.into_iter().collect::<Vec<_>>(), ["d", "l"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_first_objects_tell_of_a_class_is_kept() {
    on_each_database(async |store| {
        let tell = |key: &'static str| {
            let store = store.clone();
            async move {
                let mut unit = RestStore::begin(&store).await.unwrap();
                let fields = serde_json::Map::from_iter([(key.to_owned(), json!([1]))]);
                unit.documents().ensure_class("Fresh", &ClassInfo::of_object(&fields), NOW).await.unwrap();
                unit.commit().await.unwrap();
            }
        };
        futures_util::future::join(tell("a"), tell("b")).await;
        let known = RestStore::read(store).documents().class("Fresh").await.unwrap().unwrap();
        assert_eq!(known.array_keys.into_iter().collect::<Vec<_>>(), ["a", "b"]);
    })
    .await;
}
