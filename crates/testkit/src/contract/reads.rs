//! How far members have got: unread = newest − read − own − recalled, exact whatever happens in between.

use domain::id::{ConversationId, MessageId};
use im::Member;
use im::conversation::ReadMove;
use im::message::HistoryPage;

use super::samples::{at, conversation, guest, message, text};
use super::{Harness, append, given_conversations, member, messaging};
use crate::build::dialog_id;
use crate::ids::object_id;

fn to(client_id: &str, seq: i64) -> ReadMove {
    ReadMove { conversation_id: dialog_id(1), client_id: client_id.to_owned(), seq }
}

async fn read(h: &dyn Harness, moves: &[ReadMove]) -> Vec<Member> {
    messaging(h, async |unit| unit.conversations().mark_read(moves).await.unwrap()).await
}

async fn recall(h: &dyn Harness, n: u32) {
    messaging(h, async |unit| {
        let found = unit.messages().find(dialog_id(1), MessageId(object_id(n))).await.unwrap().unwrap();
        unit.messages().recall(&found, at(99)).await.unwrap();
    })
    .await;
}

/// The stored unread number, known to equal its definition.
async fn unread(h: &dyn Harness, id: ConversationId, client: &str) -> i64 {
    let mut unit = h.im().read();
    let last_seq = unit.conversations().find(id).await.unwrap().unwrap().last_seq;
    let messages = unit.messages().history(id, HistoryPage::After(0), 1_000).await.unwrap();
    let member = member(h, id, client).await;
    let is_unread =
        |m: &&im::Message| m.seq > member.read_seq && m.sender.as_deref() != Some(client) && !m.is_recalled();
    let counted = messages.iter().filter(is_unread).count();
    assert_eq!(member.unread_count(last_seq), i64::try_from(counted).unwrap(), "{member:?}");
    member.unread_count(last_seq)
}

async fn given(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &[guest(1, "a"), guest(1, "b"), guest(1, "c")]).await;
}

pub async fn what_others_wrote_is_unread_and_own_messages_are_not(h: &dyn Harness) {
    given(h).await;
    append(h, &[text(1, dialog_id(1), "a", "1"), text(2, dialog_id(1), "a", "2"), text(3, dialog_id(1), "b", "3")])
        .await;
    append(h, &[message(4, dialog_id(1))]).await;
    assert_eq!((unread(h, dialog_id(1), "a").await, unread(h, dialog_id(1), "b").await), (2, 3));
    assert_eq!(unread(h, dialog_id(1), "c").await, 4);
}

pub async fn reading_moves_on_and_never_back(h: &dyn Harness) {
    given(h).await;
    let all: Vec<_> = (1..=6).map(|n| text(n, dialog_id(1), if n % 2 == 0 { "a" } else { "b" }, "x")).collect();
    append(h, &all).await;
    let moved = read(h, &[to("a", 3)]).await;
    assert_eq!(moved, [Member { read_seq: 3, delivered_seq: 3, own_after_read: 2, ..guest(1, "a") }]);
    assert_eq!(unread(h, dialog_id(1), "a").await, 1);
    assert!(read(h, &[to("a", 2)]).await.is_empty());
    assert!(read(h, &[to("a", 3)]).await.is_empty());
    assert_eq!(member(h, dialog_id(1), "a").await, moved[0]);
    read(h, &[to("a", 6)]).await;
    assert_eq!(unread(h, dialog_id(1), "a").await, 0);
    assert_eq!(unread(h, dialog_id(1), "b").await, 3, "others are where they were");
}

pub async fn several_members_read_at_once_and_strangers_do_not(h: &dyn Harness) {
    given(h).await;
    append(h, &[text(1, dialog_id(1), "a", "1"), text(2, dialog_id(1), "b", "2")]).await;
    let mut moved = read(h, &[to("b", 1), to("stranger", 2), to("c", 2), to("a", 0)]).await;
    moved.sort_by(|x, y| x.client_id.cmp(&y.client_id));
    let moved: Vec<_> = moved.iter().map(|m| (m.client_id.as_str(), m.read_seq, m.own_after_read)).collect();
    assert_eq!(moved, [("b", 1, 1), ("c", 2, 0)]);
    assert!(read(h, &[]).await.is_empty());
}

