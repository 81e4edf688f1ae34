//! A doctor's list of patients and its filters.

use consultation::Relation;
use consultation::relation::RelationFilter;
use domain::id::RelationId;
use domain::page::PageRequest;
use domain::patient::Patient;

use super::samples::at;
use super::{Harness, sorted, within};
use crate::build::{doctor, doctor_id, pair, patient, patient_id, relation, relation_id};

async fn given(h: &dyn Harness, patients: &[Patient], relations: &[Relation]) {
    within(h, async |unit| {
        for patient in patients {
            unit.patients().insert(patient).await.unwrap();
        }
        unit.relations().ensure_all(relations).await.unwrap();
    })
    .await;
}

async fn list(h: &dyn Harness, filter: RelationFilter) -> Vec<RelationId> {
    let page = h.store().read().relations().list(&filter, PageRequest::first()).await.unwrap();
    page.items.into_iter().map(|r| r.id).collect()
}

async fn with_text(h: &dyn Harness, text: &str) -> Vec<RelationId> {
    sorted(list(h, RelationFilter { text: Some(text.into()), ..RelationFilter::default() }).await)
}

fn ids<const N: usize>(numbers: [u32; N]) -> [RelationId; N] {
    numbers.map(relation_id)
}

pub async fn a_list_is_of_one_doctor_or_patient_newest_first(h: &dyn Harness) {
    let made = |n, d, p| relation(n, pair(d, p)).created_at(at(i64::from(n))).done();
    given(h, &[], &[made(1, 1, 1), made(2, 2, 1), made(3, 1, 2)]).await;
    assert_eq!(list(h, RelationFilter::default()).await, ids([3, 2, 1]));
    let of_doctor = RelationFilter { doctor: Some(doctor_id(1)), ..RelationFilter::default() };
    assert_eq!(list(h, of_doctor.clone()).await, ids([3, 1]));
    let of_patient = RelationFilter { patient: Some(patient_id(1)), ..RelationFilter::default() };
    assert_eq!(list(h, of_patient).await, ids([2, 1]));
    assert_eq!(list(h, RelationFilter { patient: Some(patient_id(2)), ..of_doctor }).await, ids([3]));
}

pub async fn a_group_matches_as_a_whole(h: &dyn Harness) {
    let grouped = |n, groups: &[&str]| Relation {
        groups: groups.iter().map(ToString::to_string).collect(),
        ..relation(n, pair(1, n)).done()
    };
    given(h, &[], &[grouped(1, &["1"]), grouped(2, &["1", "2"]), grouped(3, &["12", "重点"]), grouped(4, &[])]).await;
    let in_group =
        async |group: &str| sorted(list(h, RelationFilter { group: Some(group.into()), ..Default::default() }).await);
    assert_eq!(in_group("1").await, ids([1, 2]));
    assert_eq!(in_group("2").await, ids([2]));
    assert_eq!(in_group("重点").await, ids([3]));
    assert!(in_group("%").await.is_empty());
    assert!(in_group("").await.is_empty());
}

pub async fn a_tag_matches_as_a_whole(h: &dyn Harness) {
    let tagged = |n, tags: &[&str]| relation(n, pair(1, n)).tags(tags).done();
    given(h, &[], &[tagged(1, &["打鼾"]), tagged(2, &["重度打鼾", "a\"b"]), tagged(3, &["100%", "打鼾"])]).await;
    let with_tag =
        async |tag: &str| sorted(list(h, RelationFilter { tag: Some(tag.into()), ..Default::default() }).await);
    assert_eq!(with_tag("打鼾").await, ids([1, 3]));
    assert_eq!(with_tag("a\"b").await, ids([2]));
    assert_eq!(with_tag("100%").await, ids([3]));
    assert!(with_tag("鼾").await.is_empty());
}

