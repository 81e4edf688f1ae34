//! Units and workers side by side. Stores may run them one after another or really at once; what comes out is
//! the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use consultation::notification::{Notification, NotificationState};
use consultation::{ConsultationStore, ConsultationUnit, Relation};
use domain::StoreError;
use domain::doctor::Doctor;
use domain::id::JobId;
use im::conversation::ReadMove;
use im::log::{EventKind, LogEntry, NewEvent};
use im::message::HistoryPage;
use im::{Appended, NewMessage};
use tokio::sync::{Barrier, oneshot};
use tokio::task::JoinSet;

use super::samples::{at, conversation, guest, invitation, job, notification, text};
use super::{Harness, append, given_conversations, member, seqs, sorted, within};
use crate::build::{consultation, consultation_id, dialog_id, doctor, doctor_id, pair, patient_id, relation};

const LEASE: Duration = Duration::from_mins(1);

/// Runs `task` for 1..=`count`, all at once.
async fn all_at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: u32,
    task: impl Fn(u32) -> F,
) -> Vec<T> {
    let mut tasks = JoinSet::new();
    for n in 1..=count {
        tasks.spawn(task(n));
    }
    tasks.join_all().await
}

/// Stays in a unit for a while, so that units which really run at once do meet in it.
async fn linger(unit: &mut dyn ConsultationUnit) {
    for _ in 0..60 {
        unit.doctors().find(doctor_id(0)).await.unwrap();
        tokio::task::yield_now().await;
    }
}

pub async fn the_second_unit_sees_what_the_first_committed(h: &dyn Harness) {
    let (wrote, has_written) = oneshot::channel();
    let first = async |store: Arc<dyn ConsultationStore>| {
        let mut unit = store.begin().await.unwrap();
        let made = unit.relations().ensure_all(&[relation(1, pair(1, 1)).done()]).await.unwrap();
        wrote.send(()).unwrap();
        unit.commit().await.unwrap();
        made
    };
    let second = async |store: Arc<dyn ConsultationStore>| {
        has_written.await.unwrap();
        let mut unit = store.begin().await.unwrap();
        let found = unit.relations().ensure_all(&[relation(2, pair(1, 1)).done()]).await.unwrap();
        unit.commit().await.unwrap();
        found
    };
    let (made, found) = tokio::join!(first(h.store()), second(h.store()));
    assert_eq!(found, made);
}

pub async fn a_pair_ensured_at_once_has_one_relation(h: &dyn Harness) {
    let store = h.store();
    let ensured = all_at_once(16, |n| {
        let store = store.clone();
        async move {
            let mut unit = store.begin().await.unwrap();
            let found = unit.relations().ensure_all(&[relation(n, pair(1, 1)).done()]).await.unwrap();
            unit.commit().await.unwrap();
            found[0].id
        }
    })
    .await;
    assert_eq!(ensured.len(), 16);
    assert!(ensured.iter().all(|id| *id == ensured[0]), "{ensured:?}");
}

pub async fn pairs_ensured_in_opposite_orders_do_not_lock_each_other_out(h: &dyn Harness) {
    let store = h.store();
    // Only relations that are new to both are waited for, so each round has its own doctor.
    for round in 1..=5 {
        let start = Arc::new(Barrier::new(2));
        let ensured = all_at_once(2, |n| {
            let (store, start) = (store.clone(), start.clone());
            async move {
                let new = |p| relation(round * 10_000 + n * 1_000 + p, pair(round, p)).done();
                let mut candidates: Vec<_> = (1..=800).map(new).collect();
                if n % 2 == 0 {
                    candidates.reverse();
                }
                start.wait().await;
                let mut unit = store.begin().await.unwrap();
                let mut found = unit.relations().ensure_all(&candidates).await.unwrap();
                unit.commit().await.unwrap();
                found.sort_by_key(|r| r.pair);
                found
            }
        })
        .await;
        assert!(ensured.iter().all(|relations| *relations == ensured[0]), "round {round}");
    }
}

