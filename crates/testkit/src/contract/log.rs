//! The log: positions, events, and what concerns whom.

use domain::id::ConversationId;
use im::log::{EventKind, LogEntry, LogEvent, NewEvent};
use serde_json::json;

use super::samples::{at, conversation, guest, text};
use super::{Harness, append, given_conversations, messaging};
use crate::build::dialog_id;

fn event(conversation: Option<ConversationId>, client: Option<&str>, kind: EventKind) -> NewEvent {
    NewEvent {
        conversation_id: conversation,
        client_id: client.map(str::to_owned),
        kind,
        payload: json!({ "说": ["b", 1, null] }),
        at: at(3),
    }
}

async fn tell(h: &dyn Harness, events: &[NewEvent]) -> i64 {
    messaging(h, async |unit| unit.log().append_events(events).await.unwrap()).await
}

async fn head(h: &dyn Harness) -> i64 {
    h.im().read().log().head().await.unwrap().position
}

async fn of(h: &dyn Harness, clients: &[&str], after: i64, limit: u32) -> Vec<LogEntry> {
    let clients: Vec<_> = clients.iter().map(|&client| client.to_owned()).collect();
    h.im().read().log().entries_of(&clients, after, limit).await.unwrap()
}

async fn all(h: &dyn Harness) -> Vec<LogEntry> {
    let until = head(h).await;
    h.im().read().log().entries(0, until, 1_000).await.unwrap()
}

fn positions(entries: &[LogEntry]) -> Vec<i64> {
    entries.iter().map(LogEntry::position).collect()
}

pub async fn messages_and_events_share_one_order(h: &dyn Harness) {
    given_conversations(h, &[conversation(1), conversation(2)], &[guest(1, "a"), guest(2, "a")]).await;
    let start = head(h).await;
    append(h, &[text(1, dialog_id(1), "a", "一")]).await;
    let second = tell(h, &[event(Some(dialog_id(1)), None, EventKind::Read)]).await;
    append(h, &[text(2, dialog_id(2), "a", "二"), text(3, dialog_id(1), "a", "三")]).await;
    let events = [event(None, Some("a"), EventKind::SessionEnded), event(Some(dialog_id(2)), None, EventKind::Left)];
    let last = tell(h, &events).await;
    let entries = all(h).await;
    assert_eq!(entries.len(), 6);
    assert!(positions(&entries).is_sorted_by(|a, b| a < b), "{entries:?}");
    assert!(positions(&entries)[0] > start);
    assert_eq!((entries[1].position(), entries[5].position(), head(h).await), (second, last, last));
    let kinds: Vec<_> = entries.iter().map(|e| matches!(e, LogEntry::Message(_))).collect();
    assert_eq!(kinds, [true, false, true, true, false, false]);
    let newest = async |n| h.im().read().conversations().find(dialog_id(n)).await.unwrap().unwrap().last_position;
    assert_eq!((newest(1).await, newest(2).await), (entries[3].position(), last));
}

pub async fn an_event_keeps_every_field(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &[]).await;
    let mut expected = Vec::new();
    for kind in EventKind::ALL {
        let new = event(Some(dialog_id(1)), Some("客-1"), kind);
        let position = tell(h, std::slice::from_ref(&new)).await;
        let NewEvent { conversation_id, client_id, kind, payload, at } = new;
        expected.push(LogEntry::Event(LogEvent { position, conversation_id, client_id, kind, payload, at }));
    }
    assert_eq!(all(h).await, expected);
    assert_eq!(tell(h, &[]).await, head(h).await, "telling nothing moves nothing");
}

pub async fn entries_are_read_between_two_positions_up_to_a_limit(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &[guest(1, "a")]).await;
    for n in 1..=3 {
        append(h, &[text(n, dialog_id(1), "a", "x")]).await;
        tell(h, &[event(Some(dialog_id(1)), None, EventKind::Read)]).await;
    }
    let all = positions(&all(h).await);
    assert_eq!(all.len(), 6);
    let read = async |after, until, limit| positions(&h.im().read().log().entries(after, until, limit).await.unwrap());
    assert_eq!(read(0, all[5], 4).await, all[..4]);
    assert_eq!(read(all[1], all[3], 9).await, all[2..4]);
    assert_eq!(read(all[3], i64::MAX, 9).await, all[4..]);
    assert!(read(all[5], i64::MAX, 9).await.is_empty());
}