pub async fn text_is_looked_for_in_name_and_remark_and_is_a_whole_number(h: &dyn Harness) {
    let patients = [
        patient(1).name("王小明").done(),
        patient(2).phone("13900001234".parse().unwrap()).done(),
        patient(3).name("李").done(),
        patient(4).done(),
    ];
    let remarked = relation(3, pair(1, 3)).remark("老王的邻居，123").done();
    let plain = |n| relation(n, pair(1, n)).done();
    // The fifth patient is not known; its relation is found by its remark alone.
    let orphan = relation(5, pair(1, 5)).remark("王").done();
    given(h, &patients, &[plain(1), plain(2), remarked, plain(4), orphan]).await;
    assert_eq!(with_text(h, "王").await, ids([1, 3, 5]));
    assert_eq!(with_text(h, "小明").await, ids([1]));
    for number in ["13900001234", "+8613900001234", "139 0000-1234"] {
        assert_eq!(with_text(h, number).await, ids([2]), "{number}");
    }
    assert_eq!(with_text(h, "123").await, ids([3]));
    for part in ["0000123", "+86139", "13900001235", "1390000123"] {
        assert!(with_text(h, part).await.is_empty(), "{part}");
    }
    assert!(with_text(h, "赵").await.is_empty());
    assert_eq!(with_text(h, "").await, ids([1, 2, 3, 4, 5]));
}

pub async fn wildcards_and_quotes_in_text_are_literal(h: &dyn Harness) {
    let remarked = |n, remark| relation(n, pair(1, n)).remark(remark).done();
    let all =
        [remarked(1, "50%"), remarked(2, "a_b"), remarked(3, "a\\b"), remarked(4, "axb"), remarked(5, "it's $1?")];
    given(h, &[], &all).await;
    assert_eq!(with_text(h, "%").await, ids([1]));
    assert_eq!(with_text(h, "_").await, ids([2]));
    assert_eq!(with_text(h, "a\\b").await, ids([3]));
    assert_eq!(with_text(h, "\\").await, ids([3]));
    assert_eq!(with_text(h, "'").await, ids([5]));
    assert_eq!(with_text(h, "$1?").await, ids([5]));
}

pub async fn the_case_of_ascii_letters_does_not_matter(h: &dyn Harness) {
    let patients = [patient(1).name("Wang").done(), patient(2).name("Öztürk").done()];
    given(h, &patients, &[relation(1, pair(1, 1)).done(), relation(2, pair(1, 2)).remark("cpap").done()]).await;
    assert_eq!(with_text(h, "wANG").await, ids([1]));
    assert_eq!(with_text(h, "CPAP").await, ids([2]));
    // Other letters are at least found as they were written.
    assert_eq!(with_text(h, "Öz").await, ids([2]));
}

pub async fn filters_restrict_together(h: &dyn Harness) {
    let wanted = relation(1, pair(1, 1)).followed().tags(&["甲"]).remark("好").done();
    let others = [
        relation(2, pair(2, 1)).followed().tags(&["甲"]).remark("好").done(),
        relation(3, pair(1, 2)).tags(&["甲"]).remark("好").done(),
        relation(4, pair(1, 3)).followed().tags(&["乙"]).remark("好").done(),
        relation(5, pair(1, 4)).followed().tags(&["甲"]).remark("差").done(),
    ];
    given(h, &[], &[std::slice::from_ref(&wanted), &others].concat()).await;
    let filter = RelationFilter {
        doctor: Some(doctor_id(1)),
        patient: None,
        group: Some("2".into()),
        tag: Some("甲".into()),
        text: Some("好".into()),
    };
    assert_eq!(list(h, filter).await, [wanted.id]);
}

pub async fn relations_with_somebody_who_has_left_are_in_no_list(h: &dyn Harness) {
    let mut gone = patient(2).done();
    gone.close(at(9));
    let mut gone_doctor = doctor(2).certified().done();
    gone_doctor.close(at(9));
    within(h, async |unit| unit.doctors().insert(&gone_doctor).await.unwrap()).await;
    let made = |n, d, p| relation(n, pair(d, p)).done();
    given(h, &[patient(1).done(), gone], &[made(1, 1, 1), made(2, 1, 2), made(3, 2, 1)]).await;
    assert_eq!(list(h, RelationFilter::default()).await, ids([1]));
    let of_patient = RelationFilter { patient: Some(patient_id(2)), ..RelationFilter::default() };
    assert!(list(h, of_patient).await.is_empty());
    let kept = h.store().read().relations().find(relation_id(2)).await.unwrap();
    assert_eq!(kept.map(|r| r.pair), Some(pair(1, 2)), "the record is kept");
}