pub async fn a_pair_started_at_once_has_one_open_consultation(h: &dyn Harness) {
    let store = h.store();
    let inserted = all_at_once(16, |n| {
        let store = store.clone();
        async move {
            let mut unit = store.begin().await.unwrap();
            let ids = unit.consultations().insert_open(&[consultation(n, pair(1, 1)).done()]).await.unwrap();
            unit.commit().await.unwrap();
            ids
        }
    })
    .await;
    let inserted: Vec<_> = inserted.into_iter().flatten().collect();
    let found = h.store().read().consultations().find_open(&[pair(1, 1)]).await.unwrap();
    assert_eq!(inserted, [found[0].id]);
}

pub async fn of_updates_that_read_the_same_version_one_wins(h: &dyn Harness) {
    within(h, async |unit| unit.doctors().insert(&doctor(1).done()).await.unwrap()).await;
    let read = h.store().read().doctors().find(doctor_id(1)).await.unwrap().unwrap();
    let store = h.store();
    let outcomes = all_at_once(8, |n| {
        let (store, read) = (store.clone(), read.clone());
        async move {
            let mut unit = store.begin().await.unwrap();
            let written = unit.doctors().update(&Doctor { name: Some(n.to_string()), ..read }).await;
            if written.is_ok() {
                unit.commit().await.unwrap();
            }
            written
        }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|o| o.is_ok()).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|o| matches!(o, Err(StoreError::Conflict))).count(), 7, "{outcomes:?}");
    assert_eq!(h.store().read().doctors().find(doctor_id(1)).await.unwrap().unwrap().version, 2);
}

pub async fn a_locked_relation_waits_so_no_change_is_lost(h: &dyn Harness) {
    let made = relation(1, pair(1, 1)).done();
    within(h, async |unit| unit.relations().ensure_all(std::slice::from_ref(&made)).await.unwrap()).await;
    let store = h.store();
    let outcomes = all_at_once(10, |n| {
        let (store, id) = (store.clone(), made.id);
        async move {
            let mut unit = store.begin().await.unwrap();
            let mut current: Relation = unit.relations().find_locked(id).await.unwrap().unwrap();
            linger(&mut *unit).await;
            current.tags.push(n.to_string());
            unit.relations().update(&current).await?;
            unit.commit().await
        }
    })
    .await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let tags = h.store().read().relations().find(made.id).await.unwrap().unwrap().tags;
    assert_eq!(sorted(tags.iter().map(|t| t.parse::<u32>().unwrap())), (1..=10).collect::<Vec<_>>());
}

pub async fn an_ensured_relation_is_locked_for_its_unit(h: &dyn Harness) {
    let store = h.store();
    let outcomes = all_at_once(10, |n| {
        let store = store.clone();
        async move {
            let mut unit = store.begin().await.unwrap();
            let mut found = unit.relations().ensure_all(&[relation(n, pair(1, 1)).done()]).await.unwrap();
            linger(&mut *unit).await;
            found[0].tags.push(n.to_string());
            unit.relations().update(&found[0]).await?;
            unit.commit().await
        }
    })
    .await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let found = h.store().read().relations().find_by_pair(pair(1, 1)).await.unwrap().unwrap();
    assert_eq!(found.tags.len(), 10);
}

pub async fn a_shared_doctor_cannot_change_until_the_unit_ends(h: &dyn Harness) {
    within(h, async |unit| unit.doctors().insert(&doctor(1).certified().done()).await.unwrap()).await;
    let (store, is_over) = (h.store(), Arc::new(AtomicBool::new(false)));
    let (locked, is_locked) = oneshot::channel();
    let revoke = async |store: Arc<dyn ConsultationStore>, is_over: Arc<AtomicBool>| {
        is_locked.await.unwrap();
        let mut unit = store.begin().await.unwrap();
        unit.doctors().update(&doctor(1).done()).await.unwrap();
        assert!(is_over.load(Ordering::SeqCst), "the doctor changed under a unit that shares it");
        unit.commit().await.unwrap();
    };
    let hold = async |store: Arc<dyn ConsultationStore>, is_over: Arc<AtomicBool>| {
        let mut unit = store.begin().await.unwrap();
        unit.doctors().find_all_shared(&[doctor_id(1)]).await.unwrap();
        locked.send(()).unwrap();
        linger(&mut *unit).await;
        assert!(unit.doctors().find(doctor_id(1)).await.unwrap().unwrap().is_certified());
        is_over.store(true, Ordering::SeqCst);
        unit.commit().await.unwrap();
    };
    tokio::join!(revoke(store.clone(), is_over.clone()), hold(store, is_over));
    assert!(!h.store().read().doctors().find(doctor_id(1)).await.unwrap().unwrap().is_certified());
}

