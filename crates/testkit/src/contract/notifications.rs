//! Notifications.

use std::time::Duration;

use consultation::notification::{
    AnswerSearch, AssistantSeat, Cause, Channel, Notification, NotificationFilter, NotificationState, Reason, Recipient,
};
use domain::Timestamp;
use domain::id::{AgentId, ConsultationId, NotificationId};
use domain::page::PageRequest;
use im::conversation::ReadMove;
use im::desk::Chat;
use im::presence::Presence;
use im::{MemberKind, NewMessage};

use super::samples::{at, conversation, guest, message, notification, text};
use super::{Harness, append, assert_unique, attempt, given_conversations, messaging, sorted, within};
use crate::build::{self, consultation_id, doctor_id, patient_id};
use crate::ids::object_id;

async fn given(h: &dyn Harness, notifications: &[Notification]) {
    within(h, async |unit| unit.notifications().insert_all(notifications).await.unwrap()).await;
}

async fn stored(h: &dyn Harness, n: u32) -> Option<Notification> {
    h.store().read().notifications().find_all(&[NotificationId(object_id(n))]).await.unwrap().pop()
}

fn by_id(mut notifications: Vec<Notification>) -> Vec<Notification> {
    notifications.sort_by_key(|n| n.id);
    notifications
}

/// Notification `n` of consultation 1.
fn of_one(n: u32) -> Notification {
    notification(n, Some(consultation_id(1)))
}

pub async fn a_notification_keeps_every_field(h: &dyn Harness) {
    let to_patient = Notification {
        recipient: Recipient::Patient(patient_id(1)),
        channel: Some(Channel::Sms),
        due_at: at(7),
        updated_at: at(8),
        ..of_one(1)
    };
    let bare = Notification { channel: None, ..notification(2, None) };
    given(h, &[to_patient.clone(), bare.clone()]).await;
    given(h, &[]).await;
    assert_eq!(stored(h, 1).await, Some(to_patient.clone()));
    assert_eq!(stored(h, 2).await, Some(bare.clone()));
    assert_eq!(stored(h, 3).await, None);
    let ids = [bare.id, NotificationId(object_id(3)), to_patient.id];
    let all = [to_patient, bare];
    assert_eq!(by_id(h.store().read().notifications().find_all(&ids).await.unwrap()), all);
    assert!(h.store().read().notifications().find_all(&[]).await.unwrap().is_empty());
}

pub async fn every_cause_state_and_reason_is_kept(h: &dyn Harness) {
    let states = NotificationState::ALL.into_iter().cycle();
    let causes = Cause::ALL.into_iter().cycle();
    let words = Reason::ALL.into_iter().zip(causes).zip(states);
    let row = |(n, ((reason, cause), state))| Notification { reason, cause, state, ..of_one(n) };
    let all: Vec<_> = (1..).zip(words).map(row).collect();
    given(h, &all).await;
    assert_eq!(h.store().read().notifications().list(consultation_id(1)).await.unwrap(), all);
}

pub async fn decisions_are_listed_newest_first(h: &dyn Harness) {
    let made = |n: u32| Notification { created_at: at(i64::from(n)), ..of_one(n) };
    let to_patient = Notification { recipient: Recipient::Patient(patient_id(1)), ..made(2) };
    let of_none = Notification { consultation_id: None, state: NotificationState::Failed, ..made(3) };
    given(h, &[made(1), to_patient.clone(), of_none.clone()]).await;
    let listed = async |filter: NotificationFilter| {
        h.store().read().notifications().list_all(&filter, PageRequest::first()).await.unwrap().items
    };
    let all = NotificationFilter::default();
    assert_eq!(listed(all).await, [of_none.clone(), to_patient.clone(), made(1)]);
    assert_eq!(listed(NotificationFilter { consultation: Some(consultation_id(1)), ..all }).await.len(), 2);
    let told = NotificationFilter { recipient: Some(Recipient::Patient(patient_id(1))), ..all };
    assert_eq!(listed(told).await, [to_patient]);
    assert_eq!(listed(NotificationFilter { state: Some(NotificationState::Failed), ..all }).await, [of_none]);
}

async fn settle(h: &dyn Harness, notifications: &[Notification], from: &[NotificationState]) -> u64 {
    within(h, async |unit| unit.notifications().settle(notifications, from).await.unwrap()).await
}

