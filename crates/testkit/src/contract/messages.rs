//! Finding and recalling messages, and reading a conversation in both directions.

use domain::id::MessageId;
use im::message::HistoryPage;

use super::samples::{at, conversation, guest, message, text};
use super::{Harness, append, assert_conflict, given_conversations, messaging};
use crate::build::dialog_id;
use crate::ids::object_id;

pub async fn history_is_read_in_both_directions(h: &dyn Harness) {
    given_conversations(h, &[conversation(1), conversation(2)], &[]).await;
    let all: Vec<_> = (1..=5).map(|n| message(n, dialog_id(1))).collect();
    append(h, &all).await;
    append(h, &[message(6, dialog_id(2))]).await;
    let read = async |page, limit| {
        let found = h.im().read().messages().history(dialog_id(1), page, limit).await.unwrap();
        found.into_iter().map(|m| m.seq).collect::<Vec<_>>()
    };
    assert_eq!(read(HistoryPage::After(0), 2).await, [1, 2]);
    assert_eq!(read(HistoryPage::After(2), 2).await, [3, 4]);
    assert_eq!(read(HistoryPage::After(4), 2).await, [5]);
    assert!(read(HistoryPage::After(5), 2).await.is_empty());
    assert_eq!(read(HistoryPage::Before(i64::MAX), 2).await, [4, 5]);
    assert_eq!(read(HistoryPage::Before(4), 2).await, [2, 3]);
    assert_eq!(read(HistoryPage::Before(2), 2).await, [1]);
    assert!(read(HistoryPage::Before(1), 2).await.is_empty());
    assert_eq!(read(HistoryPage::Before(5), 200).await, [1, 2, 3, 4]);
}

pub async fn a_message_is_found_by_id_and_by_number_within_its_conversation(h: &dyn Harness) {
    given_conversations(h, &[conversation(1), conversation(2)], &[guest(1, "a")]).await;
    append(h, &[message(1, dialog_id(1)), text(2, dialog_id(1), "a", "二"), message(3, dialog_id(2))]).await;
    let mut read = h.im().read();
    let by_id = read.messages().find(dialog_id(1), MessageId(object_id(2))).await.unwrap().unwrap();
    assert_eq!((by_id.seq, by_id.client_message_id.as_deref()), (2, Some("c2")));
    assert_eq!(read.messages().find_seq(dialog_id(1), 2).await.unwrap(), Some(by_id));
    assert_eq!(read.messages().find(dialog_id(2), MessageId(object_id(2))).await.unwrap(), None);
    assert_eq!(read.messages().find(dialog_id(1), MessageId(object_id(9))).await.unwrap(), None);
    assert_eq!(read.messages().find_seq(dialog_id(1), 3).await.unwrap(), None);
    assert_eq!(read.messages().find_seq(dialog_id(2), 0).await.unwrap(), None);
}

pub async fn a_recalled_message_keeps_its_place_and_its_content(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &[guest(1, "a")]).await;
    append(h, &[text(1, dialog_id(1), "a", "一"), text(2, dialog_id(1), "a", "二")]).await;
    let id = MessageId(object_id(1));
    let found = h.im().read().messages().find(dialog_id(1), id).await.unwrap().unwrap();
    messaging(h, async |unit| unit.messages().recall(&found, at(50)).await.unwrap()).await;
    let recalled = h.im().read().messages().find(dialog_id(1), id).await.unwrap().unwrap();
    assert_eq!(recalled, im::Message { recalled_at: Some(at(50)), ..found.clone() });
    assert_eq!(recalled.shown_content(), None);
    let other = h.im().read().messages().find_seq(dialog_id(1), 2).await.unwrap().unwrap();
    assert!(!other.is_recalled());
    let mut unit = h.im().begin().await.unwrap();
    assert_conflict(&unit.messages().recall(&found, at(60)).await);
}
