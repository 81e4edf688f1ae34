//! Conversations, their members, and the list of them.

use domain::Timestamp;
use domain::id::ConversationId;
use domain::page::{Page, PageRequest};
use im::conversation::ConversationSummary;
use im::{Conversation, ConversationKind, Member, MemberKind};

use super::samples::{at, conversation, extra, guest, members, message, text};
use super::{Harness, append, assert_unique, attempt, given_conversations, member, messaging, sorted};
use crate::build::{consultation_id, dialog_id, doctor_id, patient_id};

async fn stored(h: &dyn Harness, id: ConversationId) -> Option<Conversation> {
    h.im().read().conversations().find(id).await.unwrap()
}

async fn listed(h: &dyn Harness, clients: &[&str], page: PageRequest) -> Page<ConversationSummary> {
    let clients: Vec<_> = clients.iter().map(|&client| client.to_owned()).collect();
    h.im().read().conversations().list(&clients, page).await.unwrap()
}

const ALL: PageRequest = PageRequest { limit: 100, after: None };

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
    given_conversations(h, &[full.clone(), conversation(2)], &[]).await;
    assert_eq!(stored(h, dialog_id(1)).await.as_ref(), Some(&full));
    assert_eq!(stored(h, dialog_id(2)).await, Some(conversation(2)));
    assert_eq!(stored(h, dialog_id(3)).await, None);
    let locked = messaging(h, async |unit| unit.conversations().find_locked(dialog_id(1)).await.unwrap()).await;
    assert_eq!(locked, Some(full));
}

pub async fn members_keep_every_field_and_belong_to_their_conversation(h: &dyn Harness) {
    let other =
        Member { kind: MemberKind::Assistant, joined_at: at(2), review_at: Some(at(77)), ..guest(1, "客服-1") };
    let all = [members(1).to_vec(), vec![other], members(2).to_vec()].concat();
    given_conversations(h, &[conversation(1), conversation(2)], &all).await;
    let mut found = h.im().read().conversations().members(dialog_id(1)).await.unwrap();
    found.sort_by_key(|m| m.joined_at);
    assert_eq!(found, all[..3]);
    assert_eq!(h.im().read().conversations().members(dialog_id(2)).await.unwrap().len(), 2);
    assert!(h.im().read().conversations().members(dialog_id(3)).await.unwrap().is_empty());
}

pub async fn members_of_several_conversations_are_found_at_once(h: &dyn Harness) {
    let all = [members(1), members(2), members(3)].concat();
    given_conversations(h, &[conversation(1), conversation(2), conversation(3)], &all).await;
    let found = h.im().read().conversations().members_of_all(&[dialog_id(3), dialog_id(1), dialog_id(9)]).await;
    let found = sorted(found.unwrap().into_iter().map(|m| (m.conversation_id, m.client_id)));
    let wanted = sorted(
        all.iter().filter(|m| m.conversation_id != dialog_id(2)).map(|m| (m.conversation_id, m.client_id.clone())),
    );
    assert_eq!(found, wanted);
    assert!(h.im().read().conversations().members_of_all(&[]).await.unwrap().is_empty());
}

pub async fn conversations_and_memberships_are_unique(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &members(1)).await;
    given_conversations(h, &[], &[]).await;
    let again = attempt(h, async |unit| unit.conversations().insert_all(&[conversation(1)], &[]).await).await;
    assert_unique(&again, "conversation");
    let member = Member::doctor(dialog_id(1), doctor_id(1), at(9));
    let again = attempt(h, async |unit| unit.conversations().insert_all(&[], &[member]).await).await;
    assert_unique(&again, "conversation_member");
}

pub async fn who_joins_late_has_read_what_is_there(h: &dyn Harness) {
    given_conversations(h, &[conversation(1), conversation(2)], &[guest(1, "a")]).await;
    append(h, &[text(1, dialog_id(1), "a", "一"), text(2, dialog_id(1), "a", "二")]).await;
    let late = Member { review_at: Some(at(5)), joined_at: at(5), ..guest(1, "b") };
    let joined = [late.clone(), guest(2, "b")];
    messaging(h, async |unit| unit.conversations().add_members(&joined).await.unwrap()).await;
    assert_eq!(member(h, dialog_id(1), "b").await, Member { read_seq: 2, delivered_seq: 2, ..late });
    assert_eq!(member(h, dialog_id(2), "b").await, guest(2, "b"));
    append(h, &[text(3, dialog_id(1), "a", "三")]).await;
    assert_eq!(member(h, dialog_id(1), "b").await.unread_count(3), 1);
}

pub async fn adding_a_member_again_changes_nothing(h: &dyn Harness) {
    given_conversations(h, &[conversation(1)], &[guest(1, "a"), guest(1, "b")]).await;
    append(h, &[text(1, dialog_id(1), "a", "一")]).await;
    let again = [Member { joined_at: at(9), ..guest(1, "b") }];
    messaging(h, async |unit| unit.conversations().add_members(&again).await.unwrap()).await;
    assert_eq!(member(h, dialog_id(1), "b").await, guest(1, "b"));
}

