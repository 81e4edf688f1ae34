//! What new consultations leave behind, written together.

use consultation::trace::Traces;
use domain::audit::AuditFilter;
use domain::id::{ConversationId, MessageId};
use domain::outbox::NewJob;
use domain::page::PageRequest;
use im::message::HistoryPage;
use im::{Conversation, Message};

use super::samples::{at, audit_event, conversation, event, job, members, message, notification};
use super::{Harness, assert_unique, attempt, sorted, within};
use crate::build::{consultation_id, dialog_id};

/// Everything that consultation `n` leaves behind: a dialog with one message, and one row of each other kind.
fn of_consultation(n: u32) -> Traces {
    let mut dialog = conversation(n);
    let message = dialog.append(&message(n, dialog_id(n)));
    Traces {
        conversations: vec![dialog],
        members: members(n).into(),
        messages: vec![message],
        events: vec![event(n, consultation_id(n), at(1))],
        notifications: vec![notification(n, Some(consultation_id(n)))],
        jobs: vec![job(n, 1)],
        audits: vec![audit_event(n, at(i64::from(n)))],
    }
}

fn all_of(numbers: impl IntoIterator<Item = u32>) -> Traces {
    numbers.into_iter().map(of_consultation).fold(Traces::default(), |mut all, one| {
        all.conversations.extend(one.conversations);
        all.members.extend(one.members);
        all.messages.extend(one.messages);
        all.events.extend(one.events);
        all.notifications.extend(one.notifications);
        all.jobs.extend(one.jobs);
        all.audits.extend(one.audits);
        all
    })
}

async fn insert(h: &dyn Harness, traces: &Traces) {
    within(h, async |unit| unit.traces().insert(traces).await.unwrap()).await;
}

async fn dialog(h: &dyn Harness, id: ConversationId) -> (Option<Conversation>, Vec<Message>) {
    let mut read = h.store().read();
    let dialog = read.conversations().find(id).await.unwrap();
    (dialog, read.messages().history(id, HistoryPage::After(0), 9).await.unwrap())
}

pub async fn traces_keep_every_row_of_every_table(h: &dyn Harness) {
    let traces = of_consultation(1);
    insert(h, &traces).await;
    let (stored, messages) = dialog(h, dialog_id(1)).await;
    let (stored, position) = (stored.unwrap(), messages[0].position);
    assert!(position > 0 && stored.last_position == position, "{stored:?}");
    assert_eq!(Some(&Conversation { last_position: 0, ..stored }), traces.conversations.first());
    assert_eq!(messages, traces.messages.iter().map(|m| Message { position, ..m.clone() }).collect::<Vec<_>>());
    let mut read = h.store().read();
    let mut found = read.conversations().members(dialog_id(1)).await.unwrap();
    found.sort_by_key(|m| traces.members.iter().position(|n| n == m));
    assert_eq!(found, traces.members);
    assert_eq!(read.consultations().events(consultation_id(1)).await.unwrap(), traces.events);
    assert_eq!(read.notifications().list(consultation_id(1)).await.unwrap(), traces.notifications);
    let audits = read.audit().list(&AuditFilter::default(), PageRequest::first()).await.unwrap().items;
    assert_eq!(audits.iter().map(|a| a.id).collect::<Vec<_>>(), [traces.audits[0].id]);
    assert_eq!(h.queue().find(traces.jobs[0].id).await.unwrap().unwrap().payload, traces.jobs[0].payload);
    // The dialog goes on where the traces left off.
    let next = message(2, dialog_id(1));
    within(h, async |unit| drop(unit.messages().append(&[next]).await.unwrap())).await;
    assert_eq!(dialog(h, dialog_id(1)).await.1.iter().map(|m| m.seq).collect::<Vec<_>>(), [1, 2]);
}

pub async fn traces_of_one_table_leave_the_others_alone(h: &dyn Harness) {
    insert(h, &Traces::default()).await;
    let only_event = Traces { events: vec![event(1, consultation_id(1), at(1))], ..Traces::default() };
    insert(h, &only_event).await;
    let known_key = NewJob { idempotency_key: "job:1".into(), ..job(3, 9) };
    insert(h, &Traces { jobs: vec![job(1, 1)], ..Traces::default() }).await;
    insert(h, &Traces { jobs: vec![job(2, 1), known_key.clone()], ..Traces::default() }).await;
    assert_eq!(h.store().read().consultations().events(consultation_id(1)).await.unwrap(), only_event.events);
    assert_eq!(h.queue().find(job(2, 1).id).await.unwrap().map(|j| j.id), Some(job(2, 1).id));
    assert_eq!(h.queue().find(known_key.id).await.unwrap(), None);
    assert_eq!(dialog(h, dialog_id(1)).await, (None, Vec::new()));
}

pub async fn a_trace_that_is_there_breaks_its_rule(h: &dyn Harness) {
    insert(h, &of_consultation(1)).await;
    let twice = Traces { audits: of_consultation(1).audits, ..of_consultation(2) };
    assert_unique(&attempt(h, async |unit| unit.traces().insert(&twice).await).await, "audit_event");
    let twice = Traces { messages: of_consultation(1).messages, ..of_consultation(2) };
    assert_unique(&attempt(h, async |unit| unit.traces().insert(&twice).await).await, "message");
    assert_eq!(dialog(h, dialog_id(2)).await, (None, Vec::new()));
}

pub async fn many_traces_are_written_at_once(h: &dyn Harness) {
    insert(h, &all_of(1..=300)).await;
    let mut read = h.store().read();
    for n in [1, 128, 129, 256, 257, 300] {
        assert_eq!(read.notifications().list(consultation_id(n)).await.unwrap().len(), 1, "{n}");
        assert_eq!(read.conversations().members(dialog_id(n)).await.unwrap().len(), 2, "{n}");
        let messages = read.messages().history(dialog_id(n), HistoryPage::After(0), 9).await.unwrap();
        let ids: Vec<MessageId> = messages.iter().map(|m| m.id).collect();
        assert_eq!(sorted(ids), [message(n, dialog_id(n)).id]);
    }
}
