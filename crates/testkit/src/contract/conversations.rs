//! Conversations, members and system messages.

use domain::id::{ConversationId, MessageId};
use im::{Conversation, ConversationKind, Member, MemberKind, Message, NewSystemMessage};
use serde_json::json;

use super::samples::{at, conversation, extra, members, message};
use super::{Harness, assert_conflict, assert_unique, attempt, within};
use crate::build::{consultation_id, dialog_id, doctor_id};
use crate::ids::object_id;

async fn given(h: &dyn Harness, conversations: &[Conversation], members: &[Member]) {
    within(h, async |unit| unit.conversations().insert_all(conversations, members).await.unwrap()).await;
}

async fn append(h: &dyn Harness, messages: &[NewSystemMessage]) {
    within(h, async |unit| unit.conversations().append_system(messages).await.unwrap()).await;
}

async fn stored(h: &dyn Harness, id: ConversationId) -> Option<Conversation> {
    h.store().read().conversations().find(id).await.unwrap()
}

/// Sequence numbers and message ids of a conversation.
async fn numbered(h: &dyn Harness, id: ConversationId) -> Vec<(i64, MessageId)> {
    let messages = h.store().read().conversations().messages(id, 0, 1_000).await.unwrap();
    messages.into_iter().map(|m| (m.seq, m.id)).collect()
}

fn expected<const N: usize>(numbers: [(i64, u32); N]) -> [(i64, MessageId); N] {
    numbers.map(|(seq, n)| (seq, MessageId(object_id(n))))
}

pub async fn a_conversation_keeps_every_field(h: &dyn Harness) {
    let full = Conversation {
        kind: ConversationKind::Consultation,
        consultation_id: Some(consultation_id(1)),
        name: Some("咨询".into()),
        creator: Some("5db2cf72".into()),
        last_message_at: Some(at(-1)),
        attributes: extra(),
        extra: extra(),
        updated_at: at(4),
        ..conversation(1)
    };
    given(h, &[full.clone(), conversation(2)], &[]).await;
    assert_eq!(stored(h, dialog_id(1)).await, Some(full));
    assert_eq!(stored(h, dialog_id(2)).await, Some(conversation(2)));
    assert_eq!(stored(h, dialog_id(3)).await, None);
}

pub async fn members_belong_to_their_conversation(h: &dyn Harness) {
    let other =
        Member {
            conversation_id: dialog_id(1), client_id: "客服-1".into(), kind: MemberKind::Other, joined_at: at(2)
        };
    let all = [members(1).to_vec(), vec![other], members(2).to_vec()].concat();
    given(h, &[conversation(1), conversation(2)], &all).await;
    let mut found = h.store().read().conversations().members(dialog_id(1)).await.unwrap();
    found.sort_by_key(|m| m.joined_at);
    assert_eq!(found, all[..3]);
    assert_eq!(h.store().read().conversations().members(dialog_id(2)).await.unwrap().len(), 2);
    assert!(h.store().read().conversations().members(dialog_id(3)).await.unwrap().is_empty());
}

pub async fn conversations_and_memberships_are_unique(h: &dyn Harness) {
    given(h, &[conversation(1)], &members(1)).await;
    given(h, &[], &[]).await;
    let again = attempt(h, async |unit| unit.conversations().insert_all(&[conversation(1)], &[]).await).await;
    assert_unique(&again, "conversation");
    let member = Member::doctor(dialog_id(1), doctor_id(1), at(9));
    let again = attempt(h, async |unit| unit.conversations().insert_all(&[], &[member]).await).await;
    assert_unique(&again, "conversation_member");
}