pub async fn sharing_a_doctor_does_not_keep_others_from_sharing(h: &dyn Harness) {
    within(h, async |unit| {
        for n in 1..=4 {
            unit.doctors().insert(&doctor(n).done()).await.unwrap();
        }
    })
    .await;
    let store = h.store();
    let found = all_at_once(12, |n| {
        let store = store.clone();
        async move {
            let mut ids: Vec<_> = (1..=4).map(doctor_id).collect();
            ids.rotate_left(n as usize % 4);
            let mut unit = store.begin().await.unwrap();
            let doctors = unit.doctors().find_all_shared(&ids).await.unwrap();
            unit.commit().await.unwrap();
            doctors.len()
        }
    })
    .await;
    assert_eq!(found, [4; 12]);
}

pub async fn two_workers_cannot_settle_one_notification(h: &dyn Harness) {
    let queued = notification(1, Some(consultation_id(1)));
    within(h, async |unit| unit.notifications().insert_all(std::slice::from_ref(&queued)).await.unwrap()).await;
    let store = h.store();
    let settled = all_at_once(8, |_| {
        let (store, queued) = (store.clone(), queued.clone());
        async move {
            let mut unit = store.begin().await.unwrap();
            linger(&mut *unit).await;
            let sent = Notification { state: NotificationState::Sent, ..queued };
            let settled = unit.notifications().settle(&[sent], &[NotificationState::Queued]).await.unwrap();
            linger(&mut *unit).await;
            unit.commit().await.unwrap();
            settled == 1
        }
    })
    .await;
    assert_eq!(settled.into_iter().filter(|is_mine| *is_mine).count(), 1);
}

pub async fn messages_appended_at_once_are_numbered_without_gaps(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &[guest(1, "a")]).await;
    let store = h.im();
    all_at_once(12, |n| {
        let store = store.clone();
        async move {
            let new = [1, 2, 3].map(|m| text(n * 10 + m, dialog_id(1), "a", "x"));
            let mut unit = store.begin().await.unwrap();
            unit.messages().append(&new).await.unwrap();
            // Every third unit is given up: its numbers are given again.
            if n % 3 != 0 {
                unit.commit().await.unwrap();
            }
        }
    })
    .await;
    let mut read = h.im().read();
    let messages = read.messages().history(dialog_id(1), HistoryPage::After(0), 100).await.unwrap();
    assert_eq!(messages.iter().map(|m| m.seq).collect::<Vec<_>>(), (1..=24).collect::<Vec<_>>());
    assert_eq!(read.conversations().find(dialog_id(1)).await.unwrap().unwrap().last_seq, 24);
    assert_eq!(member(h, dialog_id(1), "a").await.own_after_read, 24);
}

