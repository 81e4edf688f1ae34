//! Doctors.

use domain::certification::Certification;
use domain::doctor::{Doctor, DoctorSearch};
use domain::id::DoctorId;
use domain::page::PageRequest;

use super::samples::{at, full_doctor, phone};
use super::{Harness, assert_conflict, assert_unique, attempt, sorted, within};
use crate::build::{doctor, doctor_id, user_id};

async fn given(h: &dyn Harness, doctors: &[Doctor]) {
    within(h, async |unit| {
        for doctor in doctors {
            unit.doctors().insert(doctor).await.unwrap();
        }
    })
    .await;
}

async fn stored(h: &dyn Harness, id: DoctorId) -> Option<Doctor> {
    h.store().read().doctors().find(id).await.unwrap()
}

pub async fn a_doctor_keeps_every_field(h: &dyn Harness) {
    given(h, &[full_doctor(1)]).await;
    assert_eq!(stored(h, doctor_id(1)).await, Some(full_doctor(1)));
}

pub async fn an_empty_doctor_stays_empty(h: &dyn Harness) {
    given(h, &[doctor(1).done()]).await;
    assert_eq!(stored(h, doctor_id(1)).await, Some(doctor(1).done()));
    assert_eq!(stored(h, doctor_id(2)).await, None);
}

pub async fn several_doctors_are_found_at_once(h: &dyn Harness) {
    given(h, &[doctor(1).done(), doctor(2).done(), doctor(3).done()]).await;
    let asked = [doctor_id(3), doctor_id(9), doctor_id(1), doctor_id(3)];
    let found = h.store().read().doctors().find_all(&asked).await.unwrap();
    assert_eq!(sorted(found.iter().map(|d| d.id)), [doctor_id(1), doctor_id(3)]);
    let shared = within(h, async |unit| unit.doctors().find_all_shared(&asked).await.unwrap()).await;
    assert_eq!(sorted(shared.iter().map(|d| d.id)), [doctor_id(1), doctor_id(3)]);
    assert!(within(h, async |unit| unit.doctors().find_all_shared(&[]).await.unwrap()).await.is_empty());
}

pub async fn a_doctor_is_found_by_its_account(h: &dyn Harness) {
    given(h, &[doctor(1).user(7).done(), doctor(2).done()]).await;
    let mut read = h.store().read();
    assert_eq!(read.doctors().find_by_user(user_id(7)).await.unwrap(), Some(doctor(1).user(7).done()));
    assert_eq!(read.doctors().find_by_user(user_id(8)).await.unwrap(), None);
}

pub async fn the_oldest_doctor_without_an_account_is_found_by_phone(h: &dyn Harness) {
    given(
        h,
        &[
            doctor(1).phone(phone(1)).user(1).created_at(at(0)).done(),
            doctor(3).phone(phone(1)).created_at(at(2)).done(),
            doctor(2).phone(phone(1)).created_at(at(1)).done(),
        ],
    )
    .await;
    let mut read = h.store().read();
    let found = read.doctors().find_unlinked_by_phone(&phone(1)).await.unwrap();
    assert_eq!(found.map(|d| d.id), Some(doctor_id(2)));
    assert_eq!(read.doctors().find_unlinked_by_phone(&phone(3)).await.unwrap(), None);
}

pub async fn an_update_writes_every_field_and_bumps_the_version(h: &dyn Harness) {
    given(h, &[doctor(1).done()]).await;
    let full = Doctor { version: 1, ..full_doctor(1) };
    within(h, async |unit| unit.doctors().update(&full).await.unwrap()).await;
    assert_eq!(stored(h, doctor_id(1)).await, Some(Doctor { version: 2, ..full }));
    let empty = Doctor { version: 2, ..doctor(1).done() };
    within(h, async |unit| unit.doctors().update(&empty).await.unwrap()).await;
    assert_eq!(stored(h, doctor_id(1)).await, Some(Doctor { version: 3, ..empty }));
}

pub async fn a_stale_update_is_a_conflict_and_changes_nothing(h: &dyn Harness) {
    given(h, &[doctor(1).done()]).await;
    for version in [0, 2] {
        let stale = Doctor { version, ..doctor(1).name("旧").done() };
        assert_conflict(&attempt(h, async |unit| unit.doctors().update(&stale).await).await);
    }
    assert_conflict(&attempt(h, async |unit| unit.doctors().update(&doctor(2).done()).await).await);
    assert_eq!(stored(h, doctor_id(1)).await, Some(doctor(1).done()));
}

pub async fn ids_and_accounts_of_doctors_are_taken_once(h: &dyn Harness) {
    given(h, &[doctor(1).user(7).done(), doctor(2).done()]).await;
    assert_unique(&attempt(h, async |unit| unit.doctors().insert(&doctor(1).done()).await).await, "doctor");
    assert_unique(&attempt(h, async |unit| unit.doctors().insert(&doctor(3).user(7).done()).await).await, "doctor");
    assert_unique(&attempt(h, async |unit| unit.doctors().update(&doctor(2).user(7).done()).await).await, "doctor");
}

