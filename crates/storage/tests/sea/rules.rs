//! The rules of messaging that `check` looks for: rows as they should be break none, and each rule finds what breaks
//! it.

use domain::Timestamp;
use domain::id::{ConversationId, MessageId};
use im::conversation::{ConversationKind, ReadMove};
use im::log::{EventKind, NewEvent};
use im::{Content, Conversation, ImStore, Member, MemberKind, MessageKind, NewMessage, SystemNotice};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use serde_json::{Map, json};
use storage::SeaStore;
use testkit::build::dialog_id;
use testkit::ids::object_id;

use super::Place;

const NOW: Timestamp = Timestamp::from_millis(1_764_547_200_000);

/// What breaks a rule, what mends it again, and the rule.
const BREACHES: [(&str, &str, &str); 8] = [
    (
        "UPDATE message SET position = position + 100 WHERE seq = 1",
        "UPDATE message SET position = position - 100 WHERE seq = 1",
        "messages are in the log in the order of their sequence numbers",
    ),
    (
        "UPDATE log_head SET position = position - 1",
        "UPDATE log_head SET position = position + 1",
        "a position of the log is given once and not beyond its head",
    ),
    (
        "UPDATE log_event SET position = 1",
        "UPDATE log_event SET position = 5",
        "a position of the log is given once and not beyond its head",
    ),
    (
        "UPDATE conversation SET last_position = last_position - 1",
        "UPDATE conversation SET last_position = last_position + 1",
        "a conversation knows the newest entry of the log that concerns it",
    ),
    (
        "UPDATE conversation_member SET delivered_seq = 5 WHERE client_id = 'b'",
        "UPDATE conversation_member SET delivered_seq = 2 WHERE client_id = 'b'",
        "members are in a conversation that is there and have got no farther than it",
    ),
    (
        "UPDATE conversation_member SET own_after_read = 3 WHERE client_id = 'a'",
        "UPDATE conversation_member SET own_after_read = 2 WHERE client_id = 'a'",
        "unread numbers equal their definition",
    ),
    (
        "UPDATE conversation_member SET recalled_after_read = 0 WHERE client_id = 'b'",
        "UPDATE conversation_member SET recalled_after_read = 1 WHERE client_id = 'b'",
        "unread numbers equal their definition",
    ),
    (
        "UPDATE message SET seq = 9 WHERE seq = 4",
        "UPDATE message SET seq = 4 WHERE seq = 9",
        "sequence numbers are contiguous from one",
    ),
];

fn message(n: u32, sender: &str) -> NewMessage {
    let notice = SystemNotice::new("e", "t");
    NewMessage {
        sender: Some(sender.to_owned()),
        kind: MessageKind::Text,
        content: Content::of(&json!({ "text": "x" })),
        ..NewMessage::system(MessageId(object_id(n)), dialog_id(1), &notice, NOW)
    }
}

/// Four messages, two by each; `a` has read none, `b` two; the third, by `a`, is recalled and told.
async fn write(store: &SeaStore) {
    let id: ConversationId = dialog_id(1);
    let conversation = Conversation {
        id,
        kind: ConversationKind::Direct,
        consultation_id: None,
        name: None,
        creator: None,
        last_seq: 0,
        last_position: 0,
        last_message_at: None,
        attributes: Map::new(),
        extra: Map::new(),
        created_at: NOW,
        updated_at: NOW,
    };
    let members = ["a", "b"].map(|client| Member::free(id, client.to_owned(), MemberKind::Other, NOW));
    let mut unit = ImStore::begin(store).await.unwrap();
    unit.conversations().insert_all(&[conversation], &members).await.unwrap();
    unit.commit().await.unwrap();
    let messages = [message(1, "a"), message(2, "b"), message(3, "a"), message(4, "b")];
    ImStore::append(store, &messages).await.unwrap();
    let mut unit = ImStore::begin(store).await.unwrap();
    let to = ReadMove { conversation_id: id, client_id: "b".into(), seq: 2 };
    unit.conversations().mark_read(&[to]).await.unwrap();
    let third = unit.messages().find_seq(id, 3).await.unwrap().unwrap();
    unit.messages().recall(&third, NOW).await.unwrap();
    let (conversation_id, kind) = (Some(id), EventKind::Recalled);
    let event = NewEvent { conversation_id, client_id: None, kind, payload: json!({}), at: NOW };
    unit.log().append_events(&[event]).await.unwrap();
    unit.commit().await.unwrap();
}

pub(crate) async fn each_rule_of_messaging_finds_what_breaks_it(place: &impl Place) {
    let store = SeaStore::connect(&place.options()).await.unwrap();
    store.migrate().await.unwrap();
    write(&store).await;
    let mut options = ConnectOptions::new(place.options().url);
    options.max_connections(1).sqlx_logging(false);
    let hand: DatabaseConnection = Database::connect(options).await.unwrap();
    assert_eq!(store.inspect().await.unwrap(), [], "nothing is broken yet");
    for (breach, mend, rule) in BREACHES {
        hand.execute_unprepared(breach).await.unwrap();
        let found: Vec<_> = store.inspect().await.unwrap().iter().map(|v| v.rule).collect();
        assert!(found.contains(&rule), "{breach}: {found:?}");
        hand.execute_unprepared(mend).await.unwrap();
        assert_eq!(store.inspect().await.unwrap(), [], "{mend}");
    }
    assert_eq!(store.recount_unread().await.unwrap(), 0, "nothing differs");
    for client in ["a", "b"] {
        let spoil = format!(
            "UPDATE conversation_member SET own_after_read = 7, recalled_after_read = 7 \
                             WHERE client_id = '{client}'"
        );
        hand.execute_unprepared(&spoil).await.unwrap();
    }
    assert_eq!(store.recount_unread().await.unwrap(), 2);
    assert_eq!(store.inspect().await.unwrap(), [], "unread was counted anew");
    hand.close().await.unwrap();
    store.close().await;
}