pub async fn a_client_sees_what_concerns_it_and_nothing_else(h: &dyn Harness) {
    let present = [guest(1, "a"), guest(1, "b"), guest(2, "b"), guest(3, "c")];
    given_conversations(h, &[conversation(1), conversation(2), conversation(3)], &present).await;
    append(h, &[text(1, dialog_id(1), "a", "x")]).await;
    append(h, &[text(2, dialog_id(2), "b", "x"), text(3, dialog_id(3), "c", "x")]).await;
    tell(h, &[event(Some(dialog_id(2)), None, EventKind::Read)]).await;
    tell(h, &[event(Some(dialog_id(2)), Some("b"), EventKind::Joined)]).await;
    tell(h, &[event(Some(dialog_id(2)), Some("a"), EventKind::Left)]).await;
    tell(h, &[event(None, Some("c"), EventKind::SessionEnded)]).await;
    let all = positions(&all(h).await);
    let seen = async |clients: &[&str]| positions(&of(h, clients, 0, 99).await);
    assert_eq!(seen(&["a"]).await, [all[0], all[5]], "not a member, but told of leaving");
    assert_eq!(seen(&["b"]).await, [all[0], all[1], all[3], all[4]]);
    assert_eq!(seen(&["c"]).await, [all[2], all[6]]);
    assert_eq!(seen(&["a", "c"]).await, [all[0], all[2], all[5], all[6]]);
    assert_eq!(seen(&["a", "b"]).await, all[..2].iter().chain(&all[3..6]).copied().collect::<Vec<_>>());
    assert!(seen(&["nobody"]).await.is_empty() && seen(&[]).await.is_empty());
}

pub async fn a_client_catches_up_page_by_page_without_a_hole(h: &dyn Harness) {
    given_conversations(h, &[conversation(1), conversation(2)], &[guest(1, "a"), guest(2, "a")]).await;
    for n in 1..=20 {
        append(h, &[text(n, dialog_id(1 + n % 2), "a", "x")]).await;
        if n % 3 == 0 {
            tell(h, &[event(Some(dialog_id(1)), None, EventKind::Read)]).await;
        }
    }
    let whole = of(h, &["a"], 0, 1_000).await;
    assert_eq!(whole.len(), 26);
    for limit in [1, 2, 7, 26, 27] {
        let mut paged: Vec<LogEntry> = Vec::new();
        loop {
            let after = paged.last().map_or(0, LogEntry::position);
            let page = of(h, &["a"], after, limit).await;
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= limit as usize);
            paged.extend(page);
        }
        assert_eq!(paged, whole, "limit {limit}");
    }
}

pub async fn a_long_absence_loses_nothing(h: &dyn Harness) {
    given_conversations(h, &[conversation(1), conversation(2)], &[guest(1, "a"), guest(2, "a")]).await;
    let many: Vec<_> = (1..=1_300).map(|n| text(n, dialog_id(1 + n / 1_290), "a", "x")).collect();
    for part in many.chunks(250) {
        append(h, part).await;
    }
    let mut seen = Vec::new();
    loop {
        let page = of(h, &["a"], seen.last().copied().unwrap_or(0), 200).await;
        if page.is_empty() {
            break;
        }
        seen.extend(positions(&page));
    }
    assert_eq!(seen, positions(&all_of_many(h).await));
}

async fn all_of_many(h: &dyn Harness) -> Vec<LogEntry> {
    let until = head(h).await;
    let entries = h.im().read().log().entries(0, until, 2_000).await.unwrap();
    assert_eq!(entries.len(), 1_300);
    entries
}

pub async fn an_undone_unit_leaves_nothing_in_the_log(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &[guest(1, "a")]).await;
    append(h, &[text(1, dialog_id(1), "a", "一")]).await;
    let before = head(h).await;
    let mut unit = h.im().begin().await.unwrap();
    unit.messages().append(&[text(2, dialog_id(1), "a", "二")]).await.unwrap();
    unit.log().append_events(&[event(Some(dialog_id(1)), None, EventKind::Read)]).await.unwrap();
    drop(unit);
    append(h, &[text(3, dialog_id(1), "a", "三")]).await;
    let entries = all(h).await;
    assert_eq!(entries.len(), 2);
    assert!(entries[1].position() > before);
    assert_eq!(head(h).await, entries[1].position());
}

pub async fn the_epoch_changes_when_it_is_renewed(h: &dyn Harness) {
    let before = h.im().read().log().head().await.unwrap();
    messaging(h, async |unit| unit.log().renew_epoch("新-2").await.unwrap()).await;
    let after = h.im().read().log().head().await.unwrap();
    assert_ne!(before.epoch, after.epoch);
    assert_eq!((after.epoch.as_str(), after.position), ("新-2", before.position));
}
