//! Relations, one by one and ensured together.

use consultation::Relation;
use consultation::consultation::Pair;
use domain::id::{ConsultationId, ReportId};

use super::samples::{at, full_relation};
use super::{Harness, assert_conflict, assert_unique, attempt, within};
use crate::build::{pair, patient_id, relation, relation_id};
use crate::ids::object_id;

async fn ensure(h: &dyn Harness, candidates: &[Relation]) -> Vec<Relation> {
    within(h, async |unit| unit.relations().ensure_all(candidates).await.unwrap()).await
}

async fn stored(h: &dyn Harness, pair: Pair) -> Option<Relation> {
    h.store().read().relations().find_by_pair(pair).await.unwrap()
}

pub async fn a_relation_keeps_every_field(h: &dyn Harness) {
    let full = full_relation(1, pair(1, 1));
    assert_eq!(ensure(h, std::slice::from_ref(&full)).await, std::slice::from_ref(&full));
    let store = h.store();
    assert_eq!(store.read().relations().find(full.id).await.unwrap(), Some(full.clone()));
    assert_eq!(stored(h, pair(1, 1)).await, Some(full.clone()));
    let locked = within(h, async |unit| unit.relations().find_locked(full.id).await.unwrap()).await;
    assert_eq!(locked, Some(full));
}

pub async fn an_unknown_relation_is_nothing(h: &dyn Harness) {
    ensure(h, &[relation(1, pair(1, 1)).done()]).await;
    assert_eq!(h.store().read().relations().find(relation_id(2)).await.unwrap(), None);
    assert_eq!(attempt(h, async |unit| unit.relations().find_locked(relation_id(2)).await.unwrap()).await, None);
    for other in [pair(1, 2), pair(2, 1), pair(2, 2)] {
        assert_eq!(stored(h, other).await, None);
    }
}

pub async fn blocked_relations_are_found_at_once(h: &dyn Harness) {
    let blocked = |n| relation(n, pair(1, n)).blocked().done();
    ensure(h, &[blocked(1), relation(2, pair(1, 2)).done(), blocked(3), blocked(4)]).await;
    let ids = [3, 9, 2, 1].map(relation_id);
    let mut found = h.store().read().relations().find_blocked(&ids).await.unwrap();
    found.sort_unstable();
    assert_eq!(found, [relation_id(1), relation_id(3)]);
    assert!(h.store().read().relations().find_blocked(&[]).await.unwrap().is_empty());
}

pub async fn ensuring_answers_in_the_order_of_the_candidates(h: &dyn Harness) {
    let candidates: Vec<_> =
        [(1, 3, 1), (2, 1, 2), (3, 2, 1), (4, 1, 1)].map(|(n, d, p)| relation(n, pair(d, p)).done()).into();
    assert_eq!(ensure(h, &candidates).await, candidates);
    assert!(ensure(h, &[]).await.is_empty());
}

pub async fn ensuring_keeps_what_is_there_and_adds_the_rest(h: &dyn Harness) {
    let old = full_relation(1, pair(1, 1));
    ensure(h, std::slice::from_ref(&old)).await;
    let (before, same, after) = (pair(0, 9), pair(1, 1), pair(2, 0));
    let candidates = [relation(4, after).done(), relation(3, same).done(), relation(2, before).done()];
    let ensured = ensure(h, &candidates).await;
    assert_eq!(ensured, [candidates[0].clone(), old.clone(), candidates[2].clone()]);
    assert_eq!(stored(h, same).await, Some(old));
    assert_eq!(stored(h, after).await.as_ref(), Some(&candidates[0]));
}

pub async fn candidates_of_one_pair_become_one_relation(h: &dyn Harness) {
    let twins = [1, 2, 3].map(|n| relation(n, pair(1, 1)).done());
    let other = relation(4, pair(1, 2)).done();
    let ensured = ensure(h, &[twins[0].clone(), other.clone(), twins[1].clone(), twins[2].clone()]).await;
    assert_eq!(ensured, [twins[0].clone(), other, twins[0].clone(), twins[0].clone()]);
    assert_eq!(stored(h, pair(1, 1)).await.as_ref(), Some(&twins[0]));
}

pub async fn many_relations_are_ensured_at_once(h: &dyn Harness) {
    let candidates: Vec<_> = (1..=300).rev().map(|n| relation(n, pair(n % 7, n)).done()).collect();
    assert_eq!(ensure(h, &candidates).await, candidates);
    assert_eq!(ensure(h, &candidates).await, candidates);
}