pub async fn a_message_sent_at_once_many_times_is_stored_once(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &[guest(1, "a")]).await;
    let store = h.im();
    let outcomes = all_at_once(12, |n| {
        let store = store.clone();
        async move {
            let named = NewMessage { client_message_id: Some("same".into()), ..text(n, dialog_id(1), "a", "x") };
            loop {
                // Who lost the race by its unique name tries again, as senders do.
                match store.append(std::slice::from_ref(&named)).await {
                    Ok(mut one) => return one.pop().unwrap(),
                    Err(StoreError::Unique(_) | StoreError::Conflict) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    })
    .await;
    assert_eq!(outcomes.iter().filter(|o| matches!(o, Appended::Stored { seq: 1, .. })).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|o| matches!(o, Appended::Known(known) if known.seq == 1)).count(), 11);
    assert_eq!(seqs(&append(h, &[text(99, dialog_id(1), "a", "y")]).await), [2], "a retry takes no number");
}

pub async fn conversations_appended_to_in_opposite_orders_do_not_lock_each_other_out(h: &dyn Harness) {
    let all: Vec<_> = (1..=40).map(conversation).collect();
    let present: Vec<_> = (1..=40).map(|n| guest(n, "a")).collect();
    given_conversations(h, &all, &present).await;
    let store = h.im();
    all_at_once(8, |n| {
        let store = store.clone();
        async move {
            for round in 0..5 {
                let mut new: Vec<_> =
                    (1..=40).map(|c| text(n * 1_000 + round * 100 + c, dialog_id(c), "a", "x")).collect();
                if n % 2 == 0 {
                    new.reverse();
                }
                store.append(&new).await.unwrap();
            }
        }
    })
    .await;
    let found = h.im().read().conversations().find(dialog_id(40)).await.unwrap().unwrap();
    assert_eq!(found.last_seq, 40);
}

/// Whoever has read the log up to its head never finds anything below it later.
pub async fn positions_grow_in_the_order_of_commits(h: &dyn Harness) {
    let present: Vec<_> = (1..=6).map(|n| guest(n, "a")).collect();
    given_conversations(h, &(1..=6).map(conversation).collect::<Vec<_>>(), &present).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let (store, over) = (h.im(), is_over.clone());
    let mut tail = JoinSet::new();
    tail.spawn(async move {
        let mut seen: Vec<i64> = Vec::new();
        loop {
            let is_last_look = over.load(Ordering::Acquire);
            let mut read = store.read();
            let until = read.log().head().await.unwrap().position;
            let after = seen.last().copied().unwrap_or(0);
            seen.extend(read.log().entries(after, until, 1_000).await.unwrap().iter().map(LogEntry::position));
            if is_last_look {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    });
    let store = h.im();
    all_at_once(6, |n| {
        let store = store.clone();
        async move {
            for round in 0..15 {
                let id = dialog_id(n);
                let mut unit = store.begin().await.unwrap();
                let new = [text(n * 1_000 + round * 10, id, "a", "x"), text(n * 1_000 + round * 10 + 1, id, "a", "y")];
                unit.messages().append(&new[..=(round as usize + n as usize) % 2]).await.unwrap();
                tokio::task::yield_now().await;
                if round % 4 == 3 {
                    continue;
                }
                let kind = EventKind::Read;
                let (conversation_id, payload) = (Some(id), serde_json::json!({}));
                let event = NewEvent { conversation_id, client_id: None, kind, payload, at: at(0) };
                unit.log().append_events(&[event]).await.unwrap();
                unit.commit().await.unwrap();
            }
        }
    })
    .await;
    is_over.store(true, Ordering::Release);
    let seen = tail.join_all().await.remove(0);
    let all = h.im().read().log().entries(0, i64::MAX, 1_000).await.unwrap();
    assert!(all.len() > 6 * 22, "{}", all.len());
    assert_eq!(seen, all.iter().map(LogEntry::position).collect::<Vec<_>>());
}

/// Numbers stay exact when reads, recalls and sends of one conversation meet.
pub async fn reads_recalls_and_sends_at_once_keep_the_unread_exact(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &[guest(1, "a"), guest(1, "b"), guest(1, "c")]).await;
    append(h, &(1..=10).map(|n| text(n, dialog_id(1), "a", "x")).collect::<Vec<_>>()).await;
    let store = h.im();
    all_at_once(9, |n| {
        let store = store.clone();
        async move {
            let writer = ["a", "b", "c"][n as usize % 3];
            for round in 0..6 {
                let mut unit = store.begin().await.unwrap();
                let found = unit.conversations().find_locked(dialog_id(1)).await.unwrap().unwrap();
                match n {
                    1..=3 => {
                        let new = text(n * 1_000 + round, dialog_id(1), writer, "x");
                        unit.messages().append(&[new]).await.unwrap();
                    }
                    4..=6 => {
                        let seq = (i64::from(round) * 3 + i64::from(n)).min(found.last_seq);
                        let to = ReadMove { conversation_id: dialog_id(1), client_id: writer.to_owned(), seq };
                        unit.conversations().mark_read(&[to]).await.unwrap();
                    }
                    _ => {
                        let seq = i64::from(round * 3 + n - 6);
                        let message = unit.messages().find_seq(dialog_id(1), seq).await.unwrap();
                        if let Some(message) = message.filter(|m| !m.is_recalled()) {
                            unit.messages().recall(&message, at(9)).await.unwrap();
                        }
                    }
                }
                unit.commit().await.unwrap();
            }
        }
    })
    .await;
    let mut read = h.im().read();
    let messages = read.messages().history(dialog_id(1), HistoryPage::After(0), 100).await.unwrap();
    assert_eq!(messages.len(), 28);
    for client in ["a", "b", "c"] {
        let member = member(h, dialog_id(1), client).await;
        let later = messages.iter().filter(|m| m.seq > member.read_seq);
        let (own, others): (Vec<_>, Vec<_>) = later.partition(|m| m.sender.as_deref() == Some(client));
        let others = others.iter().filter(|m| m.is_recalled());
        let counted = (member.own_after_read, member.recalled_after_read);
        let count = |n: usize| i64::try_from(n).unwrap();
        assert_eq!(counted, (count(own.len()), count(others.count())), "{member:?}");
    }
}

pub async fn cards_asked_for_at_once_are_shown_once(h: &dyn Harness) {
    let shown: Vec<_> = (1..=3).map(|n| relation(n, pair(n, 1)).with_card().done()).collect();
    within(h, async |unit| unit.relations().ensure_all(&shown).await.unwrap()).await;
    let store = h.store();
    let taken = all_at_once(8, |_| {
        let store = store.clone();
        async move {
            let mut unit = store.begin().await.unwrap();
            let taken = unit.relations().take_cards(patient_id(1), at(5)).await.unwrap();
            linger(&mut *unit).await;
            unit.commit().await.unwrap();
            taken.len()
        }
    })
    .await;
    assert_eq!(taken.iter().sum::<usize>(), 3, "{taken:?}");
}

pub async fn scans_at_once_are_all_counted(h: &dyn Harness) {
    within(h, async |unit| unit.invitations().insert(&invitation(1, 1)).await.unwrap()).await;
    let store = h.store();
    all_at_once(16, |_| {
        let store = store.clone();
        async move {
            let mut unit = store.begin().await.unwrap();
            unit.invitations().count_scan(invitation(1, 1).id).await.unwrap();
            unit.commit().await.unwrap();
        }
    })
    .await;
    let found = h.store().read().invitations().find(invitation(1, 1).id).await.unwrap().unwrap();
    assert_eq!(found.scan_count, 16);
}

pub async fn jobs_under_one_key_at_once_become_one(h: &dyn Harness) {
    let store = h.store();
    all_at_once(16, |n| {
        let store = store.clone();
        async move {
            let mut new = job(n, 0);
            new.idempotency_key = "same".into();
            let mut unit = store.begin().await.unwrap();
            unit.outbox().append_all(&[new]).await.unwrap();
            unit.commit().await.unwrap();
        }
    })
    .await;
    assert_eq!(h.queue().claim("w", 99, at(0), LEASE).await.unwrap().len(), 1);
}

pub async fn workers_claiming_at_once_share_the_jobs_out(h: &dyn Harness) {
    let all: Vec<_> = (1..=200).map(|n| job(n, 0)).collect();
    within(h, async |unit| unit.outbox().append_all(&all).await.unwrap()).await;
    let queue = h.queue();
    let claimed = all_at_once(6, |n| {
        let queue = queue.clone();
        async move {
            let mut mine: Vec<JobId> = Vec::new();
            loop {
                let batch = queue.claim(&format!("w{n}"), 7, at(0), LEASE).await.unwrap();
                assert!(batch.len() <= 7, "a claim of 7 gave {}", batch.len());
                assert!(batch.iter().all(|j| j.attempt == 1));
                if batch.is_empty() && queue.next_due().await.unwrap().is_none_or(|due| due > at(0)) {
                    return mine;
                }
                mine.extend(batch.into_iter().map(|j| j.id));
            }
        }
    })
    .await;
    let claimed = sorted(claimed.into_iter().flatten());
    assert_eq!(claimed, all.into_iter().map(|j| j.id).collect::<Vec<_>>());
}

pub async fn a_schedule_due_for_all_is_taken_by_one(h: &dyn Harness) {
    let queue = h.queue();
    for now in [0, 5_000] {
        let taken = all_at_once(8, |n| {
            let queue = queue.clone();
            async move {
                let every = Duration::from_secs(1);
                queue.take_schedule("sweep", &format!("w{n}"), at(now), every, every).await.unwrap()
            }
        })
        .await;
        assert_eq!(taken.into_iter().filter(|is_mine| *is_mine).count(), 1, "at {now}");
    }
}