pub async fn reading_goes_no_farther_than_the_newest_message(h: &dyn Harness) {
    given(h).await;
    append(h, &[text(1, dialog_id(1), "a", "1"), text(2, dialog_id(1), "a", "2")]).await;
    let moved = read(h, &[to("b", 1), to("b", i64::MAX), to("b", 0)]).await;
    assert_eq!(moved, [Member { read_seq: 2, delivered_seq: 2, ..guest(1, "b") }], "of several moves the farthest");
    let steps = [to("c", i64::MAX), ReadMove { conversation_id: dialog_id(9), ..to("c", 1) }];
    messaging(h, async |unit| unit.conversations().mark_delivered(&steps).await.unwrap()).await;
    assert_eq!(member(h, dialog_id(1), "c").await.delivered_seq, 2);
}

pub async fn writing_does_not_read(h: &dyn Harness) {
    given(h).await;
    append(h, &[text(1, dialog_id(1), "a", "1")]).await;
    append(h, &[text(2, dialog_id(1), "b", "2")]).await;
    let writer = member(h, dialog_id(1), "b").await;
    assert_eq!((writer.read_seq, writer.own_after_read), (0, 1));
    assert_eq!(unread(h, dialog_id(1), "b").await, 1);
}

pub async fn a_recall_takes_the_message_out_of_the_numbers(h: &dyn Harness) {
    given(h).await;
    let all: Vec<_> = (1..=4).map(|n| text(n, dialog_id(1), "a", "x")).collect();
    append(h, &all).await;
    append(h, &[message(5, dialog_id(1))]).await;
    read(h, &[to("b", 2)]).await;
    recall(h, 1).await;
    recall(h, 3).await;
    assert_eq!(unread(h, dialog_id(1), "b").await, 2, "the read one did not count, the unread one did");
    assert_eq!(unread(h, dialog_id(1), "c").await, 3);
    assert_eq!(unread(h, dialog_id(1), "a").await, 1, "own messages never counted");
    recall(h, 5).await;
    assert_eq!(unread(h, dialog_id(1), "a").await, 0, "a line of the product counts for all");
    assert_eq!(unread(h, dialog_id(1), "b").await, 1);
    read(h, &[to("b", 4), to("c", 3)]).await;
    let reader = member(h, dialog_id(1), "b").await;
    assert_eq!((reader.recalled_after_read, unread(h, dialog_id(1), "b").await), (1, 0));
    assert_eq!(unread(h, dialog_id(1), "c").await, 1);
}

pub async fn late_joiners_count_from_where_they_came_in(h: &dyn Harness) {
    given(h).await;
    append(h, &[text(1, dialog_id(1), "a", "1"), text(2, dialog_id(1), "a", "2")]).await;
    messaging(h, async |unit| unit.conversations().add_members(&[guest(1, "d")]).await.unwrap()).await;
    recall(h, 1).await;
    assert_eq!(unread(h, dialog_id(1), "d").await, 0);
    append(h, &[text(3, dialog_id(1), "a", "3"), text(4, dialog_id(1), "d", "4")]).await;
    assert_eq!(unread(h, dialog_id(1), "d").await, 1);
    recall(h, 3).await;
    assert_eq!(unread(h, dialog_id(1), "d").await, 0);
}

pub async fn deliveries_move_on_and_do_not_read(h: &dyn Harness) {
    given(h).await;
    append(h, &[text(1, dialog_id(1), "a", "1"), text(2, dialog_id(1), "a", "2")]).await;
    let deliver = async |seq| {
        let moves = [to("b", seq), to("stranger", seq)];
        messaging(h, async |unit| unit.conversations().mark_delivered(&moves).await.unwrap()).await;
        member(h, dialog_id(1), "b").await
    };
    assert_eq!(deliver(2).await, Member { delivered_seq: 2, ..guest(1, "b") });
    assert_eq!(deliver(1).await.delivered_seq, 2);
    assert_eq!(unread(h, dialog_id(1), "b").await, 2);
}
