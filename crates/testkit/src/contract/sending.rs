//! Appending messages: numbers, duplicates, and who may write.

use domain::id::{AgentId, ConversationId, MessageId};
use im::message::{HistoryPage, KnownMessage};
use im::{Appended, Content, Message, MessageKind, NewMessage};
use serde_json::json;

use super::samples::{at, conversation, guest, members, message, text};
use super::{Harness, append, given_conversations, member, messaging, seqs};
use crate::build::{dialog_id, doctor_id};
use crate::ids::object_id;

async fn stored(h: &dyn Harness, id: ConversationId) -> im::Conversation {
    h.im().read().conversations().find(id).await.unwrap().unwrap()
}

/// Sequence numbers and message ids of a conversation.
async fn numbered(h: &dyn Harness, id: ConversationId) -> Vec<(i64, MessageId)> {
    let messages = h.im().read().messages().history(id, HistoryPage::After(0), 1_000).await.unwrap();
    messages.into_iter().map(|m| (m.seq, m.id)).collect()
}

fn expected<const N: usize>(numbers: [(i64, u32); N]) -> [(i64, MessageId); N] {
    numbers.map(|(seq, n)| (seq, MessageId(object_id(n))))
}

pub async fn a_message_keeps_every_field(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &[guest(1, "医-1")]).await;
    let json = r#"{"text":"您好 \"a\\b\" 😴 % _ '","n":[1,2.50,1e3,null],"b":{"z":1,"a":2}}"#;
    let full = NewMessage {
        acted_by: Some(AgentId(object_id(70))),
        kind: MessageKind::Other("lc.-99".into()),
        content: Content::parse(json).unwrap(),
        corrects: Some(MessageId(object_id(71))),
        ..text(1, dialog_id(1), "医-1", "")
    };
    let outcome = append(h, &[full.clone(), message(2, dialog_id(1))]).await;
    let [Appended::Stored { position, seq: 1 }, Appended::Stored { position: next, seq: 2 }] = outcome[..] else {
        panic!("{outcome:?}")
    };
    assert_eq!(next, position + 1);
    let found = h.im().read().messages().history(dialog_id(1), HistoryPage::After(0), 9).await.unwrap();
    assert_eq!(found, [full.stored(position, 1), message(2, dialog_id(1)).stored(next, 2)]);
    assert_eq!(found[0].content.as_str(), json, "content goes out as it came in");
    assert_eq!(found[1].content.to_value(), json!({"event": "consultation.started", "text": "第2条"}));
}

pub async fn sequence_numbers_are_contiguous_from_one(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &[]).await;
    assert_eq!(seqs(&append(h, &[message(3, dialog_id(1))]).await), [1]);
    assert_eq!(seqs(&append(h, &[message(2, dialog_id(1)), message(5, dialog_id(1))]).await), [2, 3]);
    assert!(append(h, &[]).await.is_empty());
    let last = append(h, &[message(1, dialog_id(1))]).await;
    assert_eq!(numbered(h, dialog_id(1)).await, expected([(1, 3), (2, 2), (3, 5), (4, 1)]));
    let after = stored(h, dialog_id(1)).await;
    assert_eq!((after.last_seq, after.last_message_at, after.updated_at), (4, Some(at(1)), at(1)));
    assert_eq!(last, [Appended::Stored { position: after.last_position, seq: 4 }]);
}

pub async fn messages_to_several_conversations_are_appended_at_once(h: &dyn Harness) {
    given_conversations(h, &[conversation(1), conversation(2), conversation(3)], &[]).await;
    let mixed = [
        message(1, dialog_id(2)),
        message(2, dialog_id(1)),
        message(3, dialog_id(2)),
        message(4, dialog_id(1)),
        message(5, dialog_id(2)),
    ];
    let outcome = append(h, &mixed).await;
    assert_eq!(seqs(&outcome), [1, 1, 2, 2, 3]);
    let positions: Vec<_> = outcome.iter().map(position).collect();
    assert!(positions.windows(2).all(|two| two[0] < two[1]), "in the order given: {positions:?}");
    assert_eq!(numbered(h, dialog_id(1)).await, expected([(1, 2), (2, 4)]));
    assert_eq!(numbered(h, dialog_id(2)).await, expected([(1, 1), (2, 3), (3, 5)]));
    assert!(numbered(h, dialog_id(3)).await.is_empty());
    assert_eq!(stored(h, dialog_id(1)).await.last_message_at, Some(at(4)));
    assert_eq!(stored(h, dialog_id(2)).await.last_seq, 3);
    assert_eq!(stored(h, dialog_id(1)).await.last_position, positions[3]);
    assert_eq!(stored(h, dialog_id(3)).await, conversation(3));
}

fn position(appended: &Appended) -> i64 {
    match appended {
        Appended::Stored { position, .. } => *position,
        other => panic!("not stored: {other:?}"),
    }
}

pub async fn what_cannot_be_stored_does_not_keep_the_rest_from_it(h: &dyn Harness) {
    let present = [members(1).to_vec(), vec![guest(1, "a")]].concat();
    given_conversations(h, &[conversation(1)], &present).await;
    let doctor = doctor_id(1).to_string();
    append(h, &[text(9, dialog_id(1), "a", "旧")]).await;
    let mixed = [
        text(1, dialog_id(1), "a", "一"),
        text(2, dialog_id(7), "a", "无处"),
        text(3, dialog_id(1), "stranger", "外人"),
        text(4, dialog_id(1), &doctor, "问过吗"),
        NewMessage { client_message_id: Some("c9".into()), ..text(5, dialog_id(1), "a", "旧") },
        text(6, dialog_id(1), "a", "二"),
    ];
    let outcome = append(h, &mixed).await;
    assert!(matches!(outcome[0], Appended::Stored { seq: 2, .. }), "{outcome:?}");
    assert_eq!(outcome[1..4], [Appended::NoConversation, Appended::NotMember, Appended::AskOwner]);
    assert!(matches!(&outcome[4], Appended::Known(known) if known.seq == 1), "{outcome:?}");
    assert!(matches!(outcome[5], Appended::Stored { seq: 3, .. }), "{outcome:?}");
    assert_eq!(numbered(h, dialog_id(1)).await, expected([(1, 9), (2, 1), (3, 6)]));
    assert_eq!(stored(h, dialog_id(1)).await.last_seq, 3);
    assert_eq!(member(h, dialog_id(1), "a").await.own_after_read, 3);
}