pub async fn settling_writes_all_that_may_change(h: &dyn Harness) {
    given(h, &[of_one(1), of_one(2), of_one(3)]).await;
    let sent = Notification {
        state: NotificationState::Sent,
        reason: Reason::Always,
        channel: None,
        due_at: at(5),
        updated_at: at(6),
        ..of_one(1)
    };
    let by_sms = Notification { channel: Some(Channel::Sms), updated_at: at(7), ..of_one(3) };
    let update = [sent.clone(), by_sms.clone(), of_one(9)];
    assert_eq!(settle(h, &update, &[NotificationState::Queued]).await, 2);
    assert_eq!(settle(h, &[], &[NotificationState::Queued]).await, 0);
    assert_eq!(stored(h, 1).await, Some(sent));
    assert_eq!(stored(h, 2).await, Some(of_one(2)));
    assert_eq!(stored(h, 3).await, Some(by_sms));
    assert_eq!(stored(h, 9).await, None);
}

pub async fn only_what_is_in_a_given_state_is_settled(h: &dyn Harness) {
    let in_state = |n, state| Notification { state, ..of_one(n) };
    let all: Vec<_> = (1..).zip(NotificationState::ALL).map(|(n, state)| in_state(n, state)).collect();
    given(h, &all).await;
    let sent: Vec<_> =
        all.iter().map(|n| Notification { state: NotificationState::Sent, updated_at: at(9), ..n.clone() }).collect();
    let from = [NotificationState::Queued, NotificationState::Cancelled];
    assert_eq!(settle(h, &sent, &from).await, 2);
    assert_eq!(settle(h, &sent, &from).await, 0);
    for (before, after) in all.into_iter().zip(sent) {
        let expected = if from.contains(&before.state) { after } else { before };
        assert_eq!(h.store().read().notifications().find_all(&[expected.id]).await.unwrap(), [expected]);
    }
}

pub async fn a_notification_id_is_taken_once(h: &dyn Harness) {
    given(h, &[of_one(1)]).await;
    let again = attempt(h, async |unit| unit.notifications().insert_all(&[of_one(2), of_one(1)]).await).await;
    assert_unique(&again, "notification");
    assert_eq!(stored(h, 2).await, None);
}

pub async fn cancelling_spares_closing_notices_and_what_is_settled(h: &dyn Harness) {
    let spared = [
        Notification { cause: Cause::Ended, ..of_one(3) },
        Notification { state: NotificationState::Sent, ..of_one(4) },
        Notification { state: NotificationState::Suppressed, ..of_one(5) },
        notification(6, Some(consultation_id(2))),
        notification(7, None),
    ];
    let reminder =
        Notification { recipient: Recipient::Patient(patient_id(1)), cause: Cause::AboutToExpire, ..of_one(2) };
    given(h, &[&[of_one(1), reminder.clone()][..], &spared].concat()).await;
    let cancel = async || {
        within(h, async |unit| unit.notifications().cancel_queued(consultation_id(1), at(50)).await.unwrap()).await
    };
    assert_eq!(cancel().await, 2);
    assert_eq!(cancel().await, 0);
    for old in [of_one(1), reminder] {
        let cancelled = Notification {
            state: NotificationState::Cancelled,
            reason: Reason::ConsultationClosed,
            updated_at: at(50),
            ..old.clone()
        };
        assert_eq!(h.store().read().notifications().find_all(&[old.id]).await.unwrap(), [cancelled]);
    }
    for old in spared {
        assert_eq!(h.store().read().notifications().find_all(&[old.id]).await.unwrap(), [old]);
    }
}

async fn unanswered(h: &dyn Harness, told: (i64, i64)) -> Vec<ConsultationId> {
    let mut read = h.store().read();
    let found = read.notifications().find_unanswered(None, at(told.0), at(told.1), 10).await.unwrap();
    for id in &found {
        let alone = read.notifications().find_unanswered(Some(*id), at(told.0), at(told.1), 10).await.unwrap();
        assert_eq!(alone, [*id]);
    }
    found
}

/// A doctor's message in the dialog of consultation `n`, or what an agent wrote in the doctor's name.
async fn doctor_writes(h: &dyn Harness, n: u32, written_at: i64, acted_by: Option<AgentId>) {
    let number = n * 100 + u32::try_from(written_at).unwrap();
    let line = text(number, build::dialog_id(n), &doctor_id(1).to_string(), "在的");
    append(h, &[NewMessage { created_at: at(written_at), acted_by, ..line }]).await;
}

