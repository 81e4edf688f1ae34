//! Units of work: all of it or nothing, seen by others only after the commit.

use consultation::ConsultationUnit;
use domain::audit::AuditFilter;
use domain::page::PageRequest;
use im::log::LogEntry;

use super::samples::{
    at, audit_event, conversation, event, file, invitation, job, log_event, members, message, notification,
};
use super::{Harness, assert_unique, attempt, within};
use crate::build::{consultation, consultation_id, dialog_id, doctor, doctor_id, pair, patient, patient_id, relation};

/// Writes one row of every kind.
async fn write_everything(unit: &mut dyn ConsultationUnit) {
    unit.doctors().insert(&doctor(1).done()).await.unwrap();
    unit.patients().insert(&patient(1).done()).await.unwrap();
    unit.files().insert(&file(1)).await.unwrap();
    unit.relations().ensure_all(&[relation(1, pair(1, 1)).done()]).await.unwrap();
    unit.invitations().insert(&invitation(1, 1)).await.unwrap();
    unit.consultations().insert_open(&[consultation(1, pair(1, 1)).done()]).await.unwrap();
    unit.consultations().append_events(&[event(1, consultation_id(1), at(0))]).await.unwrap();
    unit.conversations().insert_all(&[conversation(1)], &members(1)).await.unwrap();
    unit.messages().append(&[message(1, dialog_id(1))]).await.unwrap();
    unit.log().append_events(&[log_event(dialog_id(1))]).await.unwrap();
    unit.notifications().insert_all(&[notification(1, Some(consultation_id(1)))]).await.unwrap();
    unit.audit().append_all(&[audit_event(1, at(0))]).await.unwrap();
    unit.outbox().append_all(&[job(1, 0)]).await.unwrap();
}

/// How many of the rows of [`write_everything`] a unit sees.
async fn count(unit: &mut dyn ConsultationUnit) -> usize {
    let everything = AuditFilter::default();
    let seen = [
        unit.doctors().find(doctor_id(1)).await.unwrap().is_some(),
        unit.patients().find(patient_id(1)).await.unwrap().is_some(),
        unit.files().find(file(1).id).await.unwrap().is_some(),
        unit.relations().find_by_pair(pair(1, 1)).await.unwrap().is_some(),
        unit.invitations().find_by_scene("scene1").await.unwrap().is_some(),
        unit.consultations().find(consultation_id(1)).await.unwrap().is_some(),
        !unit.consultations().events(consultation_id(1)).await.unwrap().is_empty(),
        unit.conversations().find(dialog_id(1)).await.unwrap().is_some(),
        !unit.conversations().members(dialog_id(1)).await.unwrap().is_empty(),
        unit.messages().find_seq(dialog_id(1), 1).await.unwrap().is_some(),
        unit.log().entries(0, i64::MAX, 9).await.unwrap().iter().any(|e| matches!(e, LogEntry::Event(_))),
        !unit.notifications().list(consultation_id(1)).await.unwrap().is_empty(),
        !unit.audit().list(&everything, PageRequest::first()).await.unwrap().items.is_empty(),
    ];
    seen.into_iter().filter(|is_there| *is_there).count()
}

pub async fn a_dropped_unit_leaves_nothing(h: &dyn Harness) {
    let mut unit = h.store().begin().await.unwrap();
    write_everything(&mut *unit).await;
    assert_eq!(count(&mut *unit).await, 13);
    drop(unit);
    assert_eq!(count(&mut *h.store().read()).await, 0);
    assert_eq!(h.queue().find(job(1, 0).id).await.unwrap(), None);
    within(h, async |unit| write_everything(unit).await).await;
    assert_eq!(count(&mut *h.store().read()).await, 13);
}

pub async fn what_a_unit_wrote_is_seen_by_itself_and_by_others_after_the_commit(h: &dyn Harness) {
    let store = h.store();
    let mut reading = store.read();
    let mut unit = store.begin().await.unwrap();
    write_everything(&mut *unit).await;
    assert_eq!(count(&mut *unit).await, 13);
    assert_eq!(count(&mut *reading).await, 0);
    assert_eq!(h.queue().next_due().await.unwrap(), None);
    unit.commit().await.unwrap();
    assert_eq!(count(&mut *reading).await, 13);
    assert_eq!(h.queue().next_due().await.unwrap(), Some(at(0)));
}

pub async fn an_empty_unit_commits(h: &dyn Harness) {
    within(h, async |_| ()).await;
    assert_eq!(count(&mut *h.store().read()).await, 0);
}

pub async fn a_unit_that_failed_leaves_nothing_and_the_next_one_works(h: &dyn Harness) {
    within(h, async |unit| unit.patients().insert(&patient(2).user(7).done()).await.unwrap()).await;
    let failed = attempt(h, async |unit| {
        unit.patients().insert(&patient(1).done()).await.unwrap();
        unit.patients().insert(&patient(3).user(7).done()).await
    })
    .await;
    assert_unique(&failed, "patient");
    assert_eq!(h.store().read().patients().find(patient_id(1)).await.unwrap(), None);
    within(h, async |unit| unit.patients().insert(&patient(1).done()).await.unwrap()).await;
    assert!(h.store().read().patients().find(patient_id(1)).await.unwrap().is_some());
}

pub async fn units_follow_one_another_in_any_number(h: &dyn Harness) {
    // More units than any pool has connections, half of them dropped.
    for n in 1..=40 {
        let mut unit = h.store().begin().await.unwrap();
        unit.patients().insert(&patient(n).done()).await.unwrap();
        if n % 2 == 0 {
            unit.commit().await.unwrap();
        }
    }
    let all: Vec<_> = (1..=40).map(patient_id).collect();
    assert_eq!(h.store().read().patients().find_all(&all).await.unwrap().len(), 20);
}
