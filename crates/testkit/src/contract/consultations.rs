//! Consultations and their events.

use consultation::consultation::{ConsultationEvent, ConsultationFilter, OpenConsultation, Pair, PairProbe};
use consultation::{Consultation, EndReason, Status};
use domain::id::{ConsultationEventId, ConsultationId, ReportId};
use domain::page::PageRequest;

use super::samples::{at, event, full_consultation};
use super::{Harness, assert_conflict, assert_unique, attempt, sorted, within};
use crate::build::{consultation, consultation_id, doctor, doctor_id, pair, patient, patient_id, relation};
use crate::ids::object_id;

async fn insert(h: &dyn Harness, new: &[Consultation]) -> Vec<ConsultationId> {
    sorted(within(h, async |unit| unit.consultations().insert_open(new).await.unwrap()).await)
}

async fn stored(h: &dyn Harness, n: u32) -> Option<Consultation> {
    h.store().read().consultations().find(consultation_id(n)).await.unwrap()
}

fn open(n: u32, pair: Pair) -> Consultation {
    consultation(n, pair).done()
}

fn ended(n: u32, pair: Pair) -> Consultation {
    consultation(n, pair).ended(EndReason::Completed, at(1)).done()
}

pub async fn a_consultation_keeps_every_field(h: &dyn Harness) {
    let full = full_consultation(1, pair(1, 1));
    let small = Consultation { dialog_id: None, no_reply_deadline: None, ..open(2, pair(1, 2)) };
    assert_eq!(insert(h, &[full.clone(), small.clone()]).await, [full.id, small.id]);
    assert_eq!(stored(h, 1).await, Some(full));
    assert_eq!(stored(h, 2).await, Some(small));
    assert_eq!(stored(h, 3).await, None);
}

pub async fn several_consultations_are_found_at_once(h: &dyn Harness) {
    let all = [open(1, pair(1, 1)), open(2, pair(1, 2)), ended(3, pair(1, 1))];
    insert(h, &all).await;
    let ids = [3, 9, 1].map(consultation_id);
    let mut found = h.store().read().consultations().find_all(&ids).await.unwrap();
    found.sort_by_key(|c| c.id);
    assert_eq!(found, [all[0].clone(), all[2].clone()]);
    assert!(h.store().read().consultations().find_all(&[]).await.unwrap().is_empty());
}

pub async fn every_end_reason_is_kept(h: &dyn Harness) {
    let all: Vec<_> =
        (1_u32..).zip(EndReason::ALL).map(|(n, r)| consultation(n, pair(1, 1)).ended(r, at(0)).done()).collect();
    insert(h, &all).await;
    for c in all {
        assert_eq!(h.store().read().consultations().find(c.id).await.unwrap(), Some(c));
    }
}

pub async fn a_pair_has_one_open_consultation(h: &dyn Harness) {
    assert_eq!(insert(h, &[open(1, pair(1, 1))]).await, [consultation_id(1)]);
    let mixed = [open(2, pair(1, 1)), open(3, pair(1, 2)), open(4, pair(2, 1)), open(5, pair(1, 2))];
    assert_eq!(insert(h, &mixed).await, [consultation_id(3), consultation_id(4)]);
    assert_eq!(stored(h, 2).await, None);
    assert_eq!(stored(h, 5).await, None);
    assert!(insert(h, &[]).await.is_empty());
}

pub async fn a_running_consultation_is_open_too(h: &dyn Harness) {
    let running = consultation(1, pair(1, 1)).replied(at(1)).done();
    insert(h, &[running]).await;
    assert!(insert(h, &[open(2, pair(1, 1))]).await.is_empty());
}

pub async fn ended_and_void_consultations_do_not_stand_in_the_way(h: &dyn Harness) {
    let void = consultation(2, pair(1, 1)).invalid().done();
    let new = [ended(1, pair(1, 1)), void, open(3, pair(1, 1)), ended(4, pair(1, 1))];
    assert_eq!(insert(h, &new).await, [1, 2, 3, 4].map(consultation_id));
}

pub async fn the_open_rule_holds_however_often_a_statement_ran(h: &dyn Harness) {
    // PostgreSQL plans a statement anew at its sixth execution, where a bound predicate would not match the index.
    for n in 1..=12 {
        let inserted = insert(h, &[open(n, pair(1, 1))]).await;
        assert_eq!(inserted.len(), usize::from(n == 1), "execution {n}");
    }
}

pub async fn a_consultation_id_is_taken_once(h: &dyn Harness) {
    insert(h, &[open(1, pair(1, 1))]).await;
    let again = attempt(h, async |unit| unit.consultations().insert_open(&[open(1, pair(1, 2))]).await).await;
    assert_unique(&again, "consultation");
}