pub async fn who_was_told_and_neither_read_nor_answered_is_found_until_reminded(h: &dyn Harness) {
    let sent = |n: u32, of: u32, cause| Notification {
        state: NotificationState::Sent,
        cause,
        created_at: at(5),
        updated_at: at(10),
        ..notification(n, Some(consultation_id(of)))
    };
    let open = |n: u32| build::consultation(n, build::pair(1, n)).done();
    within(h, async |unit| unit.consultations().insert_open(&[1, 2, 3, 4, 5, 6].map(open)).await.unwrap()).await;
    let doctor = doctor_id(1).to_string();
    given_conversations(h, &[1, 2, 3, 4, 5].map(conversation), &[1, 2, 3, 4, 5].map(|n| guest(n, &doctor))).await;
    for n in 1..=5 {
        append(h, &[message(n, build::dialog_id(n))]).await;
    }
    // 1 waits; 2 was answered; 3 was answered before it was told, and since by an agent only; 4 was only queued; 5 was
    // read; 6 has no conversation; 9 does not exist.
    doctor_writes(h, 2, 5, None).await;
    doctor_writes(h, 3, 4, None).await;
    doctor_writes(h, 3, 6, Some(AgentId(object_id(77)))).await;
    let read = ReadMove { conversation_id: build::dialog_id(5), client_id: doctor, seq: 1 };
    messaging(h, async |unit| unit.conversations().mark_read(&[read]).await.unwrap()).await;
    given(
        h,
        &[
            sent(1, 1, Cause::Initiated),
            sent(2, 2, Cause::PatientMessage),
            Notification { updated_at: at(12), ..sent(3, 3, Cause::PatientMessage) },
            Notification { state: NotificationState::Queued, ..sent(4, 4, Cause::Initiated) },
            sent(5, 5, Cause::Initiated),
            Notification { updated_at: at(12), ..sent(6, 6, Cause::Initiated) },
            sent(7, 9, Cause::Initiated),
        ],
    )
    .await;
    let ids = |wanted: &[u32]| -> Vec<ConsultationId> { wanted.iter().map(|n| consultation_id(*n)).collect() };
    assert_eq!(unanswered(h, (0, 50)).await, ids(&[1, 3, 6]));
    assert_eq!(unanswered(h, (0, 11)).await, ids(&[1]), "told until then");
    assert_eq!(unanswered(h, (11, 50)).await, ids(&[3, 6]), "told from then on");
    append(h, &[message(55, build::dialog_id(5))]).await;
    assert_eq!(unanswered(h, (0, 50)).await, ids(&[1, 3, 5, 6]), "not everything is read any more");
    let reminder = Notification { created_at: at(20), ..sent(8, 1, Cause::Escalation) };
    given(h, &[reminder]).await;
    assert_eq!(unanswered(h, (0, 50)).await, ids(&[3, 5, 6]), "reminded once");
    doctor_writes(h, 1, 21, None).await;
    append(h, &[message(11, build::dialog_id(1))]).await;
    given(h, &[Notification { created_at: at(22), updated_at: at(23), ..sent(10, 1, Cause::PatientMessage) }]).await;
    assert_eq!(unanswered(h, (0, 50)).await, ids(&[1, 3, 5, 6]), "and again after an answer");
}

pub async fn what_its_viewer_left_unseen_is_found(h: &dyn Harness) {
    let suppressed = |n: u32| Notification {
        state: NotificationState::Suppressed,
        reason: Reason::OnlineViewing,
        cause: Cause::PatientMessage,
        updated_at: at(10),
        ..notification(n, Some(consultation_id(n)))
    };
    let open = |n: u32| build::consultation(n, build::pair(1, n)).done();
    within(h, async |unit| unit.consultations().insert_open(&[1, 2, 3, 4].map(open)).await.unwrap()).await;
    let doctor = doctor_id(1).to_string();
    given_conversations(h, &[1, 2, 3, 4].map(conversation), &[1, 2, 3, 4].map(|n| guest(n, &doctor))).await;
    for n in 1..=4 {
        append(h, &[message(n, build::dialog_id(n))]).await;
    }
    // 1 was left unseen; 2 is in front; 3 was read; 4 was thought of again.
    let read = ReadMove { conversation_id: build::dialog_id(3), client_id: doctor.clone(), seq: 1 };
    messaging(h, async |unit| unit.conversations().mark_read(&[read]).await.unwrap()).await;
    let viewing = Some(build::dialog_id(2));
    let socket = Presence { socket: 1, node: "n1".into(), client_id: doctor, viewing };
    messaging(h, async |unit| {
        unit.presence().renew("n1", at(0), Duration::from_secs(45)).await.unwrap();
        unit.presence().put(&[socket]).await.unwrap();
    })
    .await;
    let later = Notification { created_at: at(90), ..notification(9, Some(consultation_id(4))) };
    let other_reason = Notification { reason: Reason::Coalesced, ..suppressed(7) };
    given(h, &[suppressed(1), suppressed(2), suppressed(3), suppressed(4), later, other_reason]).await;
    let unseen = async |only: Option<u32>, between: (i64, i64), now: i64| {
        let only = only.map(|n| NotificationId(object_id(n)));
        let between = (at(between.0), at(between.1));
        h.store().read().notifications().find_unseen(only, between, at(now), 10).await.unwrap()
    };
    let ids =
        |wanted: &[u32]| -> Vec<NotificationId> { wanted.iter().map(|n| NotificationId(object_id(*n))).collect() };
    assert_eq!(unseen(None, (0, 50), 20).await, ids(&[1]));
    assert_eq!(unseen(Some(1), (0, 50), 20).await, ids(&[1]));
    assert!(unseen(Some(2), (0, 50), 20).await.is_empty());
    assert!(unseen(None, (0, 9), 20).await.is_empty() && unseen(None, (11, 50), 20).await.is_empty());
    assert_eq!(unseen(None, (0, 50), 45_001).await, ids(&[1, 2]), "the lease of its node is over");
}