pub async fn a_system_message_is_kept_as_event_and_text(h: &dyn Harness) {
    given(h, &[conversation(1)], &[]).await;
    append(h, &[message(1, dialog_id(1))]).await;
    let expected = Message {
        id: MessageId(object_id(1)),
        conversation_id: dialog_id(1),
        seq: 1,
        sender: None,
        kind: "system".into(),
        content: json!({"event": "consultation.started", "text": "第1条"}),
        created_at: at(1),
    };
    assert_eq!(h.store().read().conversations().messages(dialog_id(1), 0, 9).await.unwrap(), [expected]);
}

pub async fn sequence_numbers_are_contiguous_from_one(h: &dyn Harness) {
    given(h, &[conversation(1)], &[]).await;
    append(h, &[message(3, dialog_id(1))]).await;
    append(h, &[message(2, dialog_id(1)), message(5, dialog_id(1))]).await;
    append(h, &[]).await;
    append(h, &[message(1, dialog_id(1))]).await;
    assert_eq!(numbered(h, dialog_id(1)).await, expected([(1, 3), (2, 2), (3, 5), (4, 1)]));
    let after = stored(h, dialog_id(1)).await.unwrap();
    assert_eq!((after.last_seq, after.last_message_at, after.updated_at), (4, Some(at(1)), at(1)));
}

pub async fn messages_to_several_new_conversations_are_appended_at_once(h: &dyn Harness) {
    given(h, &[conversation(1), conversation(2), conversation(3)], &[]).await;
    let mixed = [
        message(1, dialog_id(2)),
        message(2, dialog_id(1)),
        message(3, dialog_id(2)),
        message(4, dialog_id(1)),
        message(5, dialog_id(2)),
    ];
    append(h, &mixed).await;
    assert_eq!(numbered(h, dialog_id(1)).await, expected([(1, 2), (2, 4)]));
    assert_eq!(numbered(h, dialog_id(2)).await, expected([(1, 1), (2, 3), (3, 5)]));
    assert!(numbered(h, dialog_id(3)).await.is_empty());
    assert_eq!(stored(h, dialog_id(1)).await.unwrap().last_message_at, Some(at(4)));
    assert_eq!(stored(h, dialog_id(2)).await.unwrap().last_seq, 3);
    assert_eq!(stored(h, dialog_id(3)).await, Some(conversation(3)));
}

pub async fn a_message_to_an_unknown_conversation_is_refused_and_nothing_is_written(h: &dyn Harness) {
    given(h, &[conversation(1)], &[]).await;
    let mixed = [message(1, dialog_id(1)), message(2, dialog_id(9))];
    assert_conflict(&attempt(h, async |unit| unit.conversations().append_system(&mixed).await).await);
    assert_eq!(stored(h, dialog_id(1)).await, Some(conversation(1)));
    assert!(numbered(h, dialog_id(1)).await.is_empty());
    append(h, &[message(3, dialog_id(1))]).await;
    assert_eq!(numbered(h, dialog_id(1)).await, expected([(1, 3)]));
}

pub async fn a_message_id_is_taken_once(h: &dyn Harness) {
    given(h, &[conversation(1), conversation(2)], &[]).await;
    append(h, &[message(1, dialog_id(1))]).await;
    let again = attempt(h, async |unit| unit.conversations().append_system(&[message(1, dialog_id(2))]).await).await;
    assert_unique(&again, "message");
    assert_eq!(stored(h, dialog_id(2)).await, Some(conversation(2)));
}

pub async fn messages_are_read_from_a_number_on_up_to_a_limit(h: &dyn Harness) {
    given(h, &[conversation(1)], &[]).await;
    let all: Vec<_> = (1..=5).map(|n| message(n, dialog_id(1))).collect();
    append(h, &all).await;
    let read = async |after, limit| {
        let found = h.store().read().conversations().messages(dialog_id(1), after, limit).await.unwrap();
        found.into_iter().map(|m| m.seq).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 2).await, [1, 2]);
    assert_eq!(read(2, 2).await, [3, 4]);
    assert_eq!(read(4, 2).await, [5]);
    assert!(read(5, 2).await.is_empty());
}
