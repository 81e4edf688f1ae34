//! Tasks of the desk.

use consultation::EndReason;
use consultation::desk_task::{DeskTask, DeskTaskState};
use consultation::notification::{Cause, Notification, NotificationState};
use domain::Timestamp;
use domain::id::{ConsultationId, DeskTaskId};
use domain::page::PageRequest;
use im::NewMessage;

use super::samples::{at, conversation, guest, notification, text};
use super::{Harness, append, assert_unique, attempt, given_conversations, within};
use crate::build::{self, consultation_id, dialog_id, doctor_id};
use crate::ids::object_id;

const ALL: PageRequest = PageRequest { limit: 100, after: None };

fn task(n: u32, of: u32, millis: i64) -> DeskTask {
    DeskTask::open(DeskTaskId(object_id(n)), consultation_id(of), at(millis))
}

async fn given(h: &dyn Harness, tasks: &[DeskTask]) {
    within(h, async |unit| {
        for task in tasks {
            unit.desk_tasks().insert(task).await.unwrap();
        }
    })
    .await;
}

async fn listed(h: &dyn Harness, state: DeskTaskState) -> Vec<DeskTask> {
    h.store().read().desk_tasks().list(state, ALL).await.unwrap().items
}

pub async fn a_task_keeps_every_field_and_moves_between_the_lists(h: &dyn Harness) {
    given(h, &[task(1, 1, 5), task(2, 2, 6)]).await;
    assert_eq!(listed(h, DeskTaskState::Open).await, [task(2, 2, 6), task(1, 1, 5)]);
    let closed = DeskTask {
        state: DeskTaskState::Closed,
        closed_at: Some(at(9)),
        closed_by: Some("agent:x".into()),
        note: Some("打过电话".into()),
        ..task(1, 1, 5)
    };
    within(h, async |unit| {
        assert_eq!(unit.desk_tasks().find_locked(closed.id).await.unwrap(), Some(task(1, 1, 5)));
        assert_eq!(unit.desk_tasks().find_locked(DeskTaskId(object_id(9))).await.unwrap(), None);
        unit.desk_tasks().update(&closed).await.unwrap();
    })
    .await;
    assert_eq!(listed(h, DeskTaskState::Closed).await, [closed]);
    assert_eq!(listed(h, DeskTaskState::Open).await, [task(2, 2, 6)]);
    let again = attempt(h, async |unit| unit.desk_tasks().insert(&task(2, 3, 7)).await).await;
    assert_unique(&again, "desk_task");
}

fn escalated(n: u32, of: u32, millis: i64) -> Notification {
    Notification {
        cause: Cause::Escalation,
        state: NotificationState::Sent,
        created_at: at(millis),
        updated_at: at(millis),
        ..notification(n, Some(consultation_id(of)))
    }
}

/// Dialogs of consultations with the doctor in them, who writes in some at some time.
async fn dialogs(h: &dyn Harness, of: &[u32], answers: &[(u32, i64)]) {
    let doctor = doctor_id(1).to_string();
    let conversations: Vec<_> = of.iter().map(|n| conversation(*n)).collect();
    let members: Vec<_> = of.iter().map(|n| guest(*n, &doctor)).collect();
    given_conversations(h, &conversations, &members).await;
    for (n, millis) in answers {
        let line = text(n * 100, dialog_id(*n), &doctor, "在的");
        append(h, &[NewMessage { created_at: at(*millis), ..line }]).await;
    }
}

async fn unattended(h: &dyn Harness, after: Timestamp, before: Timestamp) -> Vec<ConsultationId> {
    let mut read = h.store().read();
    let found = read.desk_tasks().find_unattended(None, after, before, 10).await.unwrap();
    for id in &found {
        assert_eq!(read.desk_tasks().find_unattended(Some(*id), after, before, 10).await.unwrap(), [*id]);
    }
    found
}

pub async fn whom_an_escalation_did_not_move_is_found_until_there_is_a_task(h: &dyn Harness) {
    let open = |n: u32| build::consultation(n, build::pair(1, n)).done();
    within(h, async |unit| {
        unit.consultations().insert_open(&[open(1), open(2), open(3), open(4)]).await.unwrap();
        let notifications = [
            // 1 and 4 wait (of 4 no channel was left), 2 was answered, 3 is still on its way, 9 does not exist.
            escalated(1, 1, 20),
            escalated(2, 2, 20),
            Notification { state: NotificationState::Queued, ..escalated(4, 3, 20) },
            Notification { state: NotificationState::Failed, ..escalated(5, 4, 30) },
            escalated(6, 9, 20),
        ];
        unit.notifications().insert_all(&notifications).await.unwrap();
    })
    .await;
    dialogs(h, &[1, 2, 3], &[(2, 21), (1, 19)]).await;
    let ids = |wanted: &[u32]| -> Vec<ConsultationId> { wanted.iter().map(|n| consultation_id(*n)).collect() };
    assert_eq!(unattended(h, at(0), at(50)).await, ids(&[1, 4]));
    assert_eq!(unattended(h, at(0), at(29)).await, ids(&[1]), "escalated until then");
    assert_eq!(unattended(h, at(21), at(50)).await, ids(&[4]), "escalated from then on");
    given(h, &[task(1, 1, 40)]).await;
    assert_eq!(unattended(h, at(0), at(50)).await, ids(&[4]), "asked once");
}

pub async fn tasks_settle_when_the_doctor_answers_or_the_consultation_ends(h: &dyn Harness) {
    let open = |n: u32| build::consultation(n, build::pair(1, n)).done();
    within(h, async |unit| {
        unit.consultations().insert_open(&[open(1), open(2), open(3)]).await.unwrap();
        let ended = build::consultation(3, build::pair(1, 3)).ended(EndReason::CompletedByPatient, at(8)).done();
        unit.consultations().update(&ended).await.unwrap();
    })
    .await;
    dialogs(h, &[1, 2, 3], &[(1, 12), (2, 4)]).await;
    given(h, &[task(1, 1, 10), task(2, 2, 10), task(3, 3, 10)]).await;
    let settle = async || within(h, async |unit| unit.desk_tasks().close_settled(at(20)).await.unwrap()).await;
    assert_eq!(settle().await, 2);
    assert_eq!(listed(h, DeskTaskState::Open).await, [task(2, 2, 10)], "that answer was before the task");
    let closed = listed(h, DeskTaskState::Closed).await;
    assert!(closed.iter().all(|t| (t.closed_at, t.closed_by.as_deref()) == (Some(at(20)), Some("system"))));
    assert_eq!(settle().await, 0);
}