/// Conversation `n` of patient `n` with the assistant.
async fn given_desk_chats(h: &dyn Harness, numbers: &[u32]) {
    let conversations: Vec<_> = numbers.iter().map(|n| conversation(*n)).collect();
    let seats = |n: &u32| [guest(*n, &patient_id(*n).to_string()), guest(*n, "assistant")];
    let members: Vec<_> = numbers.iter().flat_map(seats).collect();
    given_conversations(h, &conversations, &members).await;
    let mut unit = h.desk().begin().await.unwrap();
    for n in numbers {
        let customer = patient_id(*n).to_string();
        let chat = Chat::new(build::dialog_id(*n), customer, MemberKind::Patient, at(i64::from(*n)));
        unit.chats().insert(&chat).await.unwrap();
    }
    unit.commit().await.unwrap();
}

/// Message `n` of an agent in conversation `of`.
fn answer(n: u32, of: u32) -> NewMessage {
    NewMessage { acted_by: Some(AgentId(object_id(900))), ..text(n, build::dialog_id(of), "assistant", "您好") }
}

pub async fn answers_of_the_desk_that_were_not_read_are_found(h: &dyn Harness) {
    given_desk_chats(h, &[1, 2, 3, 4, 5, 6]).await;
    // 1 is unread; 2 is in front; 3 was read; 4 was written after; 5 was told of; 6 was said by the assistant itself.
    append(h, &[answer(1, 1), answer(2, 2), answer(3, 3), answer(4, 4), answer(5, 5)]).await;
    append(h, &[text(6, build::dialog_id(6), "assistant", "欢迎")]).await;
    append(h, &[text(7, build::dialog_id(4), &patient_id(4).to_string(), "收到")]).await;
    let read = ReadMove { conversation_id: build::dialog_id(3), client_id: patient_id(3).to_string(), seq: 1 };
    messaging(h, async |unit| unit.conversations().mark_read(&[read]).await.unwrap()).await;
    let (client_id, viewing) = (patient_id(2).to_string(), Some(build::dialog_id(2)));
    let socket = Presence { socket: 1, node: "n1".into(), client_id, viewing };
    messaging(h, async |unit| {
        unit.presence().renew("n1", at(0), Duration::from_secs(45)).await.unwrap();
        unit.presence().put(&[socket]).await.unwrap();
    })
    .await;
    let told = Notification {
        recipient: Recipient::Patient(patient_id(5)),
        cause: Cause::AssistantAnswer,
        created_at: at(60),
        ..notification(1, None)
    };
    given(h, &[told]).await;
    let found = async |only: Option<u32>, said: (i64, i64), not_told_since: i64, now: i64| -> Vec<u32> {
        let said = (at(said.0), at(said.1));
        let search =
            AnswerSearch { only: only.map(build::dialog_id), said, not_told_since: at(not_told_since), now: at(now) };
        let seats = h.store().read().notifications().find_unread_answers(&search, 10).await.unwrap();
        let number = |seat: &AssistantSeat| {
            let is_theirs = |n: &u32| seat.recipient == Recipient::Patient(patient_id(*n));
            (1..=6).find(|n| is_theirs(n) && seat.conversation_id == build::dialog_id(*n)).unwrap()
        };
        seats.iter().map(number).collect()
    };
    assert_eq!(found(None, (0, 50), 50, 70).await, [1]);
    assert_eq!((found(Some(1), (0, 50), 50, 70).await, found(Some(2), (0, 50), 50, 70).await), (vec![1], vec![]));
    assert_eq!(found(None, (0, 0), 50, 70).await, [0; 0], "not said long enough ago");
    assert_eq!(found(None, (0, 50), 50, 45_001).await, [1, 2], "the lease of its node is over");
    let later = NewMessage { created_at: at(80), ..answer(8, 5) };
    append(h, &[later]).await;
    assert_eq!(found(None, (0, 90), 50, 100).await, [1], "told not long ago");
    assert_eq!(found(None, (0, 90), 61, 100).await, [1, 5], "a new answer is told of after a while");
    let seats = h.store().read().notifications().assistant_conversations(&[Recipient::Patient(patient_id(3))]).await;
    let seat = AssistantSeat { conversation_id: build::dialog_id(3), recipient: Recipient::Patient(patient_id(3)) };
    assert_eq!(seats.unwrap(), [seat]);
}

