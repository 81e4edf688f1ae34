//! Migrations: once, again, and from two processes at the same time.

use consultation::ConsultationStore;
use domain::Timestamp;
use storage::{DatabaseOptions, SeaStore, Seal, SealError};
use testkit::build;

use super::Place;

/// A patient written between two migrations is still there.
pub(crate) async fn migrating_again_changes_nothing(place: &impl Place) {
    let store = SeaStore::connect(&place.options()).await.unwrap();
    store.migrate().await.unwrap();
    let patient = build::patient(1).name("王").done();
    let mut unit = store.begin().await.unwrap();
    unit.patients().insert(&patient).await.unwrap();
    unit.commit().await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(store.read().patients().find(patient.id).await.unwrap(), Some(patient));
    store.close().await;
}

/// Numbers sealed under one key are nothing under another: that is told before anybody looks for one.
pub(crate) async fn another_key_is_told(place: &impl Place) {
    let store = SeaStore::connect(&place.options()).await.unwrap();
    assert!(matches!(store.prove_seal().await, Err(SealError::Store(_))), "there is nothing to prove yet");
    store.migrate().await.unwrap();
    store.prove_seal().await.unwrap();
    store.close().await;
    let options = DatabaseOptions { seal: Seal::derive(&[8; 32]), ..place.options() };
    let other = SeaStore::connect(&options).await.unwrap();
    other.migrate().await.unwrap();
    assert!(matches!(other.prove_seal().await, Err(SealError::OtherKey)));
    other.close().await;
}

/// Two stores are two processes to the database: neither knows of the other's connections.
pub(crate) async fn two_processes_may_open_and_migrate_at_once(place: &impl Place) {
    let migrated = async || {
        let store = SeaStore::connect(&place.options()).await.unwrap();
        store.migrate().await.unwrap();
        store
    };
    let (one, other) = tokio::join!(Box::pin(migrated()), Box::pin(migrated()));
    one.probe_write(Timestamp::from_millis(1)).await.unwrap();
    other.probe_write(Timestamp::from_millis(2)).await.unwrap();
    one.close().await;
    other.close().await;
}

pub(crate) async fn a_fresh_store_breaks_no_rule(place: &impl Place) {
    let store = SeaStore::connect(&place.options()).await.unwrap();
    store.migrate().await.unwrap();
    assert_eq!(store.inspect().await.unwrap(), []);
    store.close().await;
}

/// A unit still reports that the tables are missing before the migration, instead of hanging or panicking.
pub(crate) async fn an_unmigrated_store_answers_an_error(place: &impl Place) {
    let store = SeaStore::connect(&place.options()).await.unwrap();
    let found = store.read().patients().find(build::patient_id(1)).await;
    assert!(matches!(found, Err(domain::StoreError::Backend(_))), "{found:?}");
    store.close().await;
}
