//! Patients.

use domain::id::PatientId;
use domain::patient::Patient;

use super::samples::{at, full_patient, phone};
use super::{Harness, assert_conflict, assert_unique, attempt, sorted, within};
use crate::build::{patient, patient_id, user_id};

async fn given(h: &dyn Harness, patients: &[Patient]) {
    within(h, async |unit| {
        for patient in patients {
            unit.patients().insert(patient).await.unwrap();
        }
    })
    .await;
}

async fn stored(h: &dyn Harness, id: PatientId) -> Option<Patient> {
    h.store().read().patients().find(id).await.unwrap()
}

pub async fn a_patient_keeps_every_field(h: &dyn Harness) {
    given(h, &[full_patient(1)]).await;
    assert_eq!(stored(h, patient_id(1)).await, Some(full_patient(1)));
}

pub async fn an_empty_patient_stays_empty(h: &dyn Harness) {
    given(h, &[patient(1).done()]).await;
    assert_eq!(stored(h, patient_id(1)).await, Some(patient(1).done()));
}

pub async fn an_unknown_patient_is_nobody(h: &dyn Harness) {
    assert_eq!(stored(h, patient_id(1)).await, None);
}

pub async fn several_patients_are_found_at_once(h: &dyn Harness) {
    given(h, &[patient(1).done(), patient(2).done(), patient(3).done()]).await;
    let mut read = h.store().read();
    let asked = [patient_id(3), patient_id(9), patient_id(1), patient_id(3)];
    let found = read.patients().find_all(&asked).await.unwrap();
    assert_eq!(sorted(found.iter().map(|p| p.id)), [patient_id(1), patient_id(3)]);
    assert!(read.patients().find_all(&[]).await.unwrap().is_empty());
}

pub async fn a_patient_is_found_by_its_account(h: &dyn Harness) {
    given(h, &[patient(1).user(7).done(), patient(2).done()]).await;
    let mut read = h.store().read();
    assert_eq!(read.patients().find_by_user(user_id(7)).await.unwrap(), Some(patient(1).user(7).done()));
    assert_eq!(read.patients().find_by_user(user_id(8)).await.unwrap(), None);
}

pub async fn the_oldest_patient_without_an_account_is_found_by_phone(h: &dyn Harness) {
    given(
        h,
        &[
            patient(1).phone(phone(1)).user(1).created_at(at(0)).done(),
            patient(4).phone(phone(1)).created_at(at(1)).done(),
            patient(3).phone(phone(1)).created_at(at(1)).done(),
            patient(2).phone(phone(1)).created_at(at(2)).done(),
            patient(5).phone(phone(2)).created_at(at(0)).done(),
        ],
    )
    .await;
    let mut read = h.store().read();
    let found = read.patients().find_unlinked_by_phone(&phone(1)).await.unwrap();
    assert_eq!(found.map(|p| p.id), Some(patient_id(3)));
    assert_eq!(read.patients().find_unlinked_by_phone(&phone(3)).await.unwrap(), None);
}

pub async fn an_update_writes_every_field_and_bumps_the_version(h: &dyn Harness) {
    given(h, &[patient(1).done()]).await;
    let full = Patient { version: 1, ..full_patient(1) };
    within(h, async |unit| unit.patients().update(&full).await.unwrap()).await;
    assert_eq!(stored(h, patient_id(1)).await, Some(Patient { version: 2, ..full }));
    let empty = Patient { version: 2, ..patient(1).done() };
    within(h, async |unit| unit.patients().update(&empty).await.unwrap()).await;
    assert_eq!(stored(h, patient_id(1)).await, Some(Patient { version: 3, ..empty }));
}

pub async fn a_stale_update_is_a_conflict_and_changes_nothing(h: &dyn Harness) {
    given(h, &[patient(1).done()]).await;
    for version in [0, 2] {
        let stale = Patient { version, ..patient(1).name("旧").done() };
        assert_conflict(&attempt(h, async |unit| unit.patients().update(&stale).await).await);
    }
    assert_conflict(&attempt(h, async |unit| unit.patients().update(&patient(2).done()).await).await);
    assert_eq!(stored(h, patient_id(1)).await, Some(patient(1).done()));
}

pub async fn a_patient_id_is_taken_once(h: &dyn Harness) {
    given(h, &[patient(1).done()]).await;
    let again = patient(1).name("另一位").done();
    assert_unique(&attempt(h, async |unit| unit.patients().insert(&again).await).await, "patient");
}

pub async fn an_account_belongs_to_one_patient(h: &dyn Harness) {
    given(h, &[patient(1).user(7).done(), patient(2).done(), patient(3).done()]).await;
    let inserted = attempt(h, async |unit| unit.patients().insert(&patient(4).user(7).done()).await).await;
    assert_unique(&inserted, "patient");
    let linked = attempt(h, async |unit| unit.patients().update(&patient(2).user(7).done()).await).await;
    assert_unique(&linked, "patient");
}