async fn last(h: &dyn Harness, since: i64) -> Option<Timestamp> {
    let recipient = Recipient::Doctor(doctor_id(1));
    h.store().read().notifications().last_notified(recipient, consultation_id(1), at(since)).await.unwrap()
}

async fn told_otherwise<const N: usize>(h: &dyn Harness, ids: [u32; N], since: i64) -> Vec<NotificationId> {
    let ids = ids.map(|n| NotificationId(object_id(n)));
    let told = h.store().read().notifications().told_otherwise(&ids, at(since)).await.unwrap();
    sorted(told.into_iter().map(|(id, _)| id).collect::<Vec<_>>())
}

pub async fn the_last_notification_is_found_within_the_cool_down(h: &dyn Harness) {
    let sent = Notification { state: NotificationState::Sent, updated_at: at(20), ..of_one(1) };
    let queued = Notification { updated_at: at(30), ..of_one(2) };
    given(h, &[sent, queued]).await;
    assert_eq!(last(h, 0).await, Some(at(30)));
    assert_eq!(last(h, 30).await, Some(at(30)));
    assert_eq!(last(h, 31).await, None);
}

pub async fn another_notification_of_the_same_run_is_known_within_the_cool_down(h: &dyn Harness) {
    let sent = Notification { state: NotificationState::Sent, updated_at: at(20), ..of_one(1) };
    let queued = Notification { updated_at: at(30), ..of_one(2) };
    let of_another = notification(3, Some(consultation_id(2)));
    let to_another = Notification { recipient: Recipient::Patient(patient_id(1)), ..of_one(4) };
    let of_none = [notification(5, None), notification(6, None)];
    given(h, &[&[sent, queued, of_another, to_another][..], &of_none].concat()).await;
    let [first, second] = [1, 2].map(|n| NotificationId(object_id(n)));
    assert_eq!(told_otherwise(h, [1, 2, 3, 4, 5, 6, 9], 0).await, [first, second]);
    assert_eq!(told_otherwise(h, [1, 2], 20).await, [first, second]);
    assert_eq!(told_otherwise(h, [1, 2], 21).await, [first]);
    let told_at = h.store().read().notifications().told_otherwise(&[first], at(0)).await.unwrap();
    assert_eq!(told_at, [(first, at(30))]);
    assert!(told_otherwise(h, [1, 2], 31).await.is_empty());
    assert!(told_otherwise(h, [], 0).await.is_empty());
}

pub async fn only_what_reached_this_recipient_counts_as_notified(h: &dyn Harness) {
    // The patient bears the doctor's very id, so that only the kind of recipient tells them apart.
    let namesake = Recipient::Patient(doctor_id(1).0.into());
    given(
        h,
        &[
            Notification { state: NotificationState::Suppressed, ..of_one(1) },
            Notification { state: NotificationState::Cancelled, ..of_one(2) },
            Notification { state: NotificationState::Failed, ..of_one(3) },
            Notification { recipient: Recipient::Doctor(doctor_id(2)), ..of_one(4) },
            Notification { recipient: namesake, ..of_one(5) },
            notification(6, Some(consultation_id(2))),
            notification(7, None),
        ],
    )
    .await;
    assert_eq!(last(h, 0).await, None);
    assert!(told_otherwise(h, [4, 5], 0).await.is_empty());
}

pub async fn notifications_of_a_consultation_come_oldest_first(h: &dyn Harness) {
    let late = Notification { created_at: at(9), ..of_one(1) };
    let same_time = Notification { created_at: at(9), ..of_one(3) };
    given(h, &[same_time.clone(), late.clone(), of_one(2), notification(4, Some(consultation_id(2)))]).await;
    assert_eq!(h.store().read().notifications().list(consultation_id(1)).await.unwrap(), [of_one(2), late, same_time]);
}