pub async fn an_update_writes_every_field_and_bumps_the_version(h: &dyn Harness) {
    insert(h, &[open(1, pair(1, 1))]).await;
    let full = Consultation { version: 1, ..full_consultation(1, pair(1, 1)) };
    within(h, async |unit| unit.consultations().update(&full).await.unwrap()).await;
    assert_eq!(stored(h, 1).await, Some(Consultation { version: 2, ..full }));
    let plain = Consultation { version: 2, ..open(1, pair(1, 1)) };
    within(h, async |unit| unit.consultations().update(&plain).await.unwrap()).await;
    assert_eq!(stored(h, 1).await, Some(Consultation { version: 3, ..plain }));
}

pub async fn a_stale_update_is_a_conflict_and_changes_nothing(h: &dyn Harness) {
    insert(h, &[open(1, pair(1, 1))]).await;
    for version in [0, 2] {
        let stale = Consultation { version, ..ended(1, pair(1, 1)) };
        assert_conflict(&attempt(h, async |unit| unit.consultations().update(&stale).await).await);
    }
    assert_conflict(&attempt(h, async |unit| unit.consultations().update(&ended(2, pair(1, 1))).await).await);
    assert_eq!(stored(h, 1).await, Some(open(1, pair(1, 1))));
}

pub async fn reopening_beside_an_open_one_breaks_the_rule(h: &dyn Harness) {
    insert(h, &[ended(1, pair(1, 1)), open(2, pair(1, 1))]).await;
    let reopened = attempt(h, async |unit| unit.consultations().update(&open(1, pair(1, 1))).await).await;
    assert_unique(&reopened, "consultation");
    assert_eq!(stored(h, 1).await, Some(ended(1, pair(1, 1))));
}

pub async fn open_consultations_are_found_by_pair_doctor_and_patient(h: &dyn Harness) {
    let running = consultation(4, pair(1, 3)).replied(at(1)).done();
    let void = consultation(5, pair(1, 4)).invalid().done();
    insert(h, &[ended(1, pair(1, 1)), open(2, pair(1, 1)), ended(3, pair(1, 2)), running.clone(), void]).await;
    insert(h, &[open(6, pair(2, 1))]).await;
    let mut read = h.store().read();
    let asked = [pair(1, 3), pair(1, 1), pair(1, 2), pair(1, 4), pair(9, 9), pair(1, 1)];
    let mut found = read.consultations().find_open(&asked).await.unwrap();
    found.sort_by_key(|c| c.id);
    assert_eq!(found, [open(2, pair(1, 1)), running.clone()]);
    assert!(read.consultations().find_open(&[]).await.unwrap().is_empty());
    let mut of_doctor = read.consultations().find_open_of_doctor(doctor_id(1)).await.unwrap();
    of_doctor.sort_by_key(|c| c.id);
    assert_eq!(of_doctor, [open(2, pair(1, 1)), running]);
    assert!(read.consultations().find_open_of_doctor(doctor_id(3)).await.unwrap().is_empty());
    let mut of_patient = read.consultations().find_open_of_patient(patient_id(1)).await.unwrap();
    of_patient.sort_by_key(|c| c.id);
    assert_eq!(of_patient, [open(2, pair(1, 1)), open(6, pair(2, 1))]);
    for none_open in [2, 4] {
        assert!(read.consultations().find_open_of_patient(patient_id(none_open)).await.unwrap().is_empty());
    }
}

pub async fn lists_restrict_by_doctor_patient_and_status(h: &dyn Harness) {
    let at_time = |n: u32, pair| consultation(n, pair).started_at(at(i64::from(n)));
    insert(
        h,
        &[
            at_time(1, pair(1, 1)).ended(EndReason::Completed, at(9)).done(),
            at_time(2, pair(1, 1)).done(),
            at_time(3, pair(1, 2)).replied(at(3)).done(),
            at_time(4, pair(2, 1)).done(),
        ],
    )
    .await;
    let list = async |doctor: Option<u32>, patient: Option<u32>, status| {
        let filter = ConsultationFilter { doctor: doctor.map(doctor_id), patient: patient.map(patient_id), status };
        let page = h.store().read().consultations().list(&filter, PageRequest::first()).await.unwrap();
        page.items.into_iter().map(|c| c.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, None).await, [4, 3, 2, 1].map(consultation_id));
    assert_eq!(list(Some(1), None, None).await, [3, 2, 1].map(consultation_id));
    assert_eq!(list(None, Some(1), None).await, [4, 2, 1].map(consultation_id));
    assert_eq!(list(None, None, Some(Status::New)).await, [4, 2].map(consultation_id));
    assert_eq!(list(Some(1), Some(1), Some(Status::Ended)).await, [1].map(consultation_id));
    assert_eq!(list(Some(1), None, Some(Status::Replying)).await, [3].map(consultation_id));
}