pub async fn a_removed_member_is_gone(h: &dyn Harness) {
    given_conversations(h, &[conversation(1), conversation(2)], &[guest(1, "a"), guest(1, "b"), guest(2, "a")]).await;
    let remove =
        async || messaging(h, async |unit| unit.conversations().remove_member(dialog_id(1), "a").await.unwrap()).await;
    assert!(remove().await);
    assert!(!remove().await, "there is nobody left to remove");
    let left = h.im().read().conversations().members(dialog_id(1)).await.unwrap();
    assert_eq!(left, [guest(1, "b")]);
    assert!(listed(h, &["a"], ALL).await.items.iter().all(|s| s.conversation.id == dialog_id(2)));
}

pub async fn the_list_shows_own_conversations_with_members_and_the_last_message(h: &dyn Harness) {
    let all = [members(1), members(2)].concat();
    given_conversations(h, &[conversation(1), conversation(2), conversation(3)], &all).await;
    append(h, &[message(1, dialog_id(1)), message(2, dialog_id(1))]).await;
    let client = patient_id(1).to_string();
    let page = listed(h, &[&client], ALL).await;
    assert_eq!(page.next, None);
    let [summary] = &page.items[..] else { panic!("one conversation was due: {:?}", page.items) };
    assert_eq!(Some(&summary.conversation), stored(h, dialog_id(1)).await.as_ref());
    assert_eq!(summary.last_message.as_ref().map(|m| m.seq), Some(2));
    let mut found = summary.members.clone();
    found.sort_by_key(|m| m.joined_at);
    assert_eq!(found, members(1));
    assert!(listed(h, &["nobody"], ALL).await.items.is_empty());
    assert!(listed(h, &[], ALL).await.items.is_empty());
}

pub async fn the_list_begins_with_the_newest_message_and_is_paged(h: &dyn Harness) {
    let all: Vec<_> = (1..=6).map(|n| Conversation { updated_at: at(i64::from(n)), ..conversation(n) }).collect();
    // Both clients of one person are in the first: it is listed once.
    let mut present: Vec<_> = (1..=6).map(|n| guest(n, "a")).collect();
    present.push(guest(1, "b"));
    given_conversations(h, &all, &present).await;
    append(h, &[message(40, dialog_id(2)), message(30, dialog_id(4)), message(30, dialog_id(5))]).await;
    let order = [2, 5, 4, 6, 3, 1].map(dialog_id);
    for limit in 1..=7 {
        let mut paged = Vec::new();
        let mut after = None;
        loop {
            let page = listed(h, &["a", "b"], PageRequest { limit, after }).await;
            assert!(page.items.len() <= limit as usize);
            paged.extend(page.items.into_iter().map(|s| s.conversation.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged, order, "limit {limit}");
    }
}

pub async fn the_owner_is_asked_when_it_was_said(h: &dyn Harness) {
    let mut present = members(1).to_vec();
    present.push(guest(1, "free"));
    given_conversations(h, &[conversation(1), conversation(2)], &[present, members(2).to_vec()].concat()).await;
    let [doctor, patient] = [doctor_id(1).to_string(), patient_id(1).to_string()];
    let review = async |client: &str| member(h, dialog_id(1), client).await.review_at;
    assert_eq!(review(&doctor).await, Some(Timestamp::from_millis(0)));
    messaging(h, async |unit| unit.conversations().set_review(dialog_id(1), &doctor, at(50)).await.unwrap()).await;
    assert_eq!((review(&doctor).await, review(&patient).await), (Some(at(50)), Some(Timestamp::from_millis(0))));
    let ask = text(1, dialog_id(1), &doctor, "好");
    let early = im::NewMessage { created_at: at(49), ..ask.clone() };
    assert!(matches!(append(h, &[early]).await[..], [im::Appended::Stored { seq: 1, .. }]));
    let due = im::NewMessage { client_message_id: None, created_at: at(50), ..ask.clone() };
    assert_eq!(append(h, &[due]).await, [im::Appended::AskOwner]);
    messaging(h, async |unit| unit.conversations().set_review(dialog_id(1), "free", at(9)).await.unwrap()).await;
    let ids = [dialog_id(1)];
    messaging(h, async |unit| {
        unit.conversations().set_review(dialog_id(2), &patient_id(2).to_string(), at(9)).await.unwrap();
    })
    .await;
    messaging(h, async |unit| unit.conversations().reset_review(&ids).await.unwrap()).await;
    let asked = review(&doctor).await.unwrap();
    assert!(asked <= at(0), "the next message is asked about, whenever it comes: {asked:?}");
    assert_eq!(review("free").await, None, "who has no owner is never asked about");
    assert_eq!(member(h, dialog_id(2), &patient_id(2).to_string()).await.review_at, Some(at(9)));
}