pub async fn a_name_is_known_again_with_what_was_said(h: &dyn Harness) {
    given_conversations(h, &[conversation(1), conversation(2)], &[guest(1, "a"), guest(1, "b"), guest(2, "a")]).await;
    let first = text(1, dialog_id(1), "a", "您好");
    append(h, std::slice::from_ref(&first)).await;
    let retry = NewMessage { id: MessageId(object_id(2)), created_at: at(99), ..first.clone() };
    let other = NewMessage { content: Content::of(&json!({"text": "别的"})), ..retry.clone() };
    let known = Appended::Known(KnownMessage {
        id: first.id,
        seq: 1,
        kind: MessageKind::Text,
        content: first.content.clone(),
        created_at: first.created_at,
    });
    assert_eq!(append(h, std::slice::from_ref(&retry)).await, std::slice::from_ref(&known));
    assert_eq!(append(h, &[other]).await, [known]);
    // The name belongs to one sender in one conversation.
    let elsewhere = NewMessage { conversation_id: dialog_id(2), id: MessageId(object_id(3)), ..first.clone() };
    let another = NewMessage { sender: Some("b".into()), id: MessageId(object_id(4)), ..first };
    assert_eq!(seqs(&append(h, &[elsewhere, another]).await), [1, 2]);
    assert_eq!(member(h, dialog_id(1), "a").await.own_after_read, 1, "a retry is not counted again");
}

pub async fn messages_without_a_name_are_never_the_same(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &[guest(1, "a")]).await;
    let nameless = |n| NewMessage { client_message_id: None, ..text(n, dialog_id(1), "a", "再来") };
    assert_eq!(seqs(&append(h, &[nameless(1), nameless(2)]).await), [1, 2]);
    assert_eq!(seqs(&append(h, &[nameless(3)]).await), [3]);
}

pub async fn a_known_name_is_answered_though_its_sender_left_or_is_to_be_asked_about(h: &dyn Harness) {
    let doctor = doctor_id(1).to_string();
    given_conversations(h, &[conversation(1)], &[members(1).to_vec(), vec![guest(1, "a")]].concat()).await;
    let agreed = NewMessage { is_agreed: true, ..text(1, dialog_id(1), &doctor, "好") };
    let left = text(2, dialog_id(1), "a", "再见");
    append(h, &[agreed.clone(), left.clone()]).await;
    messaging(h, async |unit| unit.conversations().remove_member(dialog_id(1), "a").await.unwrap()).await;
    let retries = [NewMessage { is_agreed: false, ..agreed }, left];
    let outcome = append(h, &retries).await;
    assert!(matches!(&outcome[..], [Appended::Known(_), Appended::Known(_)]), "{outcome:?}");
}

pub async fn agreed_messages_are_stored_without_asking_but_not_for_strangers(h: &dyn Harness) {
    let doctor = doctor_id(1).to_string();
    given_conversations(h, &[conversation(1)], &members(1)).await;
    let agreed = |n, sender: &str| NewMessage { is_agreed: true, ..text(n, dialog_id(1), sender, "好") };
    let outcome = append(h, &[agreed(1, &doctor), agreed(2, "stranger")]).await;
    assert!(matches!(outcome[..], [Appended::Stored { seq: 1, .. }, Appended::NotMember]), "{outcome:?}");
}

pub async fn a_dropped_unit_leaves_no_gap(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &[guest(1, "a")]).await;
    append(h, &[text(1, dialog_id(1), "a", "一")]).await;
    let mut unit = h.im().begin().await.unwrap();
    let undone = unit.messages().append(&[text(2, dialog_id(1), "a", "二"), text(3, dialog_id(1), "a", "三")]).await;
    assert_eq!(seqs(&undone.unwrap()), [2, 3]);
    drop(unit);
    assert_eq!(seqs(&append(h, &[text(4, dialog_id(1), "a", "四")]).await), [2]);
    assert_eq!(numbered(h, dialog_id(1)).await, expected([(1, 1), (2, 4)]));
    assert_eq!(member(h, dialog_id(1), "a").await.own_after_read, 2);
}

pub async fn a_unit_sees_what_it_appended(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &[guest(1, "a")]).await;
    messaging(h, async |unit| {
        unit.messages().append(&[text(1, dialog_id(1), "a", "一")]).await.unwrap();
        unit.messages().append(&[text(2, dialog_id(1), "a", "二")]).await.unwrap();
        let again = unit.messages().append(&[text(1, dialog_id(1), "a", "一")]).await.unwrap();
        assert!(matches!(&again[..], [Appended::Known(known)] if known.seq == 1), "{again:?}");
        let found: Option<Message> = unit.messages().find_seq(dialog_id(1), 2).await.unwrap();
        assert_eq!(found.map(|m| m.id), Some(MessageId(object_id(2))));
    })
    .await;
    assert_eq!(numbered(h, dialog_id(1)).await, expected([(1, 1), (2, 2)]));
}
