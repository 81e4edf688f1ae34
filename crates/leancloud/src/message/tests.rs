//! Translation of messages there and back.

use domain::Timestamp;
use domain::id::{ConversationId, MessageId, ObjectId};
use im::NewMessage;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

const FILE: &str = "5daeb07b7b968a0074945056";

fn stored(kind: MessageKind, content: Content) -> Message {
    let id = ObjectId::from_parts(1, [0; 5], 1);
    let new = NewMessage {
        id: MessageId(id),
        conversation_id: ConversationId(id),
        sender: Some("a".into()),
        acted_by: None,
        client_message_id: None,
        kind,
        content,
        corrects: None,
        created_at: Timestamp::EPOCH,
        is_agreed: true,
        origin: None,
    };
    new.stored(1, 1)
}

fn there_and_back(data: &str, is_binary: bool) -> (Message, Shown) {
    let (kind, content) = read(data, is_binary, |_| true);
    let message = stored(kind, content);
    let shown = show(&message, |_| None);
    (message, shown)
}

#[rstest]
#[case(r#"{"_lctype":-1,"_lctext":"您好"}"#, "text")]
#[case(r#"{"_lctext":"您好","_lctype":-1}"#, "text")]
#[case(r#"{"_lctype":-1,"_lctext":"x","_lcattrs":{"a":1}}"#, "text")]
#[case(r#"{"_lctype":-1,"_lctext":""}"#, "lc.-1")]
#[case(
    r#"{"_lctype":-2,"_lcfile":{"objId":"5daeb07b7b968a0074945056","url":"https://x/y","metaData":{"width":3.5}}}"#,
    "image"
)]
#[case(r#"{"_lctype":-2,"_lcfile":{"url":"https://x/y"}}"#, "lc.-2")]
#[case(r#"{"_lctype":-3,"_lcfile":{"objId":"5daeb07b7b968a0074945056","metaData":{"duration":2.5}}}"#, "voice")]
#[case(r#"{"_lctype":-6,"_lcfile":{"objId":"5daeb07b7b968a0074945056","metaData":{"name":"a.pdf"}}}"#, "file")]
#[case(r#"{"_lctype":-5,"_lcloc":{"longitude":1,"latitude":2}}"#, "lc.-5")]
#[case(r#"{ "_lctype": 7, "x": 1 }"#, "lc.7")]
#[case("plain", "lc.plain")]
#[case("{not json", "lc.plain")]
#[case(r#"{"a":1}"#, "lc.plain")]
#[case("", "lc.plain")]
fn clients_get_exactly_what_was_written(#[case] data: &str, #[case] kind: &str) {
    let (message, shown) = there_and_back(data, false);
    assert_eq!(message.kind.as_str(), kind);
    assert_eq!(shown.data, data);
    let native = message.shown_content().unwrap();
    assert!(!native.as_str().contains(FOREIGN_KEY), "native clients see nothing of it");
}

#[test]
fn the_usual_text_needs_nothing_beside_its_content() {
    let (message, _) = there_and_back(r#"{"_lctype":-1,"_lctext":"您好"}"#, false);
    assert_eq!(message.content.as_str(), r#"{"text":"您好"}"#);
}

#[test]
fn a_file_that_may_not_be_shown_gets_no_place_in_the_product() {
    let data = format!(r#"{{"_lctype":-2,"_lcfile":{{"objId":"{FILE}","metaData":{{}}}}}}"#);
    let (kind, content) = read(&data, false, |_| false);
    assert_eq!(kind.as_str(), "lc.-2");
    assert_eq!(show(&stored(kind, content), |_| None).data, data);
    assert_eq!(Written::plain(&data, false).file(), Some(FILE.parse().unwrap()));
}

#[test]
fn binary_messages_stay_binary_and_mentions_and_edits_are_kept() {
    let (message, shown) = there_and_back("AAEC", true);
    assert_eq!((message.kind.as_str(), shown.data.as_str(), shown.is_binary), ("lc.binary", "AAEC", true));
    let mentions = ["b".to_owned()];
    let written = Written {
        wants_receipt: true,
        mentions: &mentions,
        mentions_all: true,
        edited_at: Some(5),
        ..Written::plain(r#"{"_lctype":-1,"_lctext":"x"}"#, false)
    };
    let (kind, content) = written.read(|_| true);
    let shown = show(&stored(kind, content), |_| None);
    assert_eq!(shown.data, written.data);
    assert!(shown.wants_receipt && shown.mentions_all);
    assert_eq!((shown.mentions.as_slice(), shown.edited_at), (mentions.as_slice(), Some(5)));
}

#[rstest]
#[case(MessageKind::Image, json!({"fileId": FILE, "width": 3}), json!({"_lctype": -2, "_lctext": "", "_lcfile": {"objId": FILE, "url": "u", "metaData": {"size": 1, "width": 3}}}))]
#[case(MessageKind::Voice, json!({"fileId": FILE, "durationMs": 2500}), json!({"_lctype": -3, "_lctext": "", "_lcfile": {"objId": FILE, "url": "u", "metaData": {"size": 1, "duration": 2.5}}}))]
#[case(MessageKind::Link, json!({"url": "https://a", "title": "t"}), json!({"_lctype": -1, "_lctext": "t\nhttps://a", "_lcattrs": {"kind": "link", "url": "https://a", "title": "t"}}))]
#[case(MessageKind::System, json!({"event": "e", "text": "开始"}), json!({"_lctype": -1, "_lctext": "开始", "_lcattrs": {"kind": "system", "event": "e", "text": "开始"}}))]
fn messages_of_native_clients_are_typed(#[case] kind: MessageKind, #[case] content: Value, #[case] expected: Value) {
    let message = stored(kind, Content::of(&content));
    let file = |_| Some(json!({ "objId": FILE, "url": "u", "metaData": { "size": 1 } }));
    let shown: Value = serde_json::from_str(&show(&message, file).data).unwrap();
    assert_eq!(shown, expected);
}

#[test]
fn a_link_comes_back_as_a_link() {
    let link = stored(MessageKind::Link, Content::of(&json!({ "url": "https://a", "title": "t" })));
    let (kind, content) = read(&show(&link, |_| None).data, false, |_| true);
    assert_eq!(kind, MessageKind::Link);
    assert_eq!(content.to_value()["url"], "https://a");
}

#[test]
fn what_was_recalled_is_not_shown() {
    let (message, _) = there_and_back(r#"{"_lctype":-1,"_lctext":"secret"}"#, false);
    let recalled = Message { recalled_at: Some(Timestamp::EPOCH), ..message };
    assert_eq!(show(&recalled, |_| None).data, RECALLED_DATA);
    assert!(is_recalled_form(RECALLED_DATA) && !is_recalled_form("x"));
}

proptest! {
    #[test]
    fn any_text_passes_through_byte_for_byte(data in any::<String>(), is_binary in any::<bool>()) {
        prop_assert_eq!(there_and_back(&data, is_binary).1.data, data);
    }

    #[test]
    fn any_typed_message_passes_through_byte_for_byte(number in -130_i64..10, text in any::<String>(), space in " {0,2}") {
        let data = format!("{{{space}\"_lctype\":{number},\"_lctext\":{}}}", json!(text));
        prop_assert_eq!(there_and_back(&data, false).1.data, data);
    }
}