pub async fn a_probe_tells_who_exists_who_is_blocked_and_what_is_open(h: &dyn Harness) {
    within(h, async |unit| {
        unit.doctors().insert(&doctor(1).done()).await.unwrap();
        for n in 1..=4 {
            unit.patients().insert(&patient(n).done()).await.unwrap();
        }
        let relations = [relation(2, pair(1, 2)).blocked().done(), relation(3, pair(1, 3)).done()];
        unit.relations().ensure_all(&relations).await.unwrap();
        let running = consultation(3, pair(1, 3)).replied(at(7)).started_at(at(5)).done();
        let over = [ended(4, pair(1, 4)), consultation(5, pair(1, 4)).invalid().done()];
        unit.consultations().insert_open(&[&[running][..], &over].concat()).await.unwrap();
    })
    .await;
    let nothing = |pair| PairProbe { pair, doctor_exists: true, patient_exists: true, is_blocked: false, open: None };
    let running = OpenConsultation { id: consultation_id(3), status: Status::Replying, started_at: at(5) };
    let expected = [
        PairProbe { open: Some(running), ..nothing(pair(1, 3)) },
        nothing(pair(1, 1)),
        PairProbe { is_blocked: true, ..nothing(pair(1, 2)) },
        PairProbe { doctor_exists: false, ..nothing(pair(9, 1)) },
        PairProbe { patient_exists: false, ..nothing(pair(1, 9)) },
        PairProbe { doctor_exists: false, patient_exists: false, ..nothing(pair(8, 8)) },
        nothing(pair(1, 4)),
    ];
    let pairs = expected.clone().map(|p| p.pair);
    let mut read = h.store().read();
    assert_eq!(read.consultations().probe(&pairs).await.unwrap(), expected);
    for (n, probe) in expected.iter().enumerate() {
        assert_eq!(read.consultations().probe(&pairs[n..=n]).await.unwrap(), std::slice::from_ref(probe));
    }
    assert!(read.consultations().probe(&[]).await.unwrap().is_empty());
}

pub async fn a_pair_may_be_probed_twice_and_many_at_once(h: &dyn Harness) {
    insert(h, &[open(1, pair(1, 1))]).await;
    let mut read = h.store().read();
    let many: Vec<_> = (0..100).map(|n| pair(1, n % 50)).collect();
    let probes = read.consultations().probe(&many).await.unwrap();
    assert_eq!(probes.iter().map(|p| p.pair).collect::<Vec<_>>(), many);
    assert_eq!(probes.iter().filter(|p| p.open.is_some()).count(), 2);
}

pub async fn a_probe_within_a_unit_sees_what_the_unit_wrote(h: &dyn Harness) {
    attempt(h, async |unit| {
        unit.consultations().insert_open(&[open(1, pair(1, 1))]).await.unwrap();
        let probes = unit.consultations().probe(&[pair(1, 1)]).await.unwrap();
        assert_eq!(probes[0].open.map(|o| o.id), Some(consultation_id(1)));
    })
    .await;
}

pub async fn open_consultations_of_a_patient_are_pointed_at_the_newest_report(h: &dyn Harness) {
    let others = [ended(3, pair(1, 1)), consultation(4, pair(1, 1)).invalid().done(), open(5, pair(1, 2))];
    insert(h, &[open(1, pair(1, 1)), open(2, pair(2, 1))]).await;
    insert(h, &others).await;
    let report = ReportId(object_id(8));
    within(h, async |unit| unit.consultations().set_latest_report(patient_id(1), report, at(5)).await.unwrap()).await;
    for (n, pair) in [(1, pair(1, 1)), (2, pair(2, 1))] {
        let expected = Consultation { latest_report_id: Some(report), updated_at: at(5), version: 2, ..open(n, pair) };
        assert_eq!(stored(h, n).await, Some(expected));
    }
    for other in others {
        assert_eq!(h.store().read().consultations().find(other.id).await.unwrap(), Some(other));
    }
}

pub async fn events_keep_every_field_and_come_oldest_first(h: &dyn Harness) {
    let full = ConsultationEvent {
        event: "ended_by_doctor".into(),
        actor: "user:5dae".into(),
        from_status: Some(Status::Replying),
        to_status: Status::Ended,
        end_reason: Some(EndReason::Completed),
        note: Some("请按时\n复诊".into()),
        ..event(1, consultation_id(1), at(3))
    };
    let earlier = event(2, consultation_id(1), at(2));
    let same_time = event(3, consultation_id(1), at(3));
    let other = event(4, consultation_id(2), at(1));
    let events = [same_time.clone(), full.clone(), other, earlier.clone()];
    within(h, async |unit| unit.consultations().append_events(&events).await.unwrap()).await;
    within(h, async |unit| unit.consultations().append_events(&[]).await.unwrap()).await;
    let mut read = h.store().read();
    assert_eq!(read.consultations().events(consultation_id(1)).await.unwrap(), [earlier, full, same_time]);
    assert!(read.consultations().events(consultation_id(3)).await.unwrap().is_empty());
}

pub async fn an_event_id_is_taken_once(h: &dyn Harness) {
    let one = event(1, consultation_id(1), at(1));
    assert_eq!(one.id, ConsultationEventId(object_id(1)));
    let twice = attempt(h, async |unit| unit.consultations().append_events(&[one.clone(), one]).await).await;
    assert_unique(&twice, "consultation_event");
}