async fn search(h: &dyn Harness, text: Option<&str>) -> Vec<DoctorId> {
    let search = DoctorSearch { text: text.map(str::to_owned) };
    let found = h.store().read().doctors().search_certified(&search, PageRequest::first()).await.unwrap();
    sorted(found.items.into_iter().map(|d| d.id))
}

pub async fn the_search_shows_certified_doctors_only(h: &dyn Harness) {
    let in_state = |n, state| doctor(n).name("王").certification(state).done();
    given(
        h,
        &[
            in_state(1, Certification::None),
            in_state(2, Certification::Certified),
            in_state(3, Certification::UnderReview),
            in_state(4, Certification::Rejected),
        ],
    )
    .await;
    assert_eq!(search(h, None).await, [doctor_id(2)]);
    assert_eq!(search(h, Some("")).await, [doctor_id(2)]);
    assert_eq!(search(h, Some("王")).await, [doctor_id(2)]);
    let all = async |state| {
        let search = DoctorSearch { text: Some("王".into()) };
        let found = h.store().read().doctors().search_all(&search, state, PageRequest::first()).await.unwrap();
        sorted(found.items.into_iter().map(|d| d.id))
    };
    assert_eq!(all(None).await, [doctor_id(1), doctor_id(2), doctor_id(3), doctor_id(4)]);
    assert_eq!(all(Some(Certification::Rejected)).await, [doctor_id(4)]);
}

pub async fn the_search_looks_into_name_hospital_department_and_title(h: &dyn Harness) {
    given(
        h,
        &[
            doctor(1).certified().name("王小明").done(),
            doctor(2).certified().hospital("小王庄医院").done(),
            doctor(3).certified().department("老王科").done(),
            doctor(4).certified().title("Dr. 王").done(),
            doctor(5).certified().name("李").done(),
        ],
    )
    .await;
    assert_eq!(search(h, Some("王")).await, [doctor_id(1), doctor_id(2), doctor_id(3), doctor_id(4)]);
    assert_eq!(search(h, Some("小王")).await, [doctor_id(2)]);
    assert!(search(h, Some("不存在")).await.is_empty());
}

pub async fn the_search_takes_wildcards_literally(h: &dyn Harness) {
    let named = |n, name| doctor(n).certified().name(name).done();
    given(h, &[named(1, "100%"), named(2, "a_b"), named(3, "a\\b"), named(4, "axb"), named(5, "it's $1 ?")]).await;
    assert_eq!(search(h, Some("%")).await, [doctor_id(1)]);
    assert_eq!(search(h, Some("a_b")).await, [doctor_id(2)]);
    assert_eq!(search(h, Some("\\")).await, [doctor_id(3)]);
    assert_eq!(search(h, Some("'s $1 ?")).await, [doctor_id(5)]);
}

pub async fn the_search_ignores_the_case_of_ascii_letters(h: &dyn Harness) {
    let named = |n, name| doctor(n).certified().name(name).done();
    given(h, &[named(1, "Smith"), named(2, "SMITH 史密斯"), named(3, "Ärzte")]).await;
    assert_eq!(search(h, Some("sMiTh")).await, [doctor_id(1), doctor_id(2)]);
    // Other letters are at least found as they were written.
    assert_eq!(search(h, Some("Ärzte")).await, [doctor_id(3)]);
}

pub async fn doctors_are_listed_by_certification(h: &dyn Harness) {
    let in_state = |n, state| doctor(n).certification(state).created_at(at(i64::from(n))).done();
    given(
        h,
        &[
            in_state(1, Certification::UnderReview),
            in_state(2, Certification::Certified),
            in_state(3, Certification::UnderReview),
        ],
    )
    .await;
    let list = async |state| {
        let page = h.store().read().doctors().list_by_certification(state, PageRequest::first()).await.unwrap();
        page.items.into_iter().map(|d| d.id).collect::<Vec<_>>()
    };
    assert_eq!(list(Certification::UnderReview).await, [doctor_id(3), doctor_id(1)]);
    assert_eq!(list(Certification::Certified).await, [doctor_id(2)]);
    assert!(list(Certification::Rejected).await.is_empty());
}

pub async fn whoever_has_left_is_found_by_administrators_only(h: &dyn Harness) {
    let left = |n| {
        let mut doctor = doctor(n).name("王").certified().done();
        doctor.close(at(5));
        doctor
    };
    let reviewed = Doctor { certification: Certification::UnderReview, ..left(2) };
    given(h, &[doctor(1).name("王").certified().done(), left(3), reviewed]).await;
    assert_eq!(search(h, Some("王")).await, [doctor_id(1)]);
    for (state, expected) in [(Certification::Certified, vec![doctor_id(1)]), (Certification::UnderReview, vec![])] {
        let listed = h.store().read().doctors().list_by_certification(state, PageRequest::first()).await.unwrap();
        assert_eq!(sorted(listed.items.into_iter().map(|d| d.id)), expected);
    }
    let found = h.store().read().doctors().search_all(&DoctorSearch::default(), None, PageRequest::first()).await;
    assert_eq!(sorted(found.unwrap().items.into_iter().map(|d| d.id)), [doctor_id(1), doctor_id(2), doctor_id(3)]);
}