pub async fn a_relation_id_is_taken_once(h: &dyn Harness) {
    ensure(h, &[relation(1, pair(1, 1)).done()]).await;
    let same_id = [relation(1, pair(1, 2)).done()];
    assert_unique(&attempt(h, async |unit| unit.relations().ensure_all(&same_id).await).await, "relation");
}

pub async fn an_update_writes_every_field_and_bumps_the_version(h: &dyn Harness) {
    ensure(h, &[relation(1, pair(1, 1)).done()]).await;
    let full = Relation { version: 1, ..full_relation(1, pair(1, 1)) };
    within(h, async |unit| unit.relations().update(&full).await.unwrap()).await;
    assert_eq!(stored(h, pair(1, 1)).await, Some(Relation { version: 2, ..full }));
    let plain = Relation { version: 2, groups: Vec::new(), ..relation(1, pair(1, 1)).done() };
    within(h, async |unit| unit.relations().update(&plain).await.unwrap()).await;
    assert_eq!(stored(h, pair(1, 1)).await, Some(Relation { version: 3, ..plain }));
}

pub async fn a_stale_update_is_a_conflict_and_changes_nothing(h: &dyn Harness) {
    ensure(h, &[relation(1, pair(1, 1)).done()]).await;
    for version in [0, 2] {
        let stale = Relation { version, ..relation(1, pair(1, 1)).blocked().done() };
        assert_conflict(&attempt(h, async |unit| unit.relations().update(&stale).await).await);
    }
    let unknown = relation(2, pair(1, 2)).done();
    assert_conflict(&attempt(h, async |unit| unit.relations().update(&unknown).await).await);
    assert_eq!(stored(h, pair(1, 1)).await, Some(relation(1, pair(1, 1)).done()));
}

pub async fn relations_are_pointed_at_their_newest_consultations(h: &dyn Harness) {
    let [a, b, c] = [1, 2, 3].map(|n| relation(n, pair(1, n)).done());
    ensure(h, &[a.clone(), b.clone(), c.clone()]).await;
    let latest = [2, 1, 9].map(|n| (relation_id(n), ConsultationId(object_id(n))));
    within(h, async |unit| unit.relations().set_latest_consultations(&latest, at(5)).await.unwrap()).await;
    within(h, async |unit| unit.relations().set_latest_consultations(&[], at(6)).await.unwrap()).await;
    for (old, n) in [(a, 1), (b, 2)] {
        let expected = Relation {
            latest_consultation_id: Some(ConsultationId(object_id(n))),
            updated_at: at(5),
            version: old.version + 1,
            ..old
        };
        assert_eq!(stored(h, pair(1, n)).await, Some(expected));
    }
    assert_eq!(stored(h, pair(1, 3)).await, Some(c));
}

pub async fn all_relations_of_a_patient_are_pointed_at_the_newest_report(h: &dyn Harness) {
    let mine = [relation(1, pair(1, 1)).done(), relation(2, pair(2, 1)).done()];
    let other = relation(3, pair(1, 2)).done();
    ensure(h, &[mine[0].clone(), mine[1].clone(), other.clone()]).await;
    let report = ReportId(object_id(8));
    within(h, async |unit| unit.relations().set_latest_report(patient_id(1), report, at(5)).await.unwrap()).await;
    for old in mine {
        let expected =
            Relation { latest_report_id: Some(report), updated_at: at(5), version: old.version + 1, ..old.clone() };
        assert_eq!(stored(h, old.pair).await, Some(expected));
    }
    assert_eq!(stored(h, other.pair).await, Some(other));
}

pub async fn cards_are_taken_once(h: &dyn Harness) {
    let shown = [relation(1, pair(1, 1)).with_card().done(), relation(2, pair(2, 1)).with_card().done()];
    let quiet = relation(3, pair(3, 1)).done();
    let of_another = relation(4, pair(1, 2)).with_card().done();
    ensure(h, &[shown[0].clone(), shown[1].clone(), quiet.clone(), of_another.clone()]).await;
    let take = async || within(h, async |unit| unit.relations().take_cards(patient_id(1), at(5)).await.unwrap()).await;
    let mut taken = take().await;
    taken.sort_by_key(|r| r.pair);
    assert_eq!(taken.iter().map(|r| r.id).collect::<Vec<_>>(), [relation_id(1), relation_id(2)]);
    assert!(take().await.is_empty());
    for old in shown {
        let expected =
            Relation { show_followed_doctor_card: false, updated_at: at(5), version: old.version + 1, ..old.clone() };
        assert_eq!(stored(h, old.pair).await, Some(expected));
    }
    assert_eq!(stored(h, quiet.pair).await, Some(quiet));
    assert_eq!(stored(h, of_another.pair).await, Some(of_another));
}
