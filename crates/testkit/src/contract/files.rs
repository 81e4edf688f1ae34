//! Files.

use domain::file::{File, FileOwner, FilePlace};
use domain::id::{AgentId, FileId};
use domain::patient::Patient;

use super::samples::{extra, file};
use super::{Harness, assert_unique, attempt, sorted, within};
use crate::build::{patient, user_id};
use crate::ids::object_id;

async fn given(h: &dyn Harness, files: &[File]) {
    within(h, async |unit| {
        for file in files {
            unit.files().insert(file).await.unwrap();
        }
    })
    .await;
}

pub async fn a_file_keeps_every_field_whoever_owns_it_and_wherever_it_is(h: &dyn Harness) {
    let uploaded = File {
        owner: FileOwner::User(user_id(1)),
        size: Some(10 * 1024 * 1024),
        sha256: Some("00ff".into()),
        place: FilePlace::Stored { key: "2026/01/a.jpg".into() },
        extra: extra(),
        ..file(1)
    };
    let of_staff = File { owner: FileOwner::Staff(AgentId(object_id(9))), ..file(2) };
    let files = [uploaded, of_staff, file(3)];
    given(h, &files).await;
    for file in files {
        assert_eq!(h.store().read().files().find(file.id).await.unwrap(), Some(file));
    }
    assert_eq!(h.store().read().files().find(FileId(object_id(4))).await.unwrap(), None);
}

pub async fn several_files_are_found_at_once(h: &dyn Harness) {
    given(h, &[file(1), file(2), file(3)]).await;
    let asked = [3, 9, 1, 3].map(|n| FileId(object_id(n)));
    let found = h.store().read().files().find_all(&asked).await.unwrap();
    assert_eq!(sorted(found.iter().map(|f| f.id)), [1, 3].map(|n| FileId(object_id(n))));
    assert!(h.store().read().files().find_all(&[]).await.unwrap().is_empty());
}

pub async fn a_file_is_deleted_unless_a_profile_shows_it(h: &dyn Harness) {
    given(h, &[file(1), file(2)]).await;
    within(h, async |unit| {
        let patient = Patient { icon: Some(FileId(object_id(2))), ..patient(1).done() };
        unit.patients().insert(&patient).await.unwrap();
        assert!(unit.files().delete(FileId(object_id(1))).await.unwrap());
        assert!(!unit.files().delete(FileId(object_id(1))).await.unwrap());
        assert!(!unit.files().delete(FileId(object_id(2))).await.unwrap());
    })
    .await;
    assert!(h.store().read().files().find(FileId(object_id(2))).await.unwrap().is_some());
}

pub async fn a_file_id_is_taken_once(h: &dyn Harness) {
    given(h, &[file(1)]).await;
    assert_unique(&attempt(h, async |unit| unit.files().insert(&file(1)).await).await, "file");
}
